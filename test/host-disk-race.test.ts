import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { hostDisk } from '../src/host/disk.ts'
import { hostExec } from '../src/host/exec.ts'
import { relPath } from './helpers/plant.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Exec } from '../src/port/exec.ts'

const anchored = existsSync('/proc/self/fd') ? {} : { skip: 'no /proc/self/fd on this system' }

/** The directory `d` becomes a link to `../outside` and back, as fast as a shell can. */
const swap = 'while :; do mv d kept; ln -s ../outside d; rm d; mv kept d; done'

/** The file `f` becomes a link to `../../shadow` and back, as fast as node can. */
const exchange = `const { linkSync, symlinkSync, renameSync } = require('node:fs')
for (;;) {
  symlinkSync('../../shadow', 's'); renameSync('s', 'f')
  linkSync('real', 'r'); renameSync('r', 'f')
}`

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

test('a user who swaps a file for a link gets no mode and no time of what it leads to', anchored, async () => {
  await inTemporary(async (folder) => {
    mkdirSync(join(folder, 'root/d'), { recursive: true })
    for (const path of ['shadow', 'root/d/real', 'root/d/f']) writeFileSync(join(folder, path), 'x')
    chmodSync(join(folder, 'shadow'), 0o600)
    utimesSync(join(folder, 'shadow'), 1000, 1000)
    const disk = hostDisk(join(folder, 'root'), { anchored: true })
    const attacker = spawn(process.execPath, ['-e', exchange], { cwd: join(folder, 'root/d'), stdio: 'ignore' })
    const seen = { changed: 0, refused: 0 }
    // A look and then a call by name lost this race within some thousand turns.
    while (seen.changed < 3000 || seen.refused < 3000) {
      try {
        await disk.chmod(relPath('d/f'), 0o4755)
        seen.changed++
      } catch (error) {
        assert.ok(isBinderyError(error, 'not-supported'), String(error))
        seen.refused++
      }
      await disk.setTimes([{ path: relPath('d/f'), mtime: { sec: 2000, nsec: 0 } }])
      if ((seen.changed + seen.refused) % 100 === 0) await new Promise(setImmediate)
      if (attacker.exitCode !== null) break
    }
    attacker.kill('SIGKILL')
    await new Promise((resolve) => attacker.once('exit', resolve))
    const { mode, mtimeMs } = statSync(join(folder, 'shadow'))
    assert.deepEqual({ mode: mode & 0o7777, mtimeMs }, { mode: 0o600, mtimeMs: 1_000_000 })
    assert.ok(seen.changed > 0 && seen.refused > 0, JSON.stringify(seen))
  })
})

test('programs are told of a directory, and not of the way to it', anchored, async () => {
  await inTemporary(async (folder) => {
    for (const path of ['root', 'root/d', 'outside']) mkdirSync(join(folder, path))
    for (const path of ['root/d/f', 'outside/f']) {
      writeFileSync(join(folder, path), '')
      utimesSync(join(folder, path), 1000, 1000)
    }
    // The moment before a program starts is when an attacker would move.
    const exec: Exec = {
      ...hostExec,
      run: async (program, args, options) => {
        renameSync(join(folder, 'root/d'), join(folder, 'root/kept'))
        symlinkSync('../outside', join(folder, 'root/d'))
        try {
          return await hostExec.run(program, args, options)
        } finally {
          unlinkSync(join(folder, 'root/d'))
          renameSync(join(folder, 'root/kept'), join(folder, 'root/d'))
        }
      },
    }
    const disk = hostDisk(join(folder, 'root'), { anchored: true, exec })
    await disk.mknod(relPath('d/pipe'), { kind: 'fifo' })
    await disk.setTimes([{ path: relPath('d/f'), mtime: { sec: 2000, nsec: 1 } }])
    assert.deepEqual(readdirSync(join(folder, 'outside')), ['f'])
    assert.equal(statSync(join(folder, 'outside/f')).mtimeMs, 1_000_000)
    assert.deepEqual(readdirSync(join(folder, 'root/d')).sort(), ['f', 'pipe'])
    assert.deepEqual((await disk.lstat(relPath('d/f')))?.mtime, { sec: 2000, nsec: 1 })
  })
})
