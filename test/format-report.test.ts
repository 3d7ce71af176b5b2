import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromUtf8, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeReport, encodeReport } from '../src/format/report.ts'
import { encodeSignedMessage } from '../src/format/signify.ts'
import type { VersionReport } from '../src/format/report.ts'

const key = { comment: '', keynum: new Uint8Array(8).fill(7), publicKey: new Uint8Array(32).fill(9) }
const release = { channel: 'base/amd64', release: 'base-7.7p4-20261124-amd64' }
const report: VersionReport = {
  machine: 'www1.example.org',
  key,
  time: 1_795_000_000,
  last: { verb: 'install', status: 1, code: 'no-space' },
  reboot: 'none',
  releases: [release],
}

function signed(message: Uint8Array): Uint8Array {
  return encodeSignedMessage({ signature: { comment: 'x', keynum: key.keynum, signature: new Uint8Array(64) }, message })
}

test('a report comes back as it was, its releases by channel', () => {
  const kernel = { channel: 'kernel-GENERIC/amd64', release: 'kernel-GENERIC-7.7-20261124-amd64' }
  const message = encodeReport({ ...report, releases: [kernel, release] })
  assert.deepEqual(decodeReport(signed(message)).report, { ...report, releases: [release, kernel] })
  assert.equal(
    fromUtf8(message).replace(/^key .*$/m, 'key …'),
    `bindery-report 1\nmachine www1.example.org\nkey …\ntime 1795000000\nlast install 1 no-space\nreboot none\nrelease ${release.channel} ${release.release}\nrelease ${kernel.channel} ${kernel.release}\n`,
  )
})

test('whatever is changed, cut or added, a report is refused by name or is another good one', () => {
  const text = fromUtf8(encodeReport(report))
  const bad = [
    text.slice(0, -1),
    `${text}more\n`,
    `${text}release ${release.channel} ${release.release}\n`,
    text.replace('report 1', 'report 2'),
    text.replace('www1', '../www1'),
    text.replace(/^key .*\n/m, 'key AAAA\n'),
    text.replace('1795000000', '-1'),
    text.replace('install 1', 'install -1'),
    text.replace('reboot none', 'reboot restart'),
    text.replace('base/amd64', 'base/arm64'),
    text.replace(/^release .*\n/m, ''),
    text.replace('base-7.7p4-20261124-amd64', 'base'),
  ]
  for (const one of bad)
    assert.throws(
      () => decodeReport(signed(utf8(one))),
      (error) => isBinderyError(error),
      one,
    )
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const bytes = signed(utf8(text))
      bytes[bytes.length - text.length + at] = byte
      try {
        assert.deepEqual(encodeReport(decodeReport(bytes).report), bytes.subarray(bytes.length - text.length))
      } catch (error) {
        if (!isBinderyError(error)) throw error
      }
    }),
  )
})
