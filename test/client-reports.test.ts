import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { draw } from '../src/engine/client/draw.ts'
import { readFleet } from '../src/engine/client/fleet.ts'
import { makeReport } from '../src/engine/client/report.ts'
import { channelFile, channelFiles, makeStateFolders, statePaths, writeEnrolled, writeStateFile } from '../src/engine/client/state.ts'
import { makeKeyPair, openKeyFile, signatureBy, unsealed } from '../src/engine/repo/key-file.ts'
import { verifyMessageAside } from '../src/engine/repo/verify-message.ts'
import { encodeReboot } from '../src/format/reboot-state.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { decodeReport, encodeReport } from '../src/format/report.ts'
import { encodeSignedMessage } from '../src/format/signify.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import type { Reporter } from '../src/engine/client/report.ts'
import type { ReportFile } from '../src/engine/client/fleet.ts'
import type { Signer } from '../src/engine/repo/key-file.ts'
import type { VersionReport } from '../src/format/report.ts'
import type { Disk } from '../src/port/disk.ts'

/** What a machine signs of itself, and what a folder of such reports tells. */

const random = { bytes: (count: number) => new Uint8Array(count).fill(7) }
const last = { verb: 'install', status: 0, code: undefined }

/** With two channels, in the order in which they were enrolled. */
async function enrolledDisk(): Promise<Disk> {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  const channels = ['xbase', 'base'].map((product) => ({ product, arch: 'amd64' }))
  await writeEnrolled(
    disk,
    channels.map((channel) => ({ channel, repository: '0123456789abcdef', basis: 'tar', urls: ['https://updates.example.org/'] })),
  )
  const nothing = { sha256: sha256(utf8('')), size: 0 }
  for (const channel of channels) {
    await disk.mkdir(channelFile(channel, channelFiles.release).replace('/release', '') as typeof statePaths.channel, 0o755)
    const name = { ...channel, revision: '1.0', date: '20260101' }
    const state = encodeReleaseState({ name, sequence: 1, tar: nothing, manifest: nothing })
    await writeStateFile(disk, channelFile(channel, channelFiles.release), state)
  }
  return disk
}

async function reporterOf(disk: Disk): Promise<Reporter> {
  const boot = { id: async () => 'start-1', ofRoot: async () => 'start-1' }
  return { disk, boot, clock: { now: () => 1_700_000_000_999 }, random, machine: 'www1' }
}

async function reported(disk: Disk): Promise<VersionReport> {
  const made = await makeReport(await reporterOf(disk), last)
  assert.ok(made !== undefined)
  const { report, signed } = decodeReport(made.bytes)
  await verifyMessageAside(report.key, signed.signature, signed.message)
  assert.equal(signed.signature.comment, 'report of www1')
  assert.equal(made.file, `www1-${hex(report.key.keynum)}.report`)
  return report
}

test('a machine reports what it runs, by one key that it makes for itself', async () => {
  const disk = await enrolledDisk()
  const first = await reported(disk)
  assert.deepEqual([first.machine, first.time, first.last, first.reboot], ['www1', 1_700_000_000, last, 'none'])
  assert.deepEqual(first.releases, [
    { channel: 'base/amd64', release: 'base-1.0-20260101-amd64' },
    { channel: 'xbase/amd64', release: 'xbase-1.0-20260101-amd64' },
  ])
  assert.equal((await disk.lstat(statePaths.machineKey))?.mode, 0o600)
  assert.match(await text(disk, statePaths.machineKey), /^untrusted comment: machine www1 secret key\n/)
  const other = { ...(await reporterOf(disk)), random: { bytes: (count: number) => new Uint8Array(count).fill(8) } }
  assert.deepEqual(decodeReport((await makeReport(other, last))?.bytes as Uint8Array).report.key, first.key)
})

test('a report tells the strongest reboot that is still due', async () => {
  const disk = await enrolledDisk()
  const need = { role: 'base-amd64', old: 'a', new: 'b', class: 'reboot', boot: 'start-1' } as const
  for (const [needs, wanted] of [
    [[need], 'reboot'],
    [[need, { ...need, role: 'xbase-amd64', class: 'careful' }], 'careful'],
    [[{ ...need, boot: 'start-0' }], 'none'],
  ] as const) {
    await writeStateFile(disk, statePaths.reboot, encodeReboot(needs))
    assert.equal((await reported(disk)).reboot, wanted)
  }
})

test('nothing is reported where nothing is enrolled; a damaged key is named', async () => {
  assert.equal(await makeReport(await reporterOf(memoryDisk()), last), undefined)
  const disk = await enrolledDisk()
  await writeStateFile(disk, statePaths.machineKey, utf8('nonsense\n'))
  await assert.rejects(makeReport(await reporterOf(disk), last), {
    code: 'bad-format',
    subject: '/var/db/bindery/machine.sec',
    hint: /another/,
  })
})

async function signerOf(seed: number): Promise<Signer> {
  const { secretKeyFile } = await makeKeyPair({ bytes: (count) => new Uint8Array(count).fill(seed) }, 'machine', unsealed)
  return await openKeyFile(secretKeyFile, async () => await unsealed.stream(new Uint8Array(16)))
}

function signed(signer: Signer, facts: Partial<VersionReport>): Uint8Array {
  const releases = [{ channel: 'base/amd64', release: 'base-1.1-20260101-amd64' }]
  const message = encodeReport({ machine: 'a', key: signer, time: 1000, last, reboot: 'none', releases, ...facts })
  return encodeSignedMessage({ signature: signatureBy(signer, message, 'report'), message })
}

async function* filesOf(files: Readonly<Record<string, Uint8Array | BinderyError>>): AsyncIterable<ReportFile> {
  for (const [file, bytes] of Object.entries(files)) yield { file, bytes }
}

test('the newest report of a machine under one key counts, whichever is read first', async () => {
  const signer = await signerOf(1)
  const [older, newer] = [signed(signer, { time: 10 }), signed(signer, { time: 20, reboot: 'careful' })]
  for (const files of [
    { older, newer },
    { newer, older },
  ]) {
    assert.deepEqual(await readFleet(filesOf(files), 0), {
      machines: [
        {
          machine: 'a',
          file: 'newer',
          keynum: '01'.repeat(8),
          at: 20_000,
          last,
          reboot: 'careful',
          releases: [{ channel: 'base/amd64', release: 'base-1.1-20260101-amd64' }],
          remarks: [],
        },
      ],
      refused: [],
    })
  }
})

test('machines come by name, then by key, however they are read; names and keys that are shared are told', async () => {
  const [one, two, three] = [await signerOf(1), await signerOf(2), await signerOf(3)]
  const files = {
    b2: signed(two, { machine: 'b' }),
    a: signed(three, { machine: 'a' }),
    c: signed(one, { machine: 'c' }),
    b1: signed(one, { machine: 'b' }),
  }
  for (const inOrder of [Object.entries(files), Object.entries(files).toReversed()]) {
    const { machines } = await readFleet(filesOf(Object.fromEntries(inOrder)), 1_000_000)
    assert.deepEqual(
      machines.map(({ file, remarks }) => [file, remarks]),
      [
        ['a', []],
        ['b1', ['2 keys report under this name', 'its key reports under 2 names']],
        ['b2', ['2 keys report under this name']],
        ['c', ['its key reports under 2 names']],
      ],
    )
  }
})

test('what is no error of ours is not hidden', async () => {
  await assert.rejects(readFleet(filesOf({ a: undefined as unknown as Uint8Array }), 0), TypeError)
})

test('a clock may be an hour ahead', async () => {
  const report = signed(await signerOf(1), { time: 7200 })
  for (const [now, remarks] of [
    [3_600_000, []],
    [3_599_999, ['is of the future']],
  ] as const)
    assert.deepEqual((await readFleet(filesOf({ report }), now)).machines[0]?.remarks, remarks)
})

test('what cannot be read, or was not signed so, is refused by file, and hides nothing else', async () => {
  const signer = await signerOf(1)
  const good = signed(signer, {})
  const forged = utf8(latin1(signed(signer, { machine: 'www3' })).replace('machine www3', 'machine www4'))
  const unreadable = new BinderyError('permission', 'cannot be read')
  const { machines, refused } = await readFleet(filesOf({ unreadable, good, forged, damaged: utf8('nonsense') }), 0)
  assert.deepEqual(
    machines.map(({ file }) => file),
    ['good'],
  )
  assert.deepEqual(
    refused.map(({ file }) => file),
    ['unreadable', 'forged', 'damaged'],
  )
  assert.equal(refused[0]?.why, 'cannot be read')
})

test('what chance has for some words is the same each time, evenly spread, and hangs on each of them', () => {
  assert.equal(draw('a', 'b'), draw('a', 'b'))
  assert.equal(new Set([draw('a', 'b'), draw('b', 'a'), draw('ab'), draw('a', 'b', '')]).size, 4)
  const draws = Array.from({ length: 1000 }, (_, i) => draw('word', String(i)))
  assert.ok(draws.every((one) => one >= 0 && one < 1))
  for (const limit of [0.1, 0.5, 0.9]) {
    const share = draws.filter((one) => one < limit).length / draws.length
    assert.ok(Math.abs(share - limit) < 0.05, `${share} of ${limit}`)
  }
})
