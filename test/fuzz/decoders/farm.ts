import { latin1, oneChunk, utf8 } from '../../../src/base/bytes.ts'
import { readPackageNames } from '../../../src/engine/farm/build/package-names.ts'
import { tellingLines } from '../../../src/engine/farm/build/telling-lines.ts'
import { openTransport } from '../../../src/engine/farm/sign/transport.ts'
import { linesOf as linesToImport } from '../../../src/command/farm-import.ts'
import { decodeBuilt, encodeBuilt } from '../../../src/format/built.ts'
import { decodeCveList } from '../../../src/format/cve-list.ts'
import { decodeRlog } from '../../../src/format/cvs-log.ts'
import { decodeRdiff } from '../../../src/format/cvs-rdiff.ts'
import { answerHeaders, callHeaders, decodeAnswerHeaders, decodeCallHeaders } from '../../../src/format/farm-call.ts'
import { decodeFarmConfig } from '../../../src/format/farm-config.ts'
import {
  decodeAnswer,
  decodeBeat,
  decodeClaim,
  decodeEnd,
  decodeLease,
  encodeAnswer,
  encodeBeat,
  encodeClaim,
  encodeEnd,
  encodeLease,
} from '../../../src/format/farm-work.ts'
import { decodeLog, decodeNameStatus } from '../../../src/format/git-changes.ts'
import { decodeHandover, encodeHandover } from '../../../src/format/handover.ts'
import { decodePortsList } from '../../../src/format/ports-list.ts'
import { file, end } from '../../helpers/tar-builder.ts'
import { decoder, digest } from '../decoder.ts'
import type { Sha256 } from '../../../src/base/digest.ts'
import type { Decoder } from '../decoder.ts'

/** What builders, controllers, signers and sources say to each other. */

const lease = {
  id: 1,
  build: 2,
  branch: 'stable',
  release: '7.6',
  arch: 'amd64',
  revision: { name: '0123abcd', seconds: 1_700_000_000 },
  list: ['x11/lamp,gtk3'],
  log: 3,
  seconds: 60,
}
const sha = digest as Sha256
const made = { file: 'lamp-1.2.tgz', size: 3, sha256: sha, reproducible: true }
const built = {
  release: '7.6',
  arch: 'amd64',
  packages: [{ ...made, pkgpath: 'x11/lamp', signature: 'lamp-1.2', log: 'logs/x' }],
  failed: [{ pkgpath: 'x11/dark', why: 'no light', log: 'logs/y', lines: ['error: dark'] }],
}
const handover = {
  sets: [
    {
      release: '7.6',
      arch: 'amd64',
      basis: sha,
      packages: [
        {
          ...made,
          pkgpath: 'x11/lamp',
          signature: 'lamp-1.2',
          state: 'update',
          replaces: ['lamp-1.1.tgz'],
          security: ['CVE-2026-1234'],
        } as const,
      ],
    },
  ],
}
const config = `key = "k.pub"
lease = 60
[branch.stable]
release = "7.6"
git = "/ports"
from = "release"
to = "stable"
archs = ["amd64"]
[retry]
failures = 3
[keep]
events = 9
[notify]
command = "x"
`
const call = {
  keynum: '0123456789abcdef',
  time: 1_700_000_000_000,
  nonce: '01'.repeat(16),
  digest: sha,
  signature: new Uint8Array(64).fill(1),
  target: '/farm/claim',
}

/** Headers as lines, as far as a request can have them. */
function headersOf(bytes: Uint8Array): Readonly<Record<string, string>> {
  const lines = latin1(bytes).split('\n')
  return Object.fromEntries(lines.map((line) => [line.slice(0, Math.max(0, line.indexOf(':'))), line.slice(line.indexOf(':') + 1)]))
}

function linesOf(headers: Readonly<Record<string, string>>): Uint8Array {
  return utf8(
    Object.entries(headers)
      .map((pair) => pair.join(':'))
      .join('\n'),
  )
}

const commits = `\0\0${'ab'.repeat(20)}\x001700000000\0a message\n\0\nx11/lamp/Makefile\0\0\0${'cd'.repeat(20)}\x001700000001\0another\n\0\nx11/a\0x11/b\0`
const rlog = `
RCS file: /cvs/ports/x11/lamp/Attic/Makefile,v
head: 1.2
----------------------------
revision 1.2
date: 2026/01/01 12:00:00;  author: ada;  state: Exp;  lines: +1 -1;  commitid: abc123;
light it
${'='.repeat(77)}
`

export const farmDecoders: readonly Decoder[] = [
  decoder('farm-claim', [encodeClaim({ held: [1, 2], waitSeconds: 30, load: 5 })], decodeClaim, encodeClaim),
  decoder('farm-beat', [encodeBeat({ load: 5 })], decodeBeat, encodeBeat),
  decoder(
    'farm-end',
    [
      encodeEnd({ kind: 'built', packages: [made], log: 3 }),
      encodeEnd({ kind: 'failed', why: 'dark', lines: ['a'], log: 3 }),
      encodeEnd({ kind: 'released', why: 'stopped' }),
    ],
    decodeEnd,
    encodeEnd,
  ),
  decoder(
    'farm-answer',
    [
      encodeAnswer({ kind: 'lease', lease }),
      encodeAnswer({ kind: 'nothing' }),
      encodeAnswer({ kind: 'size', size: 3 }),
      encodeAnswer({ kind: 'refused', why: 'clock', message: 'late' }),
    ],
    decodeAnswer,
    encodeAnswer,
  ),
  decoder('farm-lease', [encodeLease(lease)], decodeLease, encodeLease),
  decoder(
    'farm-call',
    [linesOf(callHeaders(call))],
    (bytes) => decodeCallHeaders(headersOf(bytes), call.target),
    (one) => linesOf(callHeaders(one)),
  ),
  decoder(
    'farm-answer-headers',
    [linesOf(answerHeaders(call))],
    (bytes) => decodeAnswerHeaders(headersOf(bytes)),
    (one) => linesOf(answerHeaders(one)),
  ),
  decoder('built', [encodeBuilt(built)], decodeBuilt, encodeBuilt),
  decoder('handover', [encodeHandover(handover)], decodeHandover, encodeHandover),
  decoder('handover-transport', [new Uint8Array(Buffer.concat([file('request.json', '{}'), file('a.tgz', 'x'), end]))], async (bytes) => {
    const source = { size: bytes.length, label: 'x', read: async (start: number, stop: number) => bytes.subarray(start, stop) }
    return [...(await openTransport(source)).keys()]
  }),
  decoder('farm-import', ['{"format":"bindery-farm"}\n{"table":"build","row":{}}\n'], async (bytes) => {
    const lines: string[] = []
    for await (const line of linesToImport(oneChunk(bytes))) lines.push(line)
    return lines
  }),
  decoder('farm-config', [config], decodeFarmConfig),
  decoder('cve-list', ['CVE-2026-1234 x11/lamp net/curl # two\n\n'], decodeCveList),
  decoder('ports-list', ['x11/lamp,gtk3,-main\n# no\nnet/curl\n'], decodePortsList),
  decoder('git-status', ['M\0x11/lamp/Makefile\0A\0net/curl/Makefile\0'], decodeNameStatus),
  decoder('git-log', [commits], decodeLog),
  decoder('cvs-log', [rlog], (bytes) => decodeRlog(bytes, 'ports')),
  decoder(
    'cvs-rdiff',
    [
      'File ports/x11/lamp/Makefile changed from revision 1.1 to 1.2\nFile ports/a b is new; OPENBSD_7_6 revision 1.1\nFile ports/c is removed; not included\n',
    ],
    decodeRdiff,
  ),
  decoder('package-names', ['===> x11/lamp\nlamp-1.2 lamp-doc-1.2\n===> net/curl\ncurl-8\n'], (bytes) => readPackageNames(latin1(bytes))),
  decoder('build-log', ['cc -c a.c\na.c:3: error: dark\n*** Error 1 in /ports (bsd.port.mk:1)\n===> exit\n'], (bytes) =>
    tellingLines(latin1(bytes)),
  ),
]
