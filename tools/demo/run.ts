import { execFileSync } from 'node:child_process'
import { appendFileSync, globSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { assertSameTree } from '../../test/acceptance/judge.ts'
import { changedPaths, killInstall } from './kill.ts'
import { programs } from './programs.ts'
import { startRelay, type Counts, type Relay } from './relay.ts'
import { bindery, line, megabytes, portOf, startBindery, title } from './stage.ts'
import { makeSystems } from './system.ts'

/**
 * make demo: the whole road on real programs, over HTTP on loopback, with a kill in the middle. Every step is checked;
 * the first that is not what it should be ends the demo with status 1.
 */
const work = resolve('.cache/demo/work')

async function main(): Promise<void> {
  const started = performance.now()
  prepare()
  await makeReleases()
  const server = startBindery(work, ['serve', '-r', 'repo', '--listen', '127.0.0.1:0'])
  const relay = await startRelay(await portOf(server))
  try {
    await takeUpdate(relay)
    await killAndRecover(relay)
    await mendAndRollBack(relay)
  } finally {
    relay.close()
    server.kill()
  }
  rmSync(work, { recursive: true })
  title(`The whole road in ${((performance.now() - started) / 1000).toFixed(0)} s, every step checked.`)
}

function prepare(): void {
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  makeSystems(join(work, 'old'), join(work, 'new'))
  title('Two releases of a small system, with real OpenBSD programs:')
  for (const program of programs) line(program.path, undefined, `${program.label} ${program.old} -> ${program.new}`)
  line('paths whose content or target changes', undefined, `${changedPaths(work).length}`)
}

async function makeReleases(): Promise<void> {
  title('The maker: cut both trees, publish them in a signed repository')
  const init = await bindery(work, ['init', '-r', 'repo', '-k', 'keys', '--no-passphrase'])
  line('init -r repo -k keys', init.seconds, 'role keys, root of trust')
  for (const [tree, revision, date] of [
    ['old', '1.0', '20260101'],
    ['new', '1.1', '20260201'],
  ] as const) {
    const name = ['--product', 'base', '--revision', revision, '--date', date, '--arch', 'amd64']
    const cut = await bindery(work, ['cut', tree, '-o', `${revision}.tar.zst`, ...name])
    line(`cut ${tree} --product base --revision ${revision} …`, cut.seconds, megabytes(statSync(join(work, `${revision}.tar.zst`)).size))
  }
  for (const revision of ['1.0', '1.1']) {
    const publish = await bindery(work, ['publish', '-r', 'repo', '-k', 'keys', `${revision}.tar.zst`])
    line(`publish -r repo -k keys ${revision}.tar.zst`, publish.seconds, revision === '1.0' ? 'the first release of base/amd64' : shares())
  }
}

/** The delta beside what it saves. */
function shares(): string {
  const delta = sizeOf(blobs('*.delta'))
  const full = sizeOf(['1.1.tar.zst'])
  return `delta ${megabytes(delta)}: ${((100 * delta) / full).toFixed(1)} % of the full ${megabytes(full)}`
}

function blobs(pattern: string): readonly string[] {
  return globSync(`repo/blobs/**/${pattern}`, { cwd: work })
}

function sizeOf(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + statSync(join(work, file)).size, 0)
}

async function takeUpdate(relay: Relay): Promise<void> {
  title('A machine with release 1.0: enroll it, look, download')
  execFileSync('cp', ['-a', 'old', 'machine'], { cwd: work })
  const enroll = await bindery(work, ['-C', 'machine', 'enroll', relay.url, 'repo/metadata/1.root.json', 'base/amd64'])
  line('enroll URL 1.root.json base/amd64', enroll.seconds, wire(relay.takeCounts()))
  const check = await bindery(work, ['-C', 'machine', 'check', '-e'], 10)
  line('check', check.seconds, check.stdout.trim().split('\n')[0] ?? '')
  relay.takeCounts()
  const plan = await bindery(work, ['-C', 'machine', 'install', '-n'])
  line('install -n', plan.seconds, `${plan.stdout.trim().split('\n').length} lines of plan, nothing changed`)
  const fetched = await bindery(work, ['-C', 'machine', 'fetch'])
  const counts = relay.takeCounts()
  line('fetch', fetched.seconds, wire(counts))
  const share = counts.received / sizeOf(['1.1.tar.zst'])
  line('in all', undefined, `${(100 * share).toFixed(1)} % of the full release for everything that the update needs`)
}

function wire({ connections, sent, received }: Counts): string {
  return `on the wire: ${megabytes(received)} received, ${megabytes(sent)} sent, ${connections} connection${connections === 1 ? '' : 's'}`
}

async function killAndRecover(relay: Relay): Promise<void> {
  title('Install, and pull the plug in the middle')
  const halves = await killInstall(
    work,
    changedPaths(work),
    programs.map((program) => program.path),
  )
  line('install, ended by kill -9', undefined, `${halves.new} changed paths are new, ${halves.old} still old, none is anything else`)
  const recover = await bindery(work, ['-C', 'machine', 'recover'])
  await assertSameTree(join(work, 'machine'), join(work, 'new'))
  line('recover', recover.seconds, 'the tree is release 1.1 (mtree, diff -r)')
  const audit = await bindery(work, ['-C', 'machine', 'audit'])
  line('audit', audit.seconds, 'no difference from the signed manifest')
  relay.takeCounts()
  const check = await bindery(work, ['-C', 'machine', 'check', '-e'])
  line('check, now that it is current', check.seconds, wire(relay.takeCounts()))
}

async function mendAndRollBack(relay: Relay): Promise<void> {
  title('Somebody damages a program; then the release is taken back')
  appendFileSync(join(work, 'machine/usr/local/bin/esbuild'), 'damage')
  const found = await bindery(work, ['-C', 'machine', 'audit'], 7)
  line('audit', found.seconds, found.stdout.trim().split('\n')[0] ?? '')
  relay.takeCounts()
  const repair = await bindery(work, ['-C', 'machine', 'audit', '--repair'])
  await assertSameTree(join(work, 'machine'), join(work, 'new'))
  line('audit --repair', repair.seconds, `as signed again; ${wire(relay.takeCounts())}`)
  const rollback = await bindery(work, ['-C', 'machine', 'rollback'])
  await assertSameTree(join(work, 'machine'), join(work, 'old'))
  line('rollback', rollback.seconds, 'the tree is release 1.0 (mtree, diff -r)')
  const again = await bindery(work, ['-C', 'machine', 'install'])
  await assertSameTree(join(work, 'machine'), join(work, 'new'))
  line('install', again.seconds, 'and release 1.1 again')
}

try {
  await main()
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
