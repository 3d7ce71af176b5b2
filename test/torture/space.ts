import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { journalOf, look, wholeFaults } from './judge.ts'
import { environmentOf } from './scenarios.ts'
import { bindery } from './scenarios.ts'
import { runScript } from './site.ts'
import type { Sides } from './judge.ts'
import type { Place } from './scenarios.ts'

/** Installs on a small ext4 file system with so much room left, or so few inodes: they are refused before anything was changed, or they are done. */

export type SpaceSite = { readonly place: Place; readonly sides: Sides; readonly peak: Room }

/** Bytes and inodes that are free, or are needed. */
export type Room = { readonly bytes: number; readonly inodes: number }

export type Outcome = { readonly isDone: boolean; readonly faults: readonly string[]; readonly need: Partial<Room> }

/** Files that cannot be made from the old ones, in sizes that do not fill their last block; a hundred that are small. */
const trees = `
mkdir -p OLD/etc OLD/var/db OLD/share NEW
for i in $(seq 60); do head -c $((i * 15000 + 77)) /dev/urandom >OLD/share/$i; done
cp -a OLD/. NEW
for i in $(seq 60); do head -c $((i * 15000 + 99)) /dev/urandom >NEW/share/$i; done
for i in $(seq 100); do echo "$i" >NEW/etc/$i; done
bindery init -r repo -k keys --no-passphrase
bindery cut OLD -o old.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
bindery cut NEW -o new.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
bindery publish -r repo -k keys old.tar.zst
cp -a OLD machine
bindery -q -C machine enroll "file://$PWD/repo/" repo/metadata/1.root.json base/amd64
bindery publish -r repo -k keys --effort 0 new.tar.zst
bindery -q -C machine fetch
truncate -s 144M image; mkfs.ext4 -q -F -m 0 -N 2048 -O '^has_journal' -E lazy_itable_init=0 image
mkdir -p disk; mount -o loop image disk; cp -a machine disk/root; sync; umount disk
`

/** One install with room enough is watched: what it really takes. */
export async function makeSpaceSite(work: string): Promise<SpaceSite> {
  mkdirSync(work, { recursive: true })
  runScript(work, trees)
  const place = { work, root: join(work, 'disk/root') }
  return await onDisk(work, async () => {
    const before = await look(place.root)
    const peak = await watchInstall(place)
    return { place, sides: { before, after: await look(place.root) }, peak }
  })
}

async function onDisk<T>(work: string, use: () => Promise<T>): Promise<T> {
  runScript(work, 'rm -f used; cp --sparse=always image used; mount -o loop used disk')
  try {
    return await use()
  } finally {
    runScript(work, 'umount disk')
  }
}

async function watchInstall(place: Place): Promise<Room> {
  const start = roomOf(place)
  let least = start
  const { ended } = install(place)
  let isOver = false
  void ended.finally(() => (isOver = true))
  while (!isOver) {
    const { bytes, inodes } = roomOf(place)
    least = { bytes: Math.min(bytes, least.bytes), inodes: Math.min(inodes, least.inodes) }
    await setImmediate()
  }
  const { status, text } = await ended
  if (status !== 0) throw new Error(`install with room enough: status ${String(status)}: ${text}`)
  return { bytes: start.bytes - least.bytes, inodes: start.inodes - least.inodes }
}

function roomOf({ root }: Place): Room {
  const { bavail, bsize, ffree } = statfsSync(root)
  return { bytes: bavail * bsize, inodes: ffree }
}

function install(place: Place): { readonly ended: Promise<{ readonly status: number | null; readonly text: string }> } {
  const [program, ...words] = bindery('-C', place.root, 'install')
  const child = spawn(program, words, { env: environmentOf(place), stdio: ['ignore', 'ignore', 'pipe'] })
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return { ended: new Promise((done) => child.once('close', (status) => done({ status, text }))) }
}

/** An install with that much free, and no more. */
export async function installWith({ place, sides }: SpaceSite, room: Partial<Room>): Promise<Outcome> {
  return await onDisk(place.work, async () => {
    fillDisk(place, room)
    const { status, text } = await install(place).ended
    const isDone = status === 0
    const faults = wholeFaults(await look(place.root), isDone ? sides.after : sides.before)
    const isTold = /no space|no inodes/.test(text)
    const told = isDone || (status === 1 && isTold) ? [] : [`status ${String(status)}: ${text.trim()}`]
    const journal = journalOf(place.root) === undefined ? [] : ['it had begun']
    return { isDone, faults: [...told, ...journal, ...faults], need: needIn(text) }
  })
}

function fillDisk(place: Place, room: Partial<Room>): void {
  const folder = join(place.work, 'disk/filling')
  mkdirSync(folder)
  if (room.inodes !== undefined) for (let i = roomOf(place).inodes; i > room.inodes; i--) writeFileSync(join(folder, String(i)), '')
  if (room.bytes !== undefined) fillTo(place, join(folder, 'ballast'), room.bytes)
}

/** The extents of a large file take blocks of their own: with none left for them, it is a little shorter. */
function fillTo(place: Place, ballast: string, bytes: number): void {
  for (let spare = 0; spare < 16; spare++) {
    const excess = roomOf(place).bytes - bytes - spare * 4096
    if (excess <= 0 || spawnSync('fallocate', ['-l', String(excess), ballast]).status === 0) return
    rmSync(ballast, { force: true })
  }
  throw new Error(`the disk could not be filled up to ${bytes} bytes`)
}

/** As it is printed: `need 43 MB`, `need 120` of inodes. */
function needIn(text: string): Partial<Room> {
  const bytes = /no space on \S+, need ([0-9.]+) (kB|MB|GB)/.exec(text)
  if (bytes !== null) return { bytes: Number(bytes[1]) * { kB: 1e3, MB: 1e6, GB: 1e9 }[bytes[2] as 'kB' | 'MB' | 'GB'] }
  const inodes = /no inodes left on \S+, need (\d+)/.exec(text)
  return inodes === null ? {} : { inodes: Number(inodes[1]) }
}
