import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../../src/base/digest.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { utf8 } from '../../src/base/bytes.ts'
import type { Branch } from '../../src/base/farm-branch.ts'
import type { PlannedUpdate, SourcePlan } from '../../src/port/farm-catalog.ts'
import type { Build } from '../../src/port/farm-build.ts'
import type { Claim, NewPackage } from '../../src/port/farm-queue.ts'
import type { Farm } from '../../src/host/farm/open.ts'

/** What the catalog and the queue of a farm promise (src/port/farm-catalog.ts, farm-queue.ts). `open` gives one and the same farm. */
export function farmConformance(name: string, open: () => Promise<Farm>, options: { readonly skip?: string } = {}): void {
  const check = (what: string, work: (farm: Farm) => Promise<void>): void => {
    test(`${name}: ${what}`, options, async () => {
      const farm = await open()
      await emptyFarm(farm)
      await work(farm)
    })
  }

  check('what was planned waits, security first, and each is built once', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    const plan = planOf(branch, [update('net/a'), update('net/b', { isSecurity: true }), update('net/c')])
    const applied = await catalog.apply(plan, 'farm')
    assert.deepEqual([applied.updates, applied.queued.length, applied.superseded.length], [3, 3, 0])
    assert.deepEqual((await catalog.apply(plan, 'farm')).queued, [])
    const claims: Claim[] = []
    for (let claim = await queue.claim('here'); claim !== undefined; claim = await queue.claim('here')) claims.push(claim)
    assert.deepEqual(
      claims.map(({ build }) => build.pkgpath),
      ['net/b', 'net/a', 'net/c'],
    )
    assert.deepEqual(
      (await catalog.buildsIn(['building'], { branch })).map(({ state }) => state),
      ['building', 'building', 'building'],
    )
  })

  check('a build ends once: its packages are there, its state says so, a second end changes nothing', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    await catalog.apply(planOf(branch, [update('net/a')]), 'farm')
    const { build, attempt } = await claimed(queue)
    assert.equal(await queue.beat(attempt.id, { size: 10 }), 'held')
    const end = { kind: 'built', packages: [packageNamed('a-1.tgz')], logSize: 20 } as const
    assert.equal(await queue.finish(attempt.id, end), 'ended')
    assert.equal(await queue.finish(attempt.id, end), 'ended')
    assert.equal(await queue.finish(attempt.id, { kind: 'released', why: 'late' }), 'lost')
    assert.equal(await queue.beat(attempt.id, { size: 30 }), 'lost')
    assert.equal((await catalog.build(build.id))?.state, 'built')
    assert.deepEqual(
      (await catalog.packagesOf(build.id)).map(({ file, size }) => [file, size]),
      [['a-1.tgz', 7]],
    )
    const [only] = await catalog.attemptsOf(build.id)
    assert.deepEqual([only?.outcome, only?.logSize], ['built', 20])
  })

  check('what fails is tried again later, and after three failures only by a person', async ({ catalog, queue, engine }) => {
    const branch = await addBranch(catalog)
    await catalog.apply(planOf(branch, [update('net/a')]), 'farm')
    for (let failures = 1; failures <= 3; failures++) {
      const { build, attempt } = await claimed(queue)
      assert.equal(await queue.finish(attempt.id, { kind: 'failed', why: 'it broke', lines: ['cc: error'], logSize: 1 }), 'ended')
      const after = await catalog.build(build.id)
      assert.deepEqual([after?.state, after?.failures], [failures === 3 ? 'quarantined' : 'failed', failures])
      assert.equal(await queue.claim('here'), undefined)
      await makeDue(engine)
    }
    const [build] = await catalog.buildsIn(['quarantined'])
    assert.ok(build !== undefined)
    await queue.retry(build.id, 'somebody')
    assert.equal((await catalog.build(build.id))?.failures, 0)
    assert.equal((await claimed(queue)).attempt.number, 4)
    await refused('conflict', queue.retry(build.id, 'somebody'))
  })

  check('a builder that is heard no more loses its build, and is told when it comes back', async ({ catalog, queue, engine }) => {
    const branch = await addBranch(catalog)
    await catalog.apply(planOf(branch, [update('net/a')]), 'farm')
    const first = await claimed(queue)
    assert.deepEqual(await queue.expire(), [])
    await silence(engine)
    assert.deepEqual(
      (await queue.expire()).map(({ attempt: { id }, becomes }) => [id, becomes]),
      [[first.attempt.id, 'waiting']],
    )
    assert.equal((await catalog.build(first.build.id))?.state, 'waiting')
    assert.equal(await queue.beat(first.attempt.id, { size: 0 }), 'lost')
    const second = await claimed(queue)
    assert.equal(second.attempt.number, 2)
    assert.equal(await queue.finish(first.attempt.id, { kind: 'built', packages: [], logSize: 0 }), 'lost')
    assert.equal((await catalog.build(first.build.id))?.state, 'building')
  })

  check('what loses its builders again and again is left to a person', async ({ catalog, queue, engine }) => {
    const branch = await addBranch(catalog)
    const [build] = (await catalog.apply(planOf(branch, [update('net/a')]), 'farm')).queued
    assert.ok(build !== undefined)
    const lose = async (): Promise<unknown> => {
      await claimed(queue)
      await silence(engine)
      return (await queue.expire())[0]?.becomes
    }
    const becomes = [await lose(), await lose(), await lose(), await lose(), await lose()]
    assert.deepEqual(becomes, ['waiting', 'waiting', 'waiting', 'waiting', 'quarantined'])
    assert.equal(await queue.claim('here'), undefined)
    const [last] = (await catalog.events({ limit: 1 })).map(({ what }) => what)
    assert.equal(last, 'quarantined: it lost 5 builders')
    await queue.retry(build.id, 'somebody')
    assert.equal(await lose(), 'waiting')
  })

  check('leases that nobody could keep begin anew', async ({ catalog, queue, engine }) => {
    const branch = await addBranch(catalog)
    await catalog.apply(planOf(branch, [update('net/a')]), 'farm')
    const { attempt } = await claimed(queue)
    await silence(engine)
    await queue.renew()
    assert.deepEqual(await queue.expire(), [])
    assert.equal(await queue.beat(attempt.id, { size: 0 }), 'held')
  })

  check('builds of a branch or an architecture that farm.toml no longer has are cancelled, and wait when it is back', async (farm) => {
    const { catalog, queue } = farm
    const branch = await addBranch(catalog)
    const archs = ['amd64', 'arm64']
    await catalog.putBranches([branchNamed(branch, archs)], 'test')
    const [a, b, c] = (await catalog.apply(planOf(branch, [update('net/a'), update('net/b'), update('net/c', { arch: 'arm64' })]), 'farm'))
      .queued
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    const { attempt } = await claimed(queue)
    await queue.cancel(b.id, 'somebody')
    const without = await catalog.putBranches([branchNamed(branch, ['amd64'])], 'test')
    assert.deepEqual(idsOf(without.cancelled), [c.id])
    await refused('conflict', queue.retry(c.id, 'somebody'))
    const none = await catalog.putBranches([branchNamed('another', ['amd64'])], 'test')
    assert.deepEqual([idsOf(none.cancelled), idsOf(none.waiting)], [[a.id], []])
    assert.equal(await queue.beat(attempt.id, { size: 0 }), 'lost')
    await refused('conflict', queue.retry(a.id, 'somebody'))
    const back = await catalog.putBranches([branchNamed(branch, archs)], 'test')
    assert.deepEqual([idsOf(back.cancelled), idsOf(back.waiting)], [[], [a.id, c.id]])
    assert.equal((await claimed(queue)).build.id, a.id)
    assert.equal((await catalog.build(b.id))?.state, 'cancelled')
  })

  check('a look that failed is a state of its branch, and an event where it is another', async ({ catalog }) => {
    const branch = await addBranch(catalog)
    const failure = async (): Promise<string | undefined> => (await catalog.branches())[0]?.failure?.why
    const changes = [undefined, 'no tag', 'no tag', 'no cvs', undefined, undefined]
    const noted: unknown[] = []
    for (const why of changes) noted.push([await catalog.noteLook(branch, why), await failure()])
    assert.deepEqual(noted, [
      [false, undefined],
      [true, 'no tag'],
      [false, 'no tag'],
      [true, 'no cvs'],
      [true, undefined],
      [false, undefined],
    ])
    const told = (await catalog.events({ limit: 3 })).map(({ subject, what }) => `${subject}: ${what}`)
    assert.deepEqual(told, [
      `${branch}: its sources can be read again`,
      `${branch}: its sources cannot be read: no cvs`,
      `${branch}: its sources cannot be read: no tag`,
    ])
  })

  check('a build is of the state of the sources that it was planned for', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    const of = (name: string, seconds: number): object => ({ revision: { name, seconds } })
    await catalog.apply({ ...planOf(branch, [update('net/a')]), ...of('first', 1000) }, 'farm')
    await catalog.apply({ ...planOf(branch, [update('net/b')]), ...of('second', 2000) }, 'farm')
    const [a, b] = [await claimed(queue), await claimed(queue)]
    assert.deepEqual(
      [a.revision, b.revision],
      [
        { name: 'first', seconds: 1000 },
        { name: 'second', seconds: 2000 },
      ],
    )
    assert.deepEqual((await queue.claimOf(a.attempt.id))?.revision, a.revision)
  })

  check('what has grown old goes, but for what a page needs', async ({ catalog, queue, engine }) => {
    const branch = await addBranch(catalog)
    const [a, b] = (await catalog.apply(planOf(branch, [update('net/a'), update('net/b')]), 'farm')).queued
    assert.ok(a !== undefined && b !== undefined)
    await queue.prioritise(a.id, 50, 'somebody')
    for (const end of ['released', 'released', 'failed'] as const) {
      const { attempt } = await claimed(queue)
      await queue.finish(attempt.id, { kind: end, why: 'test', lines: [], logSize: 1 })
      await makeDue(engine)
    }
    const ids = async (): Promise<readonly number[]> => (await catalog.oldLogs(30, 10)).map(({ id }) => id)
    assert.deepEqual(await ids(), [])
    await engine.queueDb.executeSql("update farm.attempt set ended_at = now() - interval '31 days'")
    await engine.queueDb.executeSql("update farm.event set at = now() - interval '31 days'")
    const attempts = (await catalog.attemptsOf(a.id)).map(({ id }) => id)
    assert.deepEqual(await ids(), attempts.slice(0, -1))
    await catalog.forgetLogs(attempts.slice(0, -1))
    assert.deepEqual(await ids(), [])
    await queue.cancel(a.id, 'somebody')
    assert.deepEqual(await ids(), attempts.slice(-1))
    const before = (await catalog.events({ limit: 100 })).length
    const dropped = await catalog.dropEvents(30)
    const left = await catalog.events({ limit: 100 })
    assert.equal(left.length, before - dropped)
    assert.deepEqual(new Set(left.map(({ kind, subject }) => `${kind} ${subject}`)), new Set([`build ${a.id}`, `build ${b.id}`]))
    assert.deepEqual(
      left.filter(({ subject }) => subject === String(a.id)).map(({ what }) => what),
      ['cancelled'],
    )
  })

  check('newer sources supersede what is not built yet, and leave alone what is', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    const old = (await catalog.apply(planOf(branch, [update('net/a'), update('net/b'), update('net/c')]), 'farm')).queued
    const built = await claimed(queue)
    await queue.finish(built.attempt.id, { kind: 'built', packages: [packageNamed('x-1.tgz')], logSize: 0 })
    const running = await claimed(queue)
    const next = planOf(
      branch,
      ['net/a', 'net/b', 'net/c'].map((path) => update(path, { key: 'second' })),
    )
    const ids = old.map(({ id }) => id)
    const applied = await catalog.apply({ ...next, superseded: { builds: ids, from: ['waiting', 'building'] } }, 'farm')
    assert.equal(applied.superseded.length, 2)
    assert.equal((await catalog.build(built.build.id))?.state, 'built')
    assert.equal(await queue.beat(running.attempt.id, { size: 0 }), 'lost')
    for (let left = 3; left > 0; left--) {
      const { attempt } = await claimed(queue)
      await queue.finish(attempt.id, { kind: 'built', packages: [], logSize: 0 })
    }
    assert.equal(await queue.claim('here'), undefined)
    assert.equal((await catalog.build(built.build.id))?.state, 'superseded')
    assert.equal((await catalog.buildsIn(['built'])).length, 3)
  })

  check('a person cancels, brings back, and says what comes first', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    const [a, b] = (await catalog.apply(planOf(branch, [update('net/a'), update('net/b')]), 'farm')).queued
    assert.ok(a !== undefined && b !== undefined)
    await queue.prioritise(b.id, 50, 'somebody')
    const first = await claimed(queue)
    assert.equal(first.build.id, b.id)
    await queue.cancel(b.id, 'somebody')
    assert.equal(await queue.beat(first.attempt.id, { size: 0 }), 'lost')
    await queue.cancel(a.id, 'somebody')
    await refused('conflict', queue.cancel(a.id, 'somebody'))
    await refused('not-found', queue.cancel(1_000_000, 'somebody'))
    assert.equal(await queue.claim('here'), undefined)
    await queue.retry(a.id, 'somebody')
    assert.equal((await claimed(queue)).build.id, a.id)
    const told = (await catalog.events({ limit: 100 }))
      .filter(({ actor, kind }) => actor === 'somebody' && kind === 'build')
      .map(({ what }) => what)
    assert.deepEqual(told, ['waiting', 'cancelled', 'cancelled', 'priority 50'])
  })

  check('nobody takes of a paused branch, and no paused, foreign or busy builder takes anything', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    await catalog.putBuilder({ name: 'other', publicKey: undefined, arch: 'arm64', releases: [], tags: [], jobs: 1 }, 'test')
    await catalog.putBuilder({ name: 'old', publicKey: undefined, arch: 'amd64', releases: ['7.5'], tags: [], jobs: 1 }, 'test')
    await catalog.putBuilder({ name: 'single', publicKey: undefined, arch: 'amd64', releases: ['7.6'], tags: [], jobs: 1 }, 'test')
    await catalog.apply(planOf(branch, [update('net/a'), update('net/b')]), 'farm')
    await catalog.pauseBranch(branch, true, 'somebody')
    assert.equal(await queue.claim('here'), undefined)
    await catalog.pauseBranch(branch, false, 'somebody')
    for (const name of ['other', 'old', 'nobody']) assert.equal(await queue.claim(name), undefined)
    assert.ok(await queue.claim('single'))
    assert.equal(await queue.claim('single'), undefined)
    await catalog.pauseBuilder('here', true, 'somebody')
    assert.equal(await queue.claim('here'), undefined)
    await catalog.pauseBuilder('here', false, 'somebody')
    assert.ok(await queue.claim('here'))
  })

  check('releases are given to places of the controller alone', async ({ catalog, queue }) => {
    const branch = {
      ...branchNamed(`branch${++names}`, ['amd64']),
      product: 'base',
      source: { kind: 'errata', place: '/e', module: undefined },
    } as const
    await catalog.putBranches([branch], 'test')
    assert.equal((await catalog.branches()).find(({ name }) => name === branch.name)?.product, 'base')
    const facts = { arch: 'amd64', releases: [], tags: [], jobs: 1 }
    await catalog.putBuilder({ name: 'far', publicKey: 'a key', ...facts }, 'test')
    await catalog.putBuilder({ name: 'near', publicKey: undefined, ...facts }, 'test')
    await catalog.apply(planOf(branch.name, [update('base')]), 'farm')
    assert.equal(await queue.claim('far'), undefined)
    assert.equal((await queue.claim('near'))?.build.pkgpath, 'base')
  })

  check('from a request to the mirrors, and back where it was overtaken', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    await catalog.apply(planOf(branch, [update('net/a')]), 'farm')
    const { build, attempt } = await claimed(queue)
    await queue.finish(attempt.id, { kind: 'built', packages: [packageNamed('a-1.tgz')], logSize: 0 })
    const packages = (await catalog.packagesOf(build.id)).map(({ id }) => id)
    const request = { branch, arch: 'amd64', digest: sha256(utf8('request')), file: 'request/1.tar', basis: undefined, packages }
    const first = await catalog.addHandover(request, 'farm')
    await refused('conflict', catalog.moveHandover(first, 'published', { actor: 'farm' }))
    await catalog.moveHandover(first, 'stale', { actor: 'farm' })
    assert.equal((await catalog.build(build.id))?.state, 'built')
    const overtaken = await catalog.addHandover(request, 'farm')
    await catalog.moveHandover(overtaken, 'signed', { actor: 'signer' })
    await catalog.moveHandover(overtaken, 'stale', { actor: 'farm' })
    assert.equal((await catalog.build(build.id))?.state, 'built')
    const second = await catalog.addHandover(request, 'farm')
    assert.deepEqual(
      (await catalog.handovers(['requested'])).map(({ id, packages: its }) => [id, its]),
      [[second, packages]],
    )
    await catalog.moveHandover(second, 'signed', { actor: 'signer' })
    await catalog.moveHandover(second, 'published', { actor: 'farm' })
    await catalog.addPublication({ branch, arch: 'amd64', handover: second, digest: sha256(utf8('list')), packages: 1 })
    assert.equal((await catalog.build(build.id))?.state, 'published')
  })

  check('a queue that was lost comes back from the catalog', async ({ catalog, queue, engine }) => {
    const branch = await addBranch(catalog)
    await catalog.apply(planOf(branch, [update('net/a'), update('net/b')]), 'farm')
    assert.equal(await queue.repair(), 0)
    await engine.queueDb.executeSql('delete from farm_queue.job')
    assert.equal(await queue.claim('here'), undefined)
    assert.equal(await queue.repair(), 2)
    assert.equal(await queue.repair(), 0)
    assert.ok(await queue.claim('here'))
    assert.equal((await queue.releaseAll(['here'], 'the controller was stopped')).length, 1)
    assert.ok(await queue.claim('here'))
    assert.ok(await queue.claim('here'))
  })

  check('many builders at once: nothing twice, nothing left', async ({ catalog, queue }) => {
    const branch = await addBranch(catalog)
    const count = 60
    await catalog.apply(
      planOf(
        branch,
        Array.from({ length: count }, (_, index) => update(`net/p${index}`)),
      ),
      'farm',
    )
    const done: number[] = []
    const worker = async (): Promise<void> => {
      for (let claim = await queue.claim('here'); claim !== undefined; claim = await queue.claim('here')) {
        done.push(claim.build.id)
        assert.equal(await queue.finish(claim.attempt.id, { kind: 'built', packages: [], logSize: 0 }), 'ended')
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    assert.equal(new Set(done).size, count)
    assert.equal(done.length, count)
    assert.deepEqual(await catalog.counts(), [{ branch, arch: 'amd64', state: 'built', count }])
  })

  check('mirrors, operators and machines are remembered', async ({ catalog }) => {
    const branch = await addBranch(catalog)
    await catalog.putMirror('/mirror')
    const seen = { mirror: '/mirror', branch, arch: 'amd64', state: 'behind', lagSeconds: 60, files: [], why: '' } as const
    await catalog.addSighting(seen)
    await catalog.addSighting({ ...seen, lagSeconds: 120 })
    assert.deepEqual(
      (await catalog.sightings()).map(({ state, lagSeconds }) => [state, lagSeconds]),
      [['behind', 120]],
    )
    await catalog.addSighting({ ...seen, state: 'current', lagSeconds: undefined })
    assert.deepEqual(
      (await catalog.sightings()).map(({ state }) => state),
      ['current'],
    )
    await catalog.putOperator({ name: 'ann', tokenHash: 'abc', may: 'act', added: 0 }, 'test')
    assert.deepEqual(
      (await catalog.operators()).map(({ name: who, may }) => [who, may]),
      [['ann', 'act']],
    )
    const report = {
      machine: 'fw1',
      channel: 'base/amd64',
      release: '7.6-3',
      at: 2000,
      key: 'k',
      lastRun: 'install 0',
      reboot: 'none',
    } as const
    await catalog.putReport(report)
    await catalog.putReport({ ...report, release: '7.6-2', at: 1000 })
    assert.deepEqual(await catalog.reports(), [report])
    await catalog.forgetMachine('fw1', 'ann')
    assert.deepEqual(await catalog.reports(), [])
    await assert.rejects(catalog.forgetMachine('fw1', 'ann'), { code: 'not-found' })
  })
}

/** Opening one takes seconds: the checks share a farm. */
export async function emptyFarm({ engine: { queueDb } }: Farm): Promise<void> {
  await queueDb.executeSql('truncate farm.branch, farm.builder, farm.mirror, farm.operator, farm.report, farm.event cascade')
  await queueDb.executeSql('delete from farm_queue.job')
}

/** One build that is done, one that is being built, one that waits. */
export async function fillFarm({ catalog, queue }: Farm): Promise<void> {
  const branch = await addBranch(catalog)
  await catalog.apply(planOf(branch, [update('net/a'), update('net/b'), update('net/c')]), 'farm')
  const { attempt } = await claimed(queue)
  await queue.finish(attempt.id, { kind: 'built', packages: [packageNamed('a-1.tgz')], logSize: 5 })
  await claimed(queue)
  await catalog.putMirror('/mirror')
}

let names = 0

export async function addBranch(catalog: Farm['catalog']): Promise<string> {
  const branch = branchNamed(`branch${++names}`, ['amd64'])
  await catalog.putBranches([branch], 'test')
  await catalog.putBuilder({ name: 'here', publicKey: undefined, arch: 'amd64', releases: [], tags: [], jobs: 100 }, 'test')
  return branch.name
}

function branchNamed(name: string, archs: readonly string[]): Branch {
  const source = { kind: 'git', place: '/ports', module: undefined } as const
  return { name, product: undefined, release: '7.6', source, from: 'a', to: 'b', sqlports: undefined, tags: [], archs }
}

function idsOf(builds: readonly Build[]): readonly number[] {
  return builds.map(({ id }) => id)
}

export function planOf(branch: string, updates: readonly PlannedUpdate[]): SourcePlan {
  const digest = sha256(utf8(JSON.stringify(updates)))
  return { branch, digest, from: 'a', to: 'b', revision: { name: 'b', seconds: undefined }, updates, superseded: { builds: [], from: [] } }
}

export function update(pkgpath: string, { key = 'first', isSecurity = false, arch = 'amd64' } = {}): PlannedUpdate {
  const build = { arch, packages: [pkgpath], priority: isSecurity ? 100 : 0 }
  return { pkgpath, key: sha256(utf8(`${pkgpath} ${key}`)), isSecurity, cves: [], messages: ['why'], builds: [build] }
}

export function packageNamed(file: string): NewPackage {
  return { file, pkgpath: 'net/a', sha256: sha256(utf8(file)), size: 7, signature: file, reproducible: undefined }
}

async function claimed(queue: Farm['queue']): Promise<Claim> {
  const claim = await queue.claim('here')
  assert.ok(claim !== undefined)
  return claim
}

async function refused(code: 'conflict' | 'not-found', work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => isBinderyError(error, code))
}

/** As if the time until the next try had passed. */
async function makeDue({ queueDb }: Farm['engine']): Promise<void> {
  await queueDb.executeSql("update farm_queue.job set start_after = now() where state < 'active'")
}

/** As if nothing had been heard for an hour. */
export async function silence({ queueDb }: Farm['engine']): Promise<void> {
  await queueDb.executeSql("update farm_queue.job set heartbeat_on = now() - interval '1 hour' where state = 'active'")
  await queueDb.executeSql("update farm.attempt set heartbeat_at = now() - interval '1 hour' where ended_at is null")
  await queueDb.executeSql('update farm_queue.queue set monitor_on = null, monitor_claim_on = null')
}
