import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** Small file systems in files, and one on a disk that writes down what is written to it. */

export type FileSystem = {
  readonly name: string
  readonly size: number
  readonly make: readonly [string, ...string[]]
  /** For mount(8). */
  readonly options: string
  /** The bytes that such a disk writes wholly or not at all. */
  readonly sector: number
  /** How many images of a run are tried. */
  readonly images: number
}

/**
 * ext4 without its own flush of what replaces something by a rename (auto_da_alloc), since other systems have none; xfs will not be smaller;
 * btrfs as often as it can. Half a superblock would be the end of a file system: one of ext4 has 1024 bytes, of btrfs 4096.
 */
export const fileSystems: readonly FileSystem[] = [
  {
    name: 'ext4',
    size: 96 << 20,
    make: ['mkfs.ext4', '-q', '-F', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
    options: 'noauto_da_alloc',
    sector: 1024,
    images: 1000,
  },
  { name: 'xfs', size: 300 << 20, make: ['mkfs.xfs', '-q', '-f'], options: 'nouuid', sector: 512, images: 250 },
  { name: 'btrfs', size: 128 << 20, make: ['mkfs.btrfs', '-q', '-f'], options: 'commit=1', sector: 4096, images: 250 },
]

/** Options of a test that makes them: where the system cannot, it is skipped and says why. */
export function needsDisks(): { readonly skip?: string } {
  const missing = ['/dev/fuse', '/dev/loop-control'].filter((device) => !existsSync(device))
  if (missing.length > 0) return { skip: `no ${missing.join(', ')}` }
  return spawnSync('nbdkit', ['python', '--dump-plugin']).status === 0 ? {} : { skip: 'not installed: nbdkit-plugin-python' }
}

const mounted: string[] = []

/** Whatever is mounted still is not any more, as far as that can be had when all else fails. */
export function unmountAll(): void {
  for (const place of mounted.splice(0).toReversed()) spawnSync('umount', ['-l', place])
}

function run(program: string, ...words: readonly string[]): void {
  execFileSync(program, words, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  })
}

function mount(place: string, ...words: readonly string[]): void {
  run('mount', ...words, place)
  mounted.push(place)
}

function unmount(place: string): void {
  mounted.splice(mounted.indexOf(place), 1)
  run('umount', place)
}

/** An image of the file system that holds `from` as `root`. */
export async function makeImage({ size, make: [program, ...words], ...rest }: FileSystem, from: string, image: string): Promise<void> {
  rmSync(image, { force: true })
  closeSync(openSync(image, 'w'))
  truncateSync(image, size)
  run(program, ...words, image)
  const disk = `${image}.making`
  await withImage(rest, image, disk, async () => run('cp', '-a', from, join(disk, 'root')))
}

export function copyImage(from: string, to: string): void {
  run('cp', '--sparse=always', from, to)
}

export async function withImage<T>(
  { options }: Pick<FileSystem, 'options'>,
  image: string,
  disk: string,
  use: () => Promise<T>,
): Promise<T> {
  mkdirSync(disk, { recursive: true })
  mount(disk, '-o', `loop,${options}`, image)
  try {
    return await use()
  } finally {
    unmount(disk)
  }
}

/** The disk is nbdkit's, nbdfuse makes a file of it, and mount(8) a loop device of that. `written`: how long the log is by now. */
export async function onLoggingDisk<T>(
  system: FileSystem,
  { image, log, disk }: { readonly image: string; readonly log: string; readonly disk: string },
  use: (written: () => number) => Promise<T>,
): Promise<T> {
  const [file, pid] = [`${image}.fuse`, `${image}.pid`]
  for (const old of [file, pid]) rmSync(old, { force: true })
  closeSync(openSync(file, 'w'))
  const plugin = resolve('test/torture/logging-disk.py')
  const words = ['-P', pid, file, '--command', 'nbdkit', '-s', 'python', plugin, `disk=${image}`, `log=${log}`]
  const child = spawn('nbdfuse', words, { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  while (!existsSync(pid)) {
    if (child.exitCode !== null) throw new Error(`nbdfuse: exit status ${child.exitCode}`)
    await setTimeout(10)
  }
  mounted.push(file)
  try {
    return await withImage(system, file, disk, async () => await use(() => statSync(log).size))
  } finally {
    unmount(file)
    await ended
  }
}
