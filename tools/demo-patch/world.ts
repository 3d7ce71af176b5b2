import { execFileSync, type ExecFileSyncOptions } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * Two sets of a small system, in which mandoc(1) is built from its source by tcc(1): `base` is what a machine runs,
 * `comp` what one needs to build. Packages and source come from the configured Debian mirrors, once.
 */
const basePackages = ['libc6', 'libcrypt1', 'zlib1g']
const compPackages = ['libc6-dev', 'libcrypt-dev', 'libtcc-dev', 'linux-libc-dev', 'make', 'tcc', 'zlib1g-dev']

const cache = resolve('.cache/demo-patch/packages')

export const sourceFolder = 'usr/src/mandoc'

export type World = { readonly base: string; readonly comp: string; readonly both: string }

/** Fetches what is not there yet: the second run needs no network. */
export function fetchPackages(): void {
  if (existsSync(cache)) return
  const part = `${cache}.part`
  rmSync(part, { recursive: true, force: true })
  for (const folder of ['base', 'comp', 'source']) mkdirSync(join(part, folder), { recursive: true })
  const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'pipe'] }
  execFileSync('apt-get', ['update', '-qq'], quiet)
  // apt's own unprivileged user may not write here.
  const download = ['-o', 'APT::Sandbox::User=root', 'download', '-qq']
  execFileSync('apt-get', [...download, ...basePackages], { ...quiet, cwd: join(part, 'base') })
  execFileSync('apt-get', [...download, ...compPackages], { ...quiet, cwd: join(part, 'comp') })
  const sources = sourceLists(part)
  execFileSync('apt-get', [...sources, 'update', '-qq'], quiet)
  execFileSync('apt-get', [...sources, 'source', '--download-only', '-qq', 'mandoc'], { ...quiet, cwd: join(part, 'source') })
  rmSync(join(part, 'apt'), { recursive: true })
  renameSync(part, cache)
}

/** The configured mirrors as sources of sources, with lists of their own, so that the system's apt never hears of them. */
function sourceLists(folder: string): readonly string[] {
  const home = join(folder, 'apt')
  for (const name of ['lists/partial', 'cache/archives/partial', 'parts']) mkdirSync(join(home, name), { recursive: true })
  for (const [n, file] of [
    ...globSync('/etc/apt/sources.list.d/*.sources'),
    ...globSync('/etc/apt/sources.list.d/*.list'),
    ...globSync('/etc/apt/sources.list'),
  ].entries()) {
    const text = readFileSync(file, 'utf8')
      .replaceAll(/^Types:.*$/gm, 'Types: deb-src')
      .replaceAll(/^deb\s/gm, 'deb-src ')
    writeFileSync(join(home, 'parts', `${n}.${file.endsWith('.sources') ? 'sources' : 'list'}`), text)
  }
  const settings = [
    'Dir::Etc::SourceList=/dev/null',
    `Dir::Etc::SourceParts=${home}/parts`,
    `Dir::State=${home}`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${home}/cache`,
    'APT::Sandbox::User=root',
  ]
  return settings.flatMap((setting) => ['-o', setting])
}

/** Below `work`: the two sets, and both of them in one tree, with mandoc built and installed. */
export function makeWorld(work: string): World {
  const world = { base: join(work, 'base'), comp: join(work, 'comp'), both: join(work, 'world') }
  for (const root of [world.base, world.comp]) mkdirSync(join(root, 'usr/bin'), { recursive: true })
  makeBase(world.base)
  makeComp(world.comp)
  execFileSync('cp', ['-a', `${world.base}/.`, world.both])
  execFileSync('cp', ['-a', `${world.comp}/.`, world.both])
  buildMandoc(world)
  return world
}

function unpack(set: 'base' | 'comp', root: string): void {
  for (const deb of globSync(join(cache, set, '*.deb')).toSorted()) execFileSync('dpkg-deb', ['-x', deb, root])
  rmSync(join(root, 'usr/share/doc'), { recursive: true, force: true })
}

const applets =
  'awk basename cat chmod cp cut date diff dirname echo env expr false find grep gzip head id ln ls mkdir mv patch printf pwd rm rmdir sed sh sleep sort tail tar test touch tr true uname uniq wc xargs'

function makeBase(root: string): void {
  unpack('base', root)
  for (const folder of ['bin', 'dev', 'etc', 'proc', 'root', 'tmp', 'usr/sbin', 'var']) mkdirSync(join(root, folder), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  for (const name of applets.split(' ')) symlinkSync('busybox', join(root, 'bin', name))
  writeFileSync(join(root, 'etc/passwd'), 'root:*:0:0:Charlie &:/root:/bin/sh\n')
  writeFileSync(join(root, 'etc/group'), 'wheel:*:0:root\n')
}

/** install(1) as far as a Makefile needs it: `install -m MODE FILE ... FOLDER`, or FILE FILE. */
const install = `#!/bin/sh
set -e
mode=$2; shift 2
for target; do :; done
while [ $# -gt 1 ]; do
	file=$target; [ ! -d "$target" ] || file=$target/\${1##*/}
	rm -f "$file"; cp "$1" "$file"; chmod "$mode" "$file"; shift
done
`

function makeComp(root: string): void {
  unpack('comp', root)
  symlinkSync('tcc', join(root, 'usr/bin/cc'))
  for (const [name, text] of [
    ['ar', '#!/bin/sh\nexec tcc -ar "$@"\n'],
    ['install', install],
  ] as const) {
    writeFileSync(join(root, 'usr/bin', name), text)
    chmodSync(join(root, 'usr/bin', name), 0o755)
  }
  const source = join(root, sourceFolder)
  mkdirSync(source, { recursive: true })
  execFileSync('tar', ['-xzf', globSync(join(cache, 'source/*.orig.tar.gz'))[0] as string, '--strip-components=1', '-C', source])
  // tcc takes no arrays of variable length in the headers of glibc.
  writeFileSync(join(source, 'configure.local'), 'CC=cc\nCFLAGS="-g -D__STDC_NO_VLA__"\nPREFIX=/usr\nMANDIR=/usr/share/man\n')
}

/** In both sets at once; what is installed belongs to base, objects and sources to comp. */
function buildMandoc({ base, comp, both }: World): void {
  const script = `exec </dev/null; cd /${sourceFolder} && ./configure && make && make install DESTDIR=/tmp/made`
  const build = ['-i', 'PATH=/usr/bin:/bin:/usr/sbin:/sbin', '/bin/sh', '-c', script]
  execFileSync('mknod', ['-m', '666', join(both, 'dev/null'), 'c', '1', '3'])
  execFileSync('chroot', [both, '/bin/env', ...build], { stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 })
  rmSync(join(both, 'dev/null'))
  for (const root of [base, both]) execFileSync('cp', ['-a', `${join(both, 'tmp/made')}/.`, root])
  rmSync(join(both, 'tmp/made'), { recursive: true })
  rmSync(join(comp, sourceFolder), { recursive: true })
  execFileSync('cp', ['-a', join(both, sourceFolder), join(comp, sourceFolder)])
}
