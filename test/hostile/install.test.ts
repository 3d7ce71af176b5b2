import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { sha256 } from '../../src/base/digest.ts'
import { install } from '../../src/command/install.ts'
import { encodeUpdate } from '../../src/format/update.ts'
import { releaseTargets } from '../../src/engine/update/compose.ts'
import { memoryHttp } from '../../src/host/memory-http.ts'
import { openAttacked } from '../helpers/attacked-client.ts'
import { hostileDists } from '../helpers/hostile-dists.ts'
import { isWholeSuite } from '../helpers/whole-suite.ts'
import type { ChannelDraft } from '../../src/engine/repo/channel-draft.ts'
import type { Attacked, Machine } from '../helpers/attacked-client.ts'
import type { Changed } from '../helpers/resign.ts'

/**
 * Tars that somebody made who has the keys of a channel: each is the next release of base, well signed, and its record tells its digest. Refused
 * with status 3, with nothing of it in the tree, and nothing beside.
 */

/** An install takes a third of a second: all of them in ten days, or with `make test-heavy`. */
function today<T>(all: readonly T[]): readonly T[] {
  return isWholeSuite ? all : all.filter((_, i) => i % 10 === Math.floor(Date.now() / 86_400_000) % 10)
}

let attacked: Attacked
let machine: Machine
before(async () => {
  attacked = await openAttacked()
  machine = await attacked.machine()
})
after(() => attacked.end())

for (const [what, { tar }] of today(Object.entries(hostileDists)))
  test(`not installed: ${what}`, async () => {
    const pages = await attacked.resigned((draft) => releaseOf(draft, tar))
    const [tree, beside] = [machine.tree(), readdirSync(attacked.folder)]
    const { status, error } = await machine.run(install, memoryHttp(new Map(pages)), undefined, ['base/amd64'])
    assert.equal(status, 3, error?.message)
    assert.match(error?.code ?? '', /^(?:hostile|bad-format|over-limit|bad-digest)$/)
    assert.equal(machine.tree(), tree)
    assert.deepEqual(readdirSync(attacked.folder), beside)
  })

test('there are more than sixty of them, and doc/hostile.md has them all', () => {
  const names = Object.keys(hostileDists)
  assert.ok(names.length > 60)
  const listed = readFileSync('doc/hostile.md', 'utf8').split('\n')
  assert.deepEqual(
    names.filter((name) => !listed.includes(`- ${name}`)),
    [],
  )
})

/** The last release, with this tar as the only way to it. */
function releaseOf({ updates }: ChannelDraft, tar: Uint8Array): readonly Changed[] {
  const last = updates.reduce((a, b) => (b.sequence > a.sequence ? b : a))
  const bytes = new Uint8Array(zstdCompressSync(tar))
  const {
    full: [way],
    ...rest
  } = last
  assert.ok(way !== undefined)
  const { frames: _, ...plain } = way
  const update = {
    ...rest,
    release: { ...last.release, tar: { sha256: sha256(tar), size: tar.length } },
    full: [{ ...plain, size: bytes.length }],
    deltas: [],
  }
  return [
    { target: way.target, bytes },
    { target: releaseTargets(last.release.name).update, bytes: encodeUpdate(update), custom: { sequence: last.sequence } },
  ]
}
