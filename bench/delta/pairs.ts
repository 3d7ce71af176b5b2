import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fetchPackage, packNpm } from '../../tools/npm.ts'
import { downloadPackage, foreign, native, twoVersions, unpackPackages, updateLists } from '../debian.ts'
import { bindery, quote } from '../harness.ts'
import type { Apt } from '../debian.ts'

/** Two releases of one real file, or of a base system as a tar, which anyone can fetch. */
export type Pair = {
  readonly name: string
  readonly kind: Kind
  /** For the reader: language and architecture. */
  readonly what: string
  /** Not looked at while the engine is made, so that it judges. */
  readonly heldOut: boolean
  readonly source: Source
}

/**
 * Only `elf` enters the means. `overhead`: nearly equal files, where the size of the frame shows; `packed`: a payload
 * that is compressed or encrypted as a whole, from which nobody gains; `container`: a package as it is shipped.
 */
export type Kind = 'elf' | 'overhead' | 'packed' | 'tree' | 'container'

/** `file` is a glob that one file of the package matches. */
type Source =
  | { readonly kind: 'npm'; readonly name: string; readonly old: string; readonly new: string; readonly file: string }
  | { readonly kind: 'debian'; readonly name: string; readonly architecture: string; readonly file: string }
  | { readonly kind: 'debian-tree'; readonly packages: string }
  | { readonly kind: 'npm-package'; readonly name: string; readonly old: string; readonly new: string }
  | { readonly kind: 'debian-package'; readonly name: string }
  /** Packed as PC-BSD's package from what is in Debian's. */
  | { readonly kind: 'pbi'; readonly name: string }

/** A pair that is here. */
export type Files = {
  /** Paths. */
  readonly old: string
  readonly new: string
  /** What the two are called by those who made them. */
  readonly versions: readonly [string, string]
  readonly oldBytes: number
  readonly newBytes: number
  /** SHA-256 over both files. */
  readonly digest: string
}

const vips = 'lib/libvips-cpp.so*'

export const pairs: readonly Pair[] = [
  npm('rollup-openbsd', 'Rust, amd64', '@rollup/rollup-openbsd-x64', '4.65.0', '4.67.4', '*.node'),
  npm('esbuild-openbsd', 'Go, amd64', '@esbuild/openbsd-x64', '0.28.1', '0.28.2', 'bin/esbuild'),
  npm('lefthook-openbsd', 'Go, amd64', 'lefthook-openbsd-x64', '2.2.1', '2.2.2', 'bin/lefthook'),
  npm('libvips', 'C, C++, Rust, amd64', '@img/sharp-libvips-linux-x64', '1.3.3', '1.3.4', vips),
  debian('libc', 'C, amd64', 'libc6', 'amd64', 'lib/*/libc.so.6'),
  debian('libcrypto', 'C, amd64', 'libssl3', 'amd64', 'usr/lib/*/libcrypto.so.3'),
  debian('postgres', 'C, amd64', 'postgresql-15', 'amd64', 'usr/lib/postgresql/15/bin/postgres'),
  npm('rollup-arm64', 'Rust, arm64', '@rollup/rollup-linux-arm64-gnu', '4.65.0', '4.67.4', '*.node'),
  npm('esbuild-arm64', 'Go, arm64', '@esbuild/linux-arm64', '0.28.1', '0.28.2', 'bin/esbuild'),
  npm('lefthook-arm64', 'Go, arm64', 'lefthook-linux-arm64', '2.2.1', '2.2.2', 'bin/lefthook'),
  npm('libvips-arm64', 'C, C++, Rust, arm64', '@img/sharp-libvips-linux-arm64', '1.3.3', '1.3.4', vips),
  debian('libcrypto-arm64', 'C, arm64', 'libssl3', 'arm64', 'usr/lib/*/libcrypto.so.3'),
  heldOut(npm('rollup-freebsd', 'Rust, amd64', '@rollup/rollup-freebsd-x64', '4.68.7', '4.68.8', '*.node')),
  heldOut(npm('lefthook-freebsd', 'Go, amd64: new compiler', 'lefthook-freebsd-x64', '2.1.17', '2.2.0', 'bin/lefthook')),
  heldOut(npm('oxide', 'Rust, amd64', '@tailwindcss/oxide-linux-x64-gnu', '4.2.4', '4.3.0', '*.node')),
  heldOut(npm('lightningcss-arm64', 'Rust, arm64', 'lightningcss-linux-arm64-gnu', '1.32.0', '1.33.0', '*.node')),
  heldOut(debian('python', 'C, amd64', 'python3.11-minimal', 'amd64', 'usr/bin/python3.11')),
  heldOut(debian('perl', 'C, amd64', 'perl-base', 'amd64', 'usr/bin/perl')),
  heldOut(debian('libdns', 'C, amd64', 'bind9-libs', 'amd64', 'usr/lib/*/libdns-*.so')),
  heldOut(debian('systemd', 'C, amd64', 'libsystemd-shared', 'amd64', 'usr/lib/*/systemd/libsystemd-shared-*.so')),
  heldOut(debian('squid', 'C++, amd64', 'squid', 'amd64', 'usr/sbin/squid')),
  heldOut(debian('sshd-arm64', 'C, arm64', 'openssh-server', 'arm64', 'usr/sbin/sshd')),
  heldOut(debian('postgres-arm64', 'C, arm64', 'postgresql-15', 'arm64', 'usr/lib/postgresql/15/bin/postgres')),
  heldOut(debian('libcrypto-i386', 'C, i386', 'libssl3', 'i386', 'usr/lib/*/libcrypto.so.3')),
  {
    ...npm('esbuild-freebsd', 'Go, amd64: 3 bytes differ', '@esbuild/freebsd-x64', '0.27.6', '0.27.7', 'bin/esbuild'),
    kind: 'overhead',
  },
  { ...npm('swc', 'Rust, amd64: packed', '@swc/core-linux-x64-gnu', '1.16.21', '1.16.22', '*.node'), kind: 'packed' },
  {
    name: 'tree-base',
    kind: 'tree',
    what: 'tar of a base system',
    heldOut: false,
    source: {
      kind: 'debian-tree',
      packages:
        // With a security update each, when this was written.
        'libc6 libc-bin locales openssl libssl3 systemd libsystemd0 libsystemd-shared udev perl-base perl-modules-5.36 libperl5.36 ' +
        'python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3.11 openssh-server openssh-client curl libcurl4 ' +
        'libcurl3-gnutls bind9 bind9-libs bind9-host bind9-dnsutils bind9-utils sudo apt tzdata libglib2.0-0 nginx nginx-common ' +
        'unbound libxml2 rsync util-linux ca-certificates xz-utils libexpat1 libarchive13 ' +
        // Without.
        'bash tar dpkg passwd login findutils grep sed gzip bzip2 diffutils procps e2fsprogs gawk less file libmagic1 groff-base man-db ' +
        'iproute2 iptables kmod nano tcpdump cron logrotate screen tmux lsof psmisc ncurses-bin ncurses-base libncurses6 libreadline8 ' +
        'libgnutls30 libsqlite3-0 libtasn1-6 wget make patch m4 dash debconf',
    },
  },
]

function npm(label: string, what: string, name: string, old: string, next: string, file: string): Pair {
  return { name: label, kind: 'elf', what, heldOut: false, source: { kind: 'npm', name, old, new: next, file } }
}

function debian(label: string, what: string, name: string, architecture: string, file: string): Pair {
  return { name: label, kind: 'elf', what, heldOut: false, source: { kind: 'debian', name, architecture, file } }
}

function heldOut(pair: Pair): Pair {
  return { ...pair, heldOut: true }
}

const home = resolve('.cache/bench-delta')

/** Fetched once, kept below .cache/bench-delta/pairs: two files and `facts.json`; again where the list above has changed. */
export function fetchPair(pair: Pair): Files {
  const folder = join(home, 'pairs', pair.name)
  const { versions, digest } = keptFacts(folder, pair.source) ?? fetchInto(folder, pair.source)
  const paths = { old: join(folder, 'old'), new: join(folder, 'new') }
  return { ...paths, versions, digest, oldBytes: statSync(paths.old).size, newBytes: statSync(paths.new).size }
}

/** What cannot be had is told, and why. */
export function fetchOrTell(pair: Pair): Files | { readonly missing: string } {
  try {
    return fetchPair(pair)
  } catch (error) {
    const missing = (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
    process.stderr.write(`${pair.name}: SKIPPED, it could not be fetched: ${missing}\n`)
    return { missing }
  }
}

type Facts = Pick<Files, 'versions' | 'digest'> & { readonly source: Source }

function keptFacts(folder: string, source: Source): Facts | undefined {
  const file = join(folder, 'facts.json')
  if (!existsSync(file)) return undefined
  const facts = JSON.parse(readFileSync(file, 'utf8')) as Facts
  return JSON.stringify(facts.source) === JSON.stringify(source) ? facts : undefined
}

function fetchInto(folder: string, source: Source): Facts {
  const aside = `${folder}.part`
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  const versions = fetchSource(source, aside)
  const facts: Facts = { versions, digest: digestOf(join(aside, 'old'), join(aside, 'new')), source }
  writeFileSync(join(aside, 'facts.json'), JSON.stringify(facts))
  rmSync(folder, { recursive: true, force: true })
  renameSync(aside, folder)
  return facts
}

/** Lays `old` and `new` into `folder`; their versions. */
function fetchSource(source: Source, folder: string): readonly [string, string] {
  switch (source.kind) {
    case 'npm':
      return fetchNpm(source, folder)
    case 'debian':
      return fetchDebian(source, folder)
    case 'debian-tree':
      return fetchTree(source, folder)
    case 'npm-package':
      for (const side of ['old', 'new'] as const) packNpm(`${source.name}@${source[side]}`, join(folder, side))
      return [source.old, source.new]
    case 'debian-package':
      return fetchPackages(source.name, folder)
    case 'pbi':
      return packPbis(source.name, folder)
  }
}

function fetchNpm(source: Source & { kind: 'npm' }, folder: string): readonly [string, string] {
  for (const side of ['old', 'new'] as const) {
    const tree = join(folder, 'tree')
    fetchPackage(`${source.name}@${source[side]}`, tree)
    takeFile(join(tree, 'package'), source.file, join(folder, side))
    rmSync(tree, { recursive: true })
  }
  return [source.old, source.new]
}

function fetchDebian(source: Source & { kind: 'debian' }, folder: string): readonly [string, string] {
  const apt = aptFor(source.architecture)
  const versions = differingVersions(source.name, apt)
  for (const side of ['old', 'new'] as const) {
    const tree = join(folder, 'tree')
    unpackPackages([archived(source.name, versions[side], source.architecture)], tree, apt)
    takeFile(tree, source.file, join(folder, side))
    rmSync(tree, { recursive: true })
  }
  return [versions.old, versions.new]
}

function differingVersions(name: string, apt: Apt): { readonly old: string; readonly new: string } {
  const versions = twoVersions(name, apt)
  if (versions.old === versions.new) throw new Error(`the configured mirrors have one version of ${name} only`)
  return versions
}

function packPbis(name: string, folder: string): readonly [string, string] {
  const apt = aptFor('amd64')
  const versions = differingVersions(name, apt)
  for (const side of ['old', 'new'] as const) {
    const contents = join(folder, 'contents')
    mkdirSync(join(contents, 'header'), { recursive: true })
    unpackPackages([archived(name, versions[side], 'amd64')], join(contents, 'payload'), apt)
    for (const [member, value] of [
      ['pbi_name', name],
      ['pbi_version', versions[side]],
      ['pbi_arch', 'amd64'],
    ] as const)
      writeFileSync(join(contents, 'header', member), `${value}\n`)
    execFileSync('bash', ['-c', `${bindery} -q pbi pack ${quote(contents)} -o ${side}`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    rmSync(contents, { recursive: true })
  }
  return [versions.old, versions.new]
}

function fetchPackages(name: string, folder: string): readonly [string, string] {
  const apt = aptFor('amd64')
  const versions = differingVersions(name, apt)
  for (const side of ['old', 'new'] as const) downloadPackage(archived(name, versions[side], 'amd64'), join(folder, side), apt)
  return [versions.old, versions.new]
}

function archived(name: string, version: string, architecture: string): string {
  return `${name}${architecture === machineArchitecture() ? '' : `:${architecture}`}=${version}`
}

/** Cut by bindery, so that both are canonical. */
function fetchTree(source: Source & { kind: 'debian-tree' }, folder: string): readonly [string, string] {
  const apt = aptFor('amd64')
  const versions = source.packages.split(' ').map((name) => twoVersions(name, apt))
  for (const side of ['old', 'new'] as const) {
    const tree = join(folder, 'tree')
    unpackPackages(
      versions.map((one) => archived(one.name, one[side], 'amd64')),
      tree,
      apt,
    )
    const name = `--product base --revision ${side} --date 20260101 --arch amd64 --format none`
    execFileSync('bash', ['-c', `${bindery} cut ${quote(tree)} -o ${side} ${name}`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    rmSync(tree, { recursive: true })
  }
  const changed = versions.filter((one) => one.old !== one.new).length
  return [`${changed} of ${versions.length} packages`, 'their updates']
}

function takeFile(tree: string, glob: string, to: string): void {
  const found = globSync(glob, { cwd: tree })
  const [file] = found
  if (file === undefined || found.length > 1) throw new Error(`${glob} matches ${found.length} files of the package`)
  renameSync(join(tree, file), to)
}

const known = new Map<string, Apt>()

/** With its lists updated, once in a run. */
function aptFor(architecture: string): Apt {
  const apt =
    known.get(architecture) ?? (architecture === machineArchitecture() ? native : foreign(architecture, join(home, 'apt', architecture)))
  if (!known.has(architecture)) updateLists(apt)
  known.set(architecture, apt)
  return apt
}

function machineArchitecture(): string {
  return execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim()
}

function digestOf(...files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(file))
  return hash.digest('hex')
}
