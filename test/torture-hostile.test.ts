import assert from 'node:assert/strict'
import { appendFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { needs, needsRoot } from './helpers/programs.ts'
import { folderInMemory } from './helpers/temporary.ts'
import { isTurn } from './helpers/whole-suite.ts'
import { hostilePoints, makeHostileSite } from './torture/hostile.ts'
import type { HostileSite } from './torture/hostile.ts'
import type { Point } from './torture/machines.ts'

/** A point of `make torture-hostile`, another one every third day, and that its judge sees what is wrong. */

const today = Math.floor(Date.now() / 86_400_000)
const work = folderInMemory('bindery-torture-hostile-test-')
after(() => rmSync(work, { recursive: true, force: true }))

if (isTurn(1))
  describe('torture-hostile', { ...needs('strace', 'mtree', 'getfattr', 'dash', 'ldd'), ...needsRoot() }, () => {
    let site: HostileSite
    let points: readonly Point[]
    before(async () => {
      site = await makeHostileSite(work)
      points = await hostilePoints(site, today % 2 === 0 ? 'install' : 'rollback')
    })

    test('what is not his is old or new, and nothing outside the root is touched', async () => {
      let found: readonly string[] | undefined
      let name = ''
      for (let i = 0; found === undefined && i < 8; i++) {
        const point = points[(today * 37 + i) % points.length] as Point
        name = point.name
        found = await point.faults()
      }
      assert.deepEqual(found, [], name)
    })

    test('a byte that was written outside the root is found', async () => {
      appendFileSync(join(work, 'outside/f'), 'x')
      let found: readonly string[] | undefined
      for (let i = 0; found === undefined && i < 8; i++) found = await points[(today * 41 + i) % points.length]?.faults()
      assert.match(found?.join('\n') ?? '', /^outside: \.\/f: /)
    })
  })
