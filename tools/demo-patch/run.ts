import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { assertSameTree } from '../../test/acceptance/judge.ts'
import { bindery, line, megabytes, title } from '../demo/stage.ts'
import { errataText, saidAfter, saidBefore } from './errata.ts'
import { fetchPackages, makeWorld } from './world.ts'
import type { World } from './world.ts'

/**
 * make demo-patch: mandoc is mended by a signed errata patch, on a machine that has a compiler; one that has none gets the
 * difference, and gives it back, and so does one that has no Node. Every step is checked; the first that is not what it should be ends the demo with status 1.
 */
const work = resolve('.cache/demo-patch/work')

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('run it as root: it builds in a chroot')
  const started = performance.now()
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  const world = prepare()
  await releaseBase(world)
  await makePatch(world)
  await takePatch(world)
  await takeBundle(world)
  rmSync(work, { recursive: true })
  title(
    `From a source patch to a machine without a compiler in ${((performance.now() - started) / 1000).toFixed(0)} s, every step checked.`,
  )
}

function prepare(): World {
  title('A small system: busybox, libc, and mandoc, built from its source by tcc:')
  const started = performance.now()
  fetchPackages()
  const world = makeWorld(work)
  line('unpacked and built', (performance.now() - started) / 1000, 'two sets: base, which machines run, and comp, which builds')
  execFileSync('cp', ['-a', world.base, join(work, 'machine')])
  line('what mandoc says of an empty page', undefined, lint(world.base))
  return world
}

/** The last line that mandoc(1) of `root` has to say of a page that is cut off. */
function lint(root: string): string {
  const page = '.Dd November 1, 2026\n.Dt CUT 1\n.Os\n'
  const script = 'mandoc -T lint 2>&1 | grep body'
  return execFileSync('chroot', [root, '/bin/sh', '-c', script], { input: page, encoding: 'utf8' }).trim()
}

const baseName = ['--product', 'base', '--date', '20261101', '--arch', 'amd64']

async function releaseBase(world: World): Promise<void> {
  title('The maker: release the base')
  await bindery(work, ['init', '-r', 'repo', '-k', 'keys', '--no-passphrase'])
  const cut = await bindery(work, ['cut', 'base', '-o', 'base.tar.zst', '--revision', '7.6', ...baseName])
  line('cut base --product base --revision 7.6 …', cut.seconds, megabytes(statSync(join(work, 'base.tar.zst')).size))
  const publish = await bindery(work, ['publish', '-r', 'repo', '-k', 'keys', 'base.tar.zst'])
  line('publish -r repo -k keys base.tar.zst', publish.seconds, 'the first release of base/amd64')
  await bindery(work, ['keygen', '--no-passphrase', '-p', 'demo-76-base.pub', '-s', 'demo-76-base.sec'])
  writeFileSync(join(work, '001_mandoc.patch'), errataText(world.both))
  const sign = await bindery(work, ['sign', '-e', '-s', 'demo-76-base.sec', '-m', '001_mandoc.patch', '-x', '001_mandoc.patch.sig'])
  line('sign -e … -m 001_mandoc.patch', sign.seconds, 'an errata patch with its signature embedded')
}

async function makePatch(world: World): Promise<void> {
  title('The patch, built by its own instructions over the pristine system')
  execFileSync('cp', ['-a', world.both, join(work, 'pristine')])
  const words = ['capture', '--errata', '001_mandoc.patch.sig', '-p', 'demo-76-base.pub', '-o', '001_mandoc', 'world']
  const capture = await bindery(work, words)
  await assertSameTree(world.both, join(work, 'pristine'))
  line('capture --errata 001_mandoc.patch.sig …', capture.seconds, 'in an overlay; the system itself is as it was (mtree, diff -r)')
  for (const path of readFileSync(join(work, '001_mandoc/plist'), 'utf8').trim().split('\n')) line('', undefined, path)
  const cut = await bindery(work, [
    'cut',
    '001_mandoc',
    '--base',
    'base.tar.zst',
    '--beside',
    'comp',
    '-o',
    'p1.tar.zst',
    '--revision',
    '7.6p1',
  ])
  line('cut 001_mandoc --base base.tar.zst …', cut.seconds, 'the base as it is with the patch')
  const publish = await bindery(work, ['publish', '-r', 'repo', '-k', 'keys', '--security', 'p1.tar.zst'])
  const delta = execFileSync('sh', ['-c', 'find repo/blobs -name "*.delta" | xargs ls -l | awk "{print \\$5}"'], {
    cwd: work,
    encoding: 'utf8',
  })
  line('publish -r repo -k keys --security p1.tar.zst', publish.seconds, `a delta of ${megabytes(Number(delta.trim().split('\n')[0]))}`)
}

async function takePatch(world: World): Promise<void> {
  title('A machine that has no compiler')
  const enroll = await bindery(work, ['-C', 'machine', 'enroll', `file://${work}/repo`, 'repo/metadata/1.root.json', 'base/amd64'])
  line('enroll …', enroll.seconds, 'finds release 7.6 installed')
  const install = await bindery(work, ['-C', 'machine', 'install'])
  expect(lint(join(work, 'machine')).includes(saidAfter), 'the machine runs the mended mandoc')
  line('install', install.seconds, lint(join(work, 'machine')))
  const audit = await bindery(work, ['-C', 'machine', 'audit'])
  line('audit', audit.seconds, 'no difference from the signed manifest')
  const rollback = await bindery(work, ['-C', 'machine', 'rollback'])
  await assertSameTree(join(work, 'machine'), world.base)
  expect(lint(join(work, 'machine')).endsWith(saidBefore), 'the machine runs the former mandoc')
  line('rollback', rollback.seconds, 'the tree is release 7.6 (mtree, diff -r)')
}

/** The same patch for a machine that has no Node either: busybox is all that it has. */
async function takeBundle(world: World): Promise<void> {
  title('A machine that has neither a compiler nor Node: busybox')
  await bindery(work, ['keygen', '--no-passphrase', '-p', 'bundles.pub', '-s', 'bundles.sec'])
  const made = await bindery(work, ['bundle', '-r', 'repo', '-s', 'bundles.sec', 'base/amd64'])
  const file = join('repo/bundles', readdirSync(join(work, 'repo/bundles')).find((name) => name.endsWith('.sh')) as string)
  line('bundle -r repo -s bundles.sec base/amd64', made.seconds, megabytes(statSync(join(work, file)).size))
  const verify = await bindery(join(work, 'repo/bundles'), [
    'verify',
    '--check',
    '-p',
    '../../bundles.pub',
    '-x',
    '../SHA256.sig',
    basename(file),
  ])
  line('verify --check -x SHA256.sig …', verify.seconds, 'from outside, before any of it runs (signify -C does the same)')
  execFileSync('cp', ['-a', world.base, join(work, 'small')])
  ash(['-R', 'small', 'install'], file)
  expect(lint(join(work, 'small')).includes(saidAfter), 'the machine runs the mended mandoc')
  line('busybox ash BUNDLE install', undefined, lint(join(work, 'small')))
  ash(['-R', 'small', 'rollback'], file)
  // touch(1) of busybox knows no fractions of a second.
  await assertSameTree(join(work, 'small'), world.base, ['time'])
  line('busybox ash BUNDLE rollback', undefined, 'the tree is release 7.6 (mtree, diff -r)')
}

/** With the tools of busybox alone. */
function ash(words: readonly string[], file: string): void {
  const applets = join(work, 'applets')
  if (!existsSync(applets)) {
    mkdirSync(applets)
    execFileSync('busybox', ['--install', '-s', applets])
  }
  execFileSync('/bin/busybox', ['ash', file, ...words], { cwd: work, env: { PATH: applets }, stdio: ['ignore', 'ignore', 'pipe'] })
}

function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`it should be that ${what}`)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`demo-patch: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
