import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { rollback } from '../../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { hostDisk } from '../../src/host/disk.ts'
import { install, machine, picture, release } from '../helpers/client-world.ts'
import { countingDisk } from '../helpers/counting-disk.ts'
import { Crash, faultyDisk } from '../helpers/faulty-disk.ts'
import { file, symlink } from '../helpers/plant.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { recovery } from '../helpers/recovery.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { Literal } from '../helpers/plant.ts'

/**
 * A program of this machine in a tree with its own run-time linker, libc and libraries, started before every single change that
 * an update of all of these makes: whatever is half done, it starts.
 */

const program = '/bin/ls'
const needed = { ...needs('ldd', 'chroot'), ...needsRoot() }

/** Linker, libc and libraries as `ldd` has them; what is no libc and no linker gets a name with a version behind a link. */
function tree(version: string): Literal {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)
  const libraries = [...lines].flatMap(([, path = '']) => libraryAt(path.slice(1), version))
  const many = Array.from({ length: 12 }, (_, i) => [`usr/lib/libmany${i}.so.1`, i % 2 === 0 ? 'as it was' : version] as const)
  return Object.fromEntries([...libraries, [program.slice(1), own(program, version)], ...many])
}

function libraryAt(path: string, version: string): readonly (readonly [string, ReturnType<typeof file>])[] {
  if (/^(?:ld|libc)[-.]/.test(basename(path))) return [[path, own(`/${path}`, version)]]
  const real = `${basename(path)}.${version}`
  return [
    [`${dirname(path)}/${real}`, own(`/${path}`, version)],
    [path, symlink(real)],
  ]
}

/** What stands behind the end of an ELF file is nobody's. */
const own = (path: string, version: string): ReturnType<typeof file> =>
  file(Buffer.concat([readFileSync(path), Buffer.from(`\n${version}\n`)]), { mode: 0o755 })

test('a dynamically linked program starts at every moment of an update, of a way back and of what recover does', needed, async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'bindery-starts-'))
  t.after(() => rmSync(root, { recursive: true }))
  const [old, next] = [await release('1.0', tree('1.0')), await release('1.1', tree('1.1'))]
  const disk = await machine(hostDisk(root), tree('1.0'))
  const before = await picture(disk)
  let starts = 0
  const start = (): void => {
    const { status, stderr } = spawnSync('chroot', [root, program, '/'], { encoding: 'utf8' })
    assert.equal(status, 0, `start ${starts++}: ${stderr}`)
  }
  const watched = (inner: Disk): Disk => countingDisk(inner, start).disk
  start()

  const whole = faultyDisk(watched(disk), { kind: 'none' })
  await install(whole.disk, old, next)
  start()
  await rollback({
    disk: watched(disk),
    goal: { kind: 'steps', count: 1 },
    config: defaultConfig,
    clock: { now: () => 1_700_000_100_000 },
    recovery,
  })
  start()
  assert.equal(await picture(disk), before)

  const journal = whole.calls.findIndex((call) => call === 'rename var/db/bindery/journal.new')
  const at = Math.floor((journal + whole.calls.length) / 2)
  await assert.rejects(async () => await install(faultyDisk(disk, { kind: 'crash', at, when: 'after' }).disk, old, next), Crash)
  await recover(watched(disk), { undo: true, keepReleases: 5, recovery })
  start()
  assert.equal(await picture(disk), before)
  assert.ok(starts > 200, `${starts} starts`)
})
