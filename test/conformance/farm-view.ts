import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../../src/base/bytes.ts'
import type { FarmView } from '../../src/port/farm-view.ts'
import type { FarmFacts } from '../../src/host/memory-farm-view.ts'

/** What the readers of a farm promise (src/port/farm-view.ts): the same of the same facts, whoever answers. `twin` is in memory. */
export function farmViewConformance(
  name: string,
  input: () => Promise<{ view: FarmView; twin: FarmView; facts: FarmFacts }>,
  options: { readonly skip?: string } = {},
): void {
  const check = (what: string, work: (world: Awaited<ReturnType<typeof input>>) => Promise<void>): void => {
    test(`${name}: ${what}`, options, async () => await work(await input()))
  }

  check('the overview', async ({ view, twin }) => assert.deepEqual(await view.overview(), await twin.overview()))

  check('builds, all and by state, branch and architecture, page by page without a gap', async ({ view, twin, facts }) => {
    for (const only of [{}, { state: 'failed' }, { state: 'published', arch: 'arm64' }, { branch: '7.6' }] as const) {
      const query = { ...only, limit: 7 }
      assert.deepEqual(await view.builds(query), await twin.builds(query))
    }
    const seen: number[] = []
    for (let before: number | undefined; ;) {
      const page = await view.builds({ before, limit: 50 })
      seen.push(...page.rows.map(({ id }) => id))
      if (page.next === undefined) break
      before = page.next
    }
    assert.deepEqual(seen, facts.builds.map(({ id }) => id).reverse())
  })

  check('a build with all that is known of it', async ({ view, twin, facts }) => {
    for (const state of ['waiting', 'building', 'quarantined', 'published']) {
      const id = facts.builds.find((build) => build.state === state)?.id as number
      assert.deepEqual(await view.build(id), await twin.build(id))
    }
    assert.equal(await view.build(1_000_000), undefined)
  })

  check('a log, in parts', async ({ view, twin, facts }) => {
    const id = facts.builds.find(({ state }) => state === 'building')?.id as number
    assert.deepEqual(await view.log(id, 0, 100), await twin.log(id, 0, 100))
    const size = (await view.log(id, 0, 0))?.size as number
    assert.deepEqual(await view.log(id, size - 10, 100), await twin.log(id, size - 10, 100))
    assert.deepEqual((await view.log(id, size + 5, 100))?.bytes, utf8(''))
    assert.equal(await view.log(facts.builds[0]?.id as number, 0, 1), undefined)
  })

  check('the history of a port', async ({ view, twin }) => {
    assert.deepEqual(await view.history('editors/vim', { limit: 5 }), await twin.history('editors/vim', { limit: 5 }))
    assert.deepEqual((await view.history('no/such', { limit: 5 })).rows, [])
  })

  check('updates, and those for security', async ({ view, twin }) => {
    for (const security of [true, false]) {
      const first = await view.updates({ security, limit: 6 })
      assert.deepEqual(first, await twin.updates({ security, limit: 6 }))
      const query = { security, before: first.next, limit: 6 }
      assert.deepEqual(await view.updates(query), await twin.updates(query))
    }
  })

  check('builders, mirrors, publications', async ({ view, twin }) => {
    assert.deepEqual(await view.builders(), await twin.builders())
    assert.deepEqual(await view.sightings(), await twin.sightings())
    assert.deepEqual(await view.publications({ limit: 2 }), await twin.publications({ limit: 2 }))
  })

  check('the fleet, page by page', async ({ view, twin }) => {
    const first = await view.fleet({ limit: 40 })
    assert.deepEqual(first, await twin.fleet({ limit: 40 }))
    assert.deepEqual(await view.fleet({ after: first.next, limit: 40 }), await twin.fleet({ after: first.next, limit: 40 }))
  })

  check('the trail, and what comes after a place in it', async ({ view, twin }) => {
    assert.deepEqual(await view.events({ limit: 3 }), await twin.events({ limit: 3 }))
    assert.deepEqual(await view.eventsAfter(undefined, 5), await twin.eventsAfter(undefined, 5))
    assert.deepEqual(await view.eventsAfter(10, 5), await twin.eventsAfter(10, 5))
  })
}
