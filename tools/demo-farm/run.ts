import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { freePort } from '../../test/helpers/free-port.ts'
import { bindery, line, title } from '../demo/stage.ts'
import { portsEnvironment } from '../../test/helpers/ports-tree/plant.ts'
import { checkOut, commit, makeSources, portNamed, programOf, release } from './ports.ts'
import { installRelease } from './machine.ts'
import { startPart } from './part.ts'
import type { ChildProcess } from 'node:child_process'
import type { Sources } from './ports.ts'
import type { Part } from './part.ts'

/**
 * make demo-farm: commits to a stable branch become signed packages on a mirror, by a controller and builders of two architectures (which
 * are two by name), a signer that is on no network, and an rsync daemon. Every step is checked; the first that is not what it should be ends
 * the demo with status 1. On a terminal the dashboard stays open at the end.
 */
const work = resolve('.cache/demo-farm/work')
const archs = ['amd64', 'arm64'] as const
const parts: Part[] = []
let daemon: ChildProcess | undefined

async function main(): Promise<void> {
  const started = performance.now()
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  try {
    const sources = await prepare()
    const farm = await openFarm(sources)
    await develop(sources, farm)
    await signOffline(farm)
    await takeUpdates(farm)
    title(`From a commit to a machine that knows of its update in ${seconds(started).toFixed(0)} s, every step checked.`)
    await stayOpen(farm)
  } finally {
    for (const part of parts) await part.stop()
    await stopMirror()
  }
  rmSync(work, { recursive: true })
}

async function prepare(): Promise<Sources> {
  title('A ports tree in CVS, and a machine with packages of the release:')
  const started = performance.now()
  const sources = makeSources(work)
  line('30 ports imported, the stable branch begun', seconds(started), 'sqlports knows their flavors and subpackages')
  const build = await bindery(work, [
    'farm',
    'build',
    listOf(['net/curl', 'editors/vim,-main', 'shells/bash', 'sysutils/tree']),
    ...buildWords('amd64', sources.work),
  ])
  const names = installRelease(join(work, 'release'), join(work, 'machine'))
  line('farm build list --release 7.6 …', build.seconds, `installed on the machine: ${names.join(' ')}`)
  return sources
}

function listOf(ports: readonly string[]): string {
  writeFileSync(join(work, 'list'), ports.map((port) => `${port}\n`).join(''))
  return 'list'
}

function buildWords(arch: string, ports: string): readonly string[] {
  return ['-o', 'release', '--release', release, '--arch', arch, ...placeWords(arch, ports)]
}

function placeWords(arch: string, ports: string): readonly string[] {
  return ['--ports', ports, ...portsEnvironment(arch).flatMap((setting) => ['--env', setting])]
}

/** The controller, its mirror, its builders, and where its pages are. */
type Farm = { readonly url: string; readonly controller: Part; readonly token: string }

async function openFarm(sources: Sources): Promise<Farm> {
  title('A farm: a controller with its database embedded, two builders, a mirror by rsync')
  const mirror = await startMirror()
  await bindery(work, ['keygen', '--no-passphrase', '-p', 'farm-76-pkg.pub', '-s', 'farm-76-pkg.sec'])
  mkdirSync(join(work, 'farm'))
  copyFileSync(join(work, 'farm-76-pkg.pub'), join(work, 'farm/farm-76-pkg.pub'))
  writeFileSync(join(work, 'farm/farm.toml'), configOf(sources, mirror))
  const controller = await startController()
  const url = /pages at (\S+)/.exec(controller.said())?.[1] as string
  line('farm run farm --listen 127.0.0.1:0', undefined, url)
  for (const arch of archs) await startBuilder(sources, arch, url)
  const { stdout: token } = await bindery(work, ['farm', 'token', 'farm', 'add', 'cvs', '--read'])
  return { url, controller, token: token.trim() }
}

function configOf({ cvs, sqlports }: Sources, mirror: string): string {
  return `key = "farm-76-pkg.pub"
lease = 30

[branch.stable]
release = "${release}"
cvs = ${JSON.stringify(cvs)}
from = "OPENBSD_7_6_BASE"
to = "OPENBSD_7_6"
sqlports = ${JSON.stringify(sqlports)}
archs = ${JSON.stringify(archs)}
every = 3600

[retry]
first = 2

[handover]
after = 600

[mirrors]
bring = ["${mirror}"]
`
}

async function startController(): Promise<Part> {
  const controller = startPart(work, 'controller.log', ['farm', 'run', 'farm', '--listen', '127.0.0.1:0'])
  parts.push(controller)
  await controller.heard(/runs: /)
  return controller
}

async function startBuilder(sources: Sources, arch: string, url: string): Promise<void> {
  const ports = checkOut(sources, work, `ports-${arch}`)
  const enroll = await bindery(work, ['farm', 'builder', '--enroll', '-s', `${arch}.sec`, '--name', `build-${arch}`, '--arch', arch])
  const add = enroll.stdout
    .trim()
    .replace(/^bindery /, '')
    .replace(' FARM ', ' farm ')
  await bindery(work, wordsOf(add))
  const place = ['--work', `work-${arch}`, '--prepare', 'cvs -Q update -Pd -r "$REVISION" -D "$REVISION_DATE"', ...placeWords(arch, ports)]
  const keys = ['-s', `${arch}.sec`, '-p', 'farm/controller.pub']
  const builder = startPart(work, `build-${arch}.log`, ['farm', 'builder', url, ...keys, '--arch', arch, ...place])
  parts.push(builder)
  await builder.heard(/builds for/)
  line(`farm builder ${url} --arch ${arch} …`, undefined, `build-${arch}, by its key`)
}

/** As sh reads what is to be typed. */
function wordsOf(text: string): readonly string[] {
  return [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? (plain as string))
}

async function startMirror(): Promise<string> {
  mkdirSync(join(work, 'mirror'))
  const port = await freePort()
  const owner = process.getuid?.() === 0 ? 'uid = 0\ngid = 0\n' : ''
  const module = `[pub]\npath = ${join(work, 'mirror')}\nread only = no\n`
  writeFileSync(join(work, 'rsyncd.conf'), `use chroot = no\nlog file = ${join(work, 'rsyncd.log')}\n${owner}${module}`)
  const words = ['--daemon', '--no-detach', `--config=${join(work, 'rsyncd.conf')}`, `--port=${port}`, '--address=127.0.0.1']
  daemon = spawn('rsync', words, { stdio: 'ignore' })
  return `rsync://127.0.0.1:${port}/pub`
}

async function stopMirror(): Promise<void> {
  if (daemon === undefined || daemon.exitCode !== null) return
  const ended = once(daemon, 'exit')
  daemon.kill()
  await ended
}

const newCurl = { ...portNamed('net/curl'), version: '8.10.0', build: programOf('curl', '8.10.0') }
const newVim = { ...portNamed('editors/vim'), version: '9.1.0800', build: programOf('vim', '9.1.0800') }
const badMutt = { ...portNamed('mail/mutt'), version: '2.2.14', build: `${programOf('mutt', '2.2.14')}cc -c no-such-file.c\n` }
const newMutt = { ...badMutt, version: '2.2.14p0', build: programOf('mutt', '2.2.14p0') }

/** Its date is the date of an index of packages. */
const newQuirks = { ...portNamed('devel/quirks'), version: '7.51', build: programOf('quirks', '7.51') }

async function develop(sources: Sources, farm: Farm): Promise<void> {
  const { controller } = farm
  title('Developers commit to the stable branch')
  commit(sources, badMutt, 'update to 2.2.14')
  commit(sources, newVim, 'update to 9.1.0800, from upstream')
  commit(sources, newQuirks, 'what vim was called before')
  commit(sources, newCurl, 'SECURITY update to 8.10.0, fixes CVE-2024-8096')
  line('four commits: mutt, vim, quirks, curl', undefined, 'curl closes a hole, mutt does not build')
  const committed = performance.now()
  await callHook(farm)
  await controller.heard(/net\/curl stable\/amd64: build \d+ waits \(security\)/)
  line('the repository calls /hook/stable', seconds(committed), 'curl goes before the others')
  const failure = await controller.heard(/mail\/mutt stable\/\S+: build \d+: (failed: .*)/)
  line('mutt fails', seconds(committed), (failure[1] as string).split(';')[0] as string)
  commit(sources, newMutt, 'mend the build')
  await callHook(farm)
  for (const arch of archs) await controller.heard(new RegExp(`mail/mutt stable/${arch}: build \\d+: built, 3 packages`))
  line('all is built, on two architectures', seconds(committed), await builtPackages())
}

/** As a repository does by its loginfo. While somebody commits, a look would wait half a minute for the lock, as cvs does. */
async function callHook({ url, token }: Farm): Promise<void> {
  const { status } = await fetch(`${url}hook/stable`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  expect(status === 202, 'the hook is heard')
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000
}

async function builtPackages(): Promise<string> {
  const { stdout } = await bindery(work, ['farm', 'status', 'farm'])
  return `farm status: ${stdout.split('\n').filter((one) => one.startsWith('handover')).length} requests wait for a signature`
}

/** Files are carried there and back; the secret key stays. What is built meanwhile is in the next request. */
async function signOffline({ controller }: Farm): Promise<void> {
  title('The signer, on a machine without a network')
  mkdirSync(join(work, 'offline'))
  renameSync(join(work, 'farm-76-pkg.sec'), join(work, 'offline/farm-76-pkg.sec'))
  const signed = new Set<string>()
  while (!isAllPublished(controller.said())) {
    const open = readdirSync(join(work, 'farm/request')).filter(
      (name) => name.endsWith('.tar') && !name.startsWith('.') && !signed.has(name),
    )
    for (const name of open) await signOne(name)
    for (const name of open) signed.add(name)
    await setTimeout(200)
  }
}

function isAllPublished(said: string): boolean {
  const [made, published] = [/handover \d+: \d+ packages to sign/g, /handover \d+ is published/g].map((one) => said.match(one)?.length ?? 0)
  return made === published && archs.every((arch) => readdirIfThere(mirrored(arch)).some((name) => name.startsWith('mutt-2.2.14p0')))
}

function mirrored(arch: string): string {
  return join(work, 'mirror', release, 'packages-stable', arch)
}

function readdirIfThere(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}

async function signOne(name: string): Promise<void> {
  copyFileSync(join(work, 'farm/request', name), join(work, 'offline', name))
  const sign = await bindery(join(work, 'offline'), ['sign', '-s', 'farm-76-pkg.sec', '-o', `signed-${name}`, name])
  line(`sign -s farm-76-pkg.sec … ${name.replace(/-[0-9a-f]+\.tar$/, '')}`, sign.seconds, summaryOf(sign.stdout + sign.stderr))
  const accept = await bindery(work, ['farm', 'accept', 'farm', join('offline', `signed-${name}`)])
  line(
    `farm accept farm signed-${name.replace(/-[0-9a-f]+\.tar$/, '')}`,
    accept.seconds,
    `${accept.stdout.trim().split('\n').length} packages accepted`,
  )
}

function summaryOf(text: string): string {
  const count = text.match(/[^ ]+\.tgz/g)?.length ?? 0
  return `${count} ${count === 1 ? 'package' : 'packages'} shown and signed`
}

async function takeUpdates({ url }: Farm): Promise<void> {
  title('Published, mirrored, and known to a machine')
  for (const arch of archs) {
    const packages = readdirSync(mirrored(arch)).filter((name) => name.endsWith('.tgz'))
    expect(
      packages.includes('curl-8.10.0.tgz') && packages.includes('mutt-2.2.14p0-gpgme.tgz'),
      `the mirror has what was built for ${arch}`,
    )
    line(`the mirror of ${arch}, by rsync`, undefined, `${packages.length} packages, index.txt, SHA256.sig`)
  }
  const system = ['--mirror', `file://${work}/mirror`, '--kern-version', `OpenBSD ${release}`, '--arch', 'amd64']
  const check = await bindery(work, ['-C', 'machine', 'pkgcheck', ...system])
  line('pkgcheck', check.seconds, check.stdout.trim().split('\n').join('; '))
  expect(/curl/.test(check.stdout) && /vim/.test(check.stdout) && !/bash/.test(check.stdout), 'the machine is told of curl and vim')
  const page = await fetch(url)
  expect(page.status === 200 && (await page.text()).includes('net/curl'), 'the dashboard shows it')
  line('the dashboard', undefined, url)
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`it is not so that ${what}`)
}

async function stayOpen({ url }: Farm): Promise<void> {
  if (!process.stdout.isTTY) return
  title(`The dashboard is open at ${url} until you press Ctrl-C.`)
  await new Promise<void>((done) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => done())
  })
}

await main()
