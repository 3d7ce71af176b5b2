// What a controller costs: idle on each engine, and by the call, the megabyte and the row. doc/scale.md reckons with these figures.
// --seconds N for how long the idle one is watched (default 60).
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { sha256 } from '../../src/base/digest.ts'
import { sendPackage } from '../../src/engine/farm/remote/send.ts'
import { beatTarget, claimTarget } from '../../src/engine/farm/remote/targets.ts'
import { encodeBeat, encodeClaim } from '../../src/format/farm-work.ts'
import { targetAt } from '../../src/command/farm-mirror-target.ts'
import { visitMirror } from '../../src/command/farm-mirror-visit.ts'
import { hostExec } from '../../src/host/exec.ts'
import { hostHttp } from '../../src/host/http.ts'
import { serveSite } from '../../test/helpers/site.ts'
import { linkTo, withController } from '../../test/helpers/farm/controller.ts'
import { farmFolder } from '../../test/helpers/farm-database.ts'
import { packageKey, writeMirror } from '../../test/helpers/openbsd-mirror/mirror.ts'
import { packageOf } from '../../test/helpers/openbsd-mirror/package-facts.ts'
import { unsignedPackage } from '../../test/helpers/openbsd-mirror/package-file.ts'
import { needsPostgres, startCluster } from '../../test/helpers/postgres.ts'

const given = process.argv.indexOf('--seconds')
const watched = given < 0 ? 60 : Number(process.argv[given + 1])
/** Until then PGlite's code is compiled anew as it is used: 2 % of a processor in the first minute, 0.7 % in the fourth. */
const settling = 3 * watched

const out = (line: string): void => void process.stdout.write(`${line}\n`)

/** With one branch to look at, its pages open to all. */
async function idle(name: string, farm: string, databaseUrl: string | undefined): Promise<void> {
  const config = `key = "signer.pub"\n[branch.stable]\nrelease = "7.6"\ngit = "/nonexistent"\nfrom = "release"\nto = "stable"\narchs = ["amd64"]\npoll = "true"\n`
  writeFileSync(join(farm, 'farm.toml'), config)
  writeFileSync(join(farm, 'signer.pub'), (await packageKey()).publicKeyFile)
  const env = { ...process.env, ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }) }
  const words = [resolve('dist/bindery.js'), 'farm', 'run', farm, '--listen', '127.0.0.1:0']
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'], env })
  const ended = new Promise((done) => child.once('close', done))
  try {
    await new Promise<void>((done, fail) => {
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes('pages at')) done()
      })
      child.once('close', () => fail(new Error(said)))
    })
    await setTimeout(settling * 1000)
    const before = cpuSeconds(child.pid as number)
    await setTimeout(watched * 1000)
    const used = cpuSeconds(child.pid as number) - before
    out(`${name}\tidle controller\t${((100 * used) / watched).toFixed(2)} % of a processor\t${memory(child.pid as number)}`)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

/** Fields 14 and 15 of proc_pid_stat(5), in hundredths. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function memory(pid: number): string {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const mebibytes = (field: string): number => Math.round(Number(new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(status)?.[1]) / 1024)
  return `${mebibytes('VmRSS')} MiB, ${mebibytes('VmHWM')} at most`
}

/** Both sides of it on this machine, so that a controller alone does better. */
async function calls(): Promise<void> {
  await withController({}, async (controller) => {
    const { signer } = await controller.enroll('one')
    const link = linkTo(controller, { signer })
    const signal = new AbortController().signal
    controller.queue.add({ pkgpath: 'net/curl' })
    const claim = { target: claimTarget, body: encodeClaim({ held: [], waitSeconds: 0, load: 0 }), signal }
    const answer = await link.call(claim)
    if (answer.kind !== 'lease') throw new Error(answer.kind)
    const beat = { target: beatTarget(answer.lease.id), body: encodeBeat({ load: 0 }), signal }
    const beats = 2000
    const started = performance.now()
    for (let turn = 0; turn < beats; turn++) await link.call(beat)
    out(`signed calls\t${Math.round(beats / ((performance.now() - started) / 1000))}/s, one after the other`)
    const bytes = unsignedPackage(packageOf({ name: 'curl-8.5.0', pkgpath: 'net/curl', ballast: 128 << 20 }))
    const whole = { file: 'curl-8.5.0.tgz', size: bytes.length, sha256: sha256(bytes) }
    const source = { size: bytes.length, read: async (start: number, end: number) => await Promise.resolve(bytes.slice(start, end)) }
    const sent = performance.now()
    await sendPackage({ link, lease: answer.lease, signal }, whole, source)
    out(`packages\t${Math.round(bytes.length / 1e6 / ((performance.now() - sent) / 1000))} MB/s, sent and checked`)
  })
}

/** What a visit of a mirror asks for: an index, and of each package that has to be looked at a range. Both sides of it on this machine. */
async function looks(): Promise<void> {
  const set = '7.6/packages-stable/amd64'
  const folder = mkdtempSync(join(tmpdir(), 'bindery-bench-'))
  const packages = Array.from({ length: 500 }, (_, number) => packageOf({ name: `port${number}-1.0`, pkgpath: `category/port${number}` }))
  const names = await writeMirror({ folder: join(folder, set), packages })
  const pages = [...names, 'index.txt'].map((name) => [`/${set}/${name}`, { bytes: readFileSync(join(folder, set, name)) }] as const)
  const site = await serveSite(new Map(pages))
  const world = {
    http: hostHttp(),
    clock: { now: () => Date.now() },
    exec: hostExec,
    environment: {},
    signal: new AbortController().signal,
  }
  const target = targetAt(world, site.base)
  const visit = async (): Promise<void> =>
    await visitMirror({ explain: () => {} }, { target, ours: folder, sets: [set], bring: false }, async (_, { kind }) => {
      if (kind !== 'current') throw new Error(kind)
    })
  const first = await seconds(visit)
  out(`a mirror of ${names.length} files, looked at\t${Math.round(names.length / first)} files/s, one after the other`)
  out(`again, its index alone\t${Math.round(1000 * (await seconds(visit)))} ms`)
  await site.close()
  rmSync(folder, { recursive: true })
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

await calls()
await looks()
const folder = await farmFolder()
await idle('PGlite', folder, undefined)
rmSync(folder, { recursive: true })
const { skip } = needsPostgres()
if (skip === undefined) {
  const cluster = await startCluster()
  const farm = mkdtempSync(join(tmpdir(), 'bindery-bench-'))
  try {
    await idle('PostgreSQL', farm, await cluster.database())
  } finally {
    await cluster.stop()
    rmSync(farm, { recursive: true })
  }
} else out(`PostgreSQL: ${skip}`)
