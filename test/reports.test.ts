import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { makeKeyPair, openKeyFile, signatureBy, unsealed } from '../src/engine/repo/key-file.ts'
import { decodeReport, encodeReport } from '../src/format/report.ts'
import { decodePublicKeyLine, encodePublicKey, encodeSignedMessage } from '../src/format/signify.ts'
import { systemRandom } from '../src/host/ambient.ts'
import { needs } from './helpers/programs.ts'
import { withRsyncDaemon } from './helpers/rsync-daemon.ts'
import { runCommand } from './helpers/run-command.ts'
import { startDashboard } from './helpers/dashboard.ts'
import type { Command, Context } from '../src/command/command.ts'
import type { Signer } from '../src/engine/repo/key-file.ts'
import type { VersionReport } from '../src/format/report.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Reports of machines: what install leaves behind, and what list --fleet makes of it. */

const work = mkdtempSync(join(tmpdir(), 'bindery-reports-'))
const at = (...names: readonly string[]): string => join(work, ...names)
let clock = Date.parse('2026-11-29T12:00:00Z')

async function run(command: Command, words: readonly string[], overrides: Partial<Context> = {}): Promise<Outcome> {
  return await runCommand(command, words, { clock: { now: () => clock }, ...overrides })
}

async function good(command: Command, words: readonly string[], overrides: Partial<Context> = {}): Promise<Outcome> {
  const outcome = await run(command, words, overrides)
  assert.equal(outcome.status, 0, outcome.error?.message ?? outcome.stderr.join('\n'))
  return outcome
}

async function release(revision: string): Promise<void> {
  for (const folder of ['etc', 'var/db']) mkdirSync(at(`r${revision}`, folder), { recursive: true })
  writeFileSync(at(`r${revision}`, 'etc/release'), `${revision}\n`)
  const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
  await good(cut, [at(`r${revision}`), '-o', at(`${revision}.tar.zst`), ...name])
  await good(publish, ['-r', at('repo'), '-k', at('keys'), at(`${revision}.tar.zst`)])
}

/** A machine with 1.0, and where it leaves its reports. */
async function machine(name: string, report: string, repository = 'repo'): Promise<{ readonly root: string }> {
  const root = at(name)
  cpSync(at('r1.0'), root, { recursive: true })
  writeFileSync(join(root, 'etc/hostname'), `${name}.example.org\n`)
  writeFileSync(join(root, 'etc/bindery.conf'), `${report}\n`)
  await good(enroll, [`file://${at(repository)}`, at(repository, 'metadata/1.root.json'), 'base/amd64'], { root })
  return { root }
}

let folders = 0
function folder(): string {
  const path = at(`reports${++folders}`)
  mkdirSync(path)
  return path
}

before(async () => {
  await good(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])
  await release('1.0')
  await release('1.1')
})

after(() => rmSync(work, { recursive: true, force: true }))

test('an install leaves a report that signify verifies, by a key that only root reads; a rollback takes its place', async () => {
  const reports = folder()
  const { root } = await machine('plain', `report ${reports}`)
  await good(install, [], { root })
  const [file = '', ...others] = readdirSync(reports)
  assert.deepEqual(others, [])
  assert.match(file, /^plain\.example\.org-[0-9a-f]{16}\.report$/)
  assert.equal(statSync(join(root, 'var/db/bindery/machine.sec')).mode & 0o777, 0o600)
  const { report } = decodeReport(readFileSync(join(reports, file)))
  assert.deepEqual(
    [report.machine, report.last, report.reboot, report.releases],
    [
      'plain.example.org',
      { verb: 'install', status: 0, code: undefined },
      'none',
      [{ channel: 'base/amd64', release: 'base-1.1-20260101-amd64' }],
    ],
  )
  clock += 1000
  await good(rollback, [], { root })
  const later = decodeReport(readFileSync(join(reports, file))).report
  assert.deepEqual([later.last.verb, later.releases[0]?.release], ['rollback', 'base-1.0-20260101-amd64'])
  await good(install, ['--report', 'none'], { root })
  assert.equal(decodeReport(readFileSync(join(reports, file))).report.last.verb, 'rollback')
})

test('a report goes to a real rsync daemon, and takes the place of the one before', needs('rsync'), async () => {
  const [own, module] = [folder(), folder()]
  await withRsyncDaemon({ folder: own, module }, async (url) => {
    const { root } = await machine('far', `report ${url}/`)
    await good(install, [], { root })
    clock += 1000
    await good(rollback, [], { root })
    const [file = '', ...others] = readdirSync(module)
    assert.deepEqual(others, [])
    assert.equal(decodeReport(readFileSync(join(module, file))).report.last.verb, 'rollback')
  })
})

test('signify believes a report', needs('signify-openbsd'), async () => {
  const reports = folder()
  const { root } = await machine('judged', `report ${reports}\nmachine named-by-hand`)
  await good(install, [], { root })
  const [file = ''] = readdirSync(reports)
  const bytes = readFileSync(join(reports, file))
  const key = /^key (.*)$/m.exec(bytes.toString())?.[1] ?? ''
  assert.match(bytes.toString(), /^machine named-by-hand$/m)
  writeFileSync(at('machine.pub'), encodePublicKey({ ...decodePublicKeyLine(key), comment: 'machine' }))
  execFileSync('signify-openbsd', ['-V', '-e', '-q', '-p', at('machine.pub'), '-x', join(reports, file), '-m', at('message')])
})

test('an install that fails says so in its report; one whose report cannot be left says that, and has installed', async () => {
  const reports = folder()
  cpSync(at('repo'), at('torn'), { recursive: true })
  const failing = await machine('failing', `report ${reports}`, 'torn')
  rmSync(at('torn/blobs'), { recursive: true })
  const failed = await run(install, [], failing)
  const [file = ''] = readdirSync(reports)
  const { last, releases } = decodeReport(readFileSync(join(reports, file))).report
  assert.deepEqual(last, { verb: 'install', status: failed.status, code: failed.code })
  assert.equal(releases[0]?.release, 'base-1.0-20260101-amd64')

  const unheard = await machine('unheard', `report /nowhere/at/all\nreport http://127.0.0.1:9/report\nreport ${reports}`)
  const { status, stderr } = await run(install, [], unheard)
  assert.equal(status, 0)
  assert.equal(stderr.filter((line) => line.startsWith('no report was left: ')).length, 2)
  assert.equal(readFileSync(join(unheard.root, 'etc/release'), 'utf8'), '1.1\n')
  assert.equal(readdirSync(reports).length, 2)

  const nameless = await machine('nameless', `report ${reports}`)
  rmSync(join(nameless.root, 'etc/hostname'))
  assert.match((await good(install, [], nameless)).stderr.join('\n'), /no report was left: nothing says what this machine is called/)
})

test('a dashboard takes reports, and believes a name by one key', async () => {
  const dashboard = await startDashboard()
  try {
    const { root } = await machine('posting', `report ${dashboard.url}report\nmachine www1`)
    dashboard.pass(clock - dashboard.facts.now)
    assert.deepEqual((await good(install, [], { root })).stderr, [])
    assert.deepEqual(
      dashboard.reports.map(({ machine: name, lastRun }) => [name, lastRun]),
      [['www1', 'install 0']],
    )
    clock += 1000
    rmSync(join(root, 'var/db/bindery/machine.sec'))
    assert.match((await good(install, [], { root })).stderr.join('\n'), /answers with status 403: is known by another key/)
  } finally {
    await dashboard.close()
  }
})

test('list --fleet tells versions, ages and failures; what is damaged or forged is refused, what is copied is shown', async () => {
  const reports = folder()
  const [own, image, stranger] = [await newSigner(), await newSigner(), await newSigner()]
  const leave = (file: string, bytes: Uint8Array): void => writeFileSync(join(reports, `${file}.report`), bytes)
  const hours = (count: number): number => clock / 1000 - count * 3600
  leave('www1', signed(own, { machine: 'www1', time: hours(3) }))
  leave('www1-older', signed(own, { machine: 'www1', time: hours(9), release: 'base-0.9-20250101-amd64' }))
  leave(
    'www2',
    signed(stranger, { machine: 'www2', time: hours(72), last: { verb: 'install', status: 1, code: 'no-space' }, reboot: 'reboot' }),
  )
  for (let i = 0; i < 100; i++) leave(`golden${i}`, signed(image, { machine: `golden${i}`, time: hours(1) }))
  leave('www1-again', signed(await newSigner(), { machine: 'www1', time: hours(2) }))
  leave('late', signed(await newSigner(), { machine: 'late', time: hours(-5) }))
  leave(
    'forged',
    Buffer.from(
      Buffer.from(signed(own, { machine: 'www3', time: hours(1) }))
        .toString()
        .replace('www3', 'www4'),
    ),
  )
  leave('damaged', Buffer.from('nonsense'))
  leave('large', new Uint8Array(70_000))

  const text = await run(list, ['--fleet', reports])
  assert.equal(text.status, 6)
  assert.deepEqual(text.stderr.toSorted(), [
    "damaged.report: does not begin with 'untrusted comment: '",
    'forged.report: the signature does not fit the message',
    'large.report: is larger than 65536 bytes',
  ])
  assert.match(text.stdout, /^www2 +base\/amd64 +base-1.1-20260101-amd64 +3 days +install 1 no-space +waits for a reboot$/m)
  assert.match(text.stdout, /^www1 .* 3 hours +install 0 +2 keys report under this name$/m)
  assert.match(text.stdout, /^golden7 .* its key reports under 100 names$/m)
  assert.match(text.stdout, /^late .* is of the future$/m)
  assert.match(text.stdout, /^base-1.1-20260101-amd64 +104$/m)
  assert.match(
    text.stdout,
    /104 machines, 1 whose last run did not end well, 1 that wait for a reboot, 103 with remarks, 3 reports refused\n$/,
  )
  const records = (await run(list, ['--fleet', reports, '--json'])).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.equal(records.length, 107)
  const { machine: name, ageSeconds, last, reboot, remarks } = records.find((one) => one['machine'] === 'www2') ?? {}
  assert.deepEqual(
    { name, ageSeconds, last, reboot, remarks },
    { name: 'www2', ageSeconds: 259_200, last: { verb: 'install', status: 1, code: 'no-space' }, reboot: 'reboot', remarks: [] },
  )
  assert.equal((await run(list, ['--fleet', join(reports, 'nowhere')])).status, 1)
  assert.equal((await run(list, ['--fleet', reports, '--stale'])).code, 'usage')
})

type Facts = { readonly machine: string; readonly time: number; readonly release?: string } & Partial<
  Pick<VersionReport, 'last' | 'reboot'>
>

function signed(signer: Signer, { machine: name, time, release = 'base-1.1-20260101-amd64', last, reboot = 'none' }: Facts): Uint8Array {
  const message = encodeReport({
    machine: name,
    key: signer,
    time,
    last: last ?? { verb: 'install', status: 0, code: undefined },
    reboot,
    releases: [{ channel: 'base/amd64', release }],
  })
  return encodeSignedMessage({ signature: signatureBy(signer, message, 'report'), message })
}

async function newSigner(): Promise<Signer> {
  const { secretKeyFile } = await makeKeyPair(systemRandom, 'machine', unsealed)
  return await openKeyFile(secretKeyFile, async () => await unsealed.stream(new Uint8Array(16)))
}
