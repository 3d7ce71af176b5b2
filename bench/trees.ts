import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { twoVersions, unpackPackages, updateLists } from './debian.ts'
import type { TreePair } from './harness.ts'

/**
 * Debian packages that a base system is made of, together about 250 MB unpacked, each with at least two versions among
 * the configured mirrors (main, updates, security): shared libraries, programs, scripts, locales, a database.
 */
const packages =
  'libc6 libc-bin locales openssl libssl3 systemd libsystemd0 udev perl-base perl-modules-5.36 libperl5.36 python3.11-minimal ' +
  'libpython3.11-minimal libpython3.11-stdlib libpython3.11 postgresql-15 openssh-server openssh-client curl libcurl4 bind9 ' +
  'bind9-libs sudo apt tzdata libglib2.0-0 linux-libc-dev squid apache2-bin unbound'

/** The newest version of each package and the one before it, unpacked over each other; kept below .cache/bench. */
export function realTrees(): TreePair {
  const home = resolve('.cache/bench')
  const trees = { old: join(home, 'old'), new: join(home, 'new') }
  if (existsSync(join(home, 'versions'))) return trees
  if (process.getuid?.() !== 0) throw new Error('run it as root, so that owners and setuid bits of the packages are kept')
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  updateLists()
  const versions = packages.split(' ').map((name) => twoVersions(name))
  for (const side of ['old', 'new'] as const) {
    unpackPackages(
      versions.map((version) => `${version.name}=${version[side]}`),
      trees[side],
    )
  }
  writeFileSync(join(home, 'versions'), versions.map((version) => `${version.name} ${version.old} ${version.new}\n`).join(''))
  return trees
}

/**
 * A synthetic pair of a few MB, the same on every run: programs (slices of node's own), texts, links and modes, with a
 * file changed in its middle, one grown, one added, one removed.
 */
export function smallTrees(folder: string): TreePair {
  const trees = { old: resolve(folder, 'old'), new: resolve(folder, 'new') }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const making = `${trees.old}.part`
  makeSmallTree(making)
  renameSync(making, trees.old)
  execFileSync('cp', ['-a', trees.old, trees.new])
  changeSmallTree(trees.new)
  return trees
}

function makeSmallTree(root: string): void {
  const program = readFileSync(process.execPath)
  for (let i = 0; i < 4; i++) put(root, `usr/bin/program${i}`, slice(program, i), 0o755)
  put(root, 'usr/lib/libc.so.99.0', slice(program, 5), 0o444)
  put(root, 'usr/bin/su', slice(program, 6).subarray(0, 100_000), 0o4755)
  for (let i = 0; i < 300; i++) put(root, `usr/share/doc/page${i}.txt`, text(i), 0o644)
  symlinkSync('program0', join(root, 'usr/bin/program'))
  linkSync(join(root, 'usr/bin/program1'), join(root, 'usr/bin/alias'))
}

function changeSmallTree(root: string): void {
  const changed = readFileSync(join(root, 'usr/bin/program0'))
  for (let at = 1000; at < changed.length; at += 50_000) changed.fill(at & 255, at, at + 4)
  put(root, 'usr/bin/program0', changed, 0o755)
  put(root, 'usr/share/doc/page7.txt', Buffer.concat([text(7), text(1007)]), 0o644)
  put(root, 'usr/share/doc/new.txt', text(2000), 0o644)
  rmSync(join(root, 'usr/share/doc/page8.txt'))
}

function put(root: string, path: string, content: Uint8Array, mode: number): void {
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
  chmodSync(file, mode)
}

function slice(program: Buffer, index: number): Buffer {
  const size = 1 << 20
  return program.subarray((index + 10) * size, (index + 11) * size)
}

/** Some 4 kB of words, different for each seed. */
function text(seed: number): Buffer {
  const digest = createHash('sha256').update(String(seed)).digest('hex')
  return Buffer.from(Array.from({ length: 60 }, (_, i) => `${digest.slice(i)} line ${i} of ${seed}\n`).join(''))
}
