import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { oneChunk } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { diff } from '../../src/command/diff.ts'
import { describeDist, openDist } from '../../src/engine/dist/read.ts'
import { hostileDists } from '../helpers/hostile-dists.ts'
import { runCommand } from '../helpers/run-command.ts'
import { inTemporary } from '../helpers/temporary.ts'
import { directory, dist, file, hardlink, symlink } from '../helpers/tar-builder.ts'

test('the builder makes a good dist where nothing is wrong', async () => {
  const { manifest } = await describeDist(
    oneChunk(dist(directory('d'), file('d/a', 'x'), hardlink('d/b', 'd/a'), symlink('l', '/anywhere'))),
  )
  assert.deepEqual(
    manifest.entries.map((entry) => entry.path),
    ['.', 'd', 'd/a', 'd/b', 'l'],
  )
})

for (const [what, { tar, code, parts }] of Object.entries(hostileDists)) {
  test(`refused: ${what}`, async () => {
    const seen: string[] = []
    const read = async (): Promise<void> => {
      for await (const part of (await openDist(oneChunk(tar))).parts) seen.push(part.header.path)
    }
    await assert.rejects(read(), (error) => {
      assert.ok(isBinderyError(error), String(error))
      assert.equal(error.code, code, error.message)
      return true
    })
    assert.deepEqual(seen, parts)
  })
}

test('a verb that is given one of them refuses it with status 3, prints nothing and makes nothing', async () => {
  await inTemporary(async (folder) => {
    const good = join(folder, 'good.tar')
    const bad = join(folder, 'bad.tar')
    writeFileSync(good, dist(file('a', 'x')))
    for (const [what, { tar }] of Object.entries(hostileDists)) {
      writeFileSync(bad, tar)
      const { status, stdout } = await runCommand(diff, [good, bad])
      assert.deepEqual([status, stdout], [3, ''], what)
    }
    assert.deepEqual(readdirSync(folder), ['bad.tar', 'good.tar'])
  })
})
