import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { hostDisk } from '../src/host/disk.ts'
import { relPath } from './helpers/plant.ts'
import { inTemporary } from './helpers/temporary.ts'

const anchored = existsSync('/proc/self/fd') ? {} : { skip: 'no /proc/self/fd on this system' }

/** The directory `d` becomes a link to `../outside` and back, as fast as a shell can. */
const swap = 'while :; do mv d kept; ln -s ../outside d; rm d; mv kept d; done'

test('a user who swaps a directory for a link gets nothing written through it', anchored, async () => {
  await inTemporary(async (folder) => {
    for (const path of ['root', 'root/d', 'outside']) mkdirSync(join(folder, path))
    const disk = hostDisk(join(folder, 'root'), { anchored: true })
    const attacker = spawn('sh', ['-c', swap], { cwd: join(folder, 'root'), stdio: 'ignore' })
    const seen = { made: 0, refused: 0 }
    const started = performance.now()
    const elapsed = (): number => performance.now() - started
    // On a busy machine the other process may be late.
    for (let i = 0; elapsed() < 1000 || (seen.refused === 0 && elapsed() < 20_000); i++) {
      try {
        await disk.create(relPath(`d/f${i}`), oneChunk(utf8('x')))
        seen.made++
      } catch (error) {
        assert.ok(isBinderyError(error, 'hostile') || isBinderyError(error, 'not-found'), String(error))
        seen.refused++
      }
      await new Promise(setImmediate)
    }
    attacker.kill('SIGKILL')
    await new Promise((resolve) => attacker.once('exit', resolve))
    assert.deepEqual(readdirSync(join(folder, 'outside')), [])
    assert.ok(seen.made > 0 && seen.refused > 0, JSON.stringify(seen))
  })
})
