import { collectBytes, concatBytes, oneChunk, utf8 } from '../../../src/base/bytes.ts'
import { sha256 } from '../../../src/base/digest.ts'
import { parseDistName } from '../../../src/base/name.ts'
import { decodeCapture, encodeCapture } from '../../../src/format/capture.ts'
import { decodeDescriptor, encodeDescriptor } from '../../../src/format/descriptor.ts'
import { readKeyNotes, withKeyNotes } from '../../../src/format/key-notes.ts'
import { decodeListing, encodeListing } from '../../../src/format/listing.ts'
import { decodePieces, encodePieces } from '../../../src/format/pieces.ts'
import { decodeTerms, encodeTerms, noTerms } from '../../../src/format/release-terms.ts'
import { decodeReport, encodeReport } from '../../../src/format/report.ts'
import { decodeSecretKey, decodeSignature, encodeSecretKey, encodeSignature, encodeSignedMessage } from '../../../src/format/signify.ts'
import { formatJson, isJsonObject, parseJson } from '../../../src/format/strict-json.ts'
import { decodeMetadata, decodeRoot, decodeSnapshot, decodeTargets, decodeTimestamp, encodeSigned } from '../../../src/format/tuf.ts'
import { decodeUpdate, encodeUpdate } from '../../../src/format/update.ts'
import { encodeMessage, message, messageReader } from '../../../src/format/fetcher-message.ts'
import { readSignedGzip, signedGzipHeader } from '../../../src/format/openbsd/signed-gzip.ts'
import { simulate } from '../../helpers/tuf-simulator.ts'
import { canonical, decoder, digest } from '../decoder.ts'
import type { Sha256 } from '../../../src/base/digest.ts'
import type { DistName } from '../../../src/base/name.ts'
import type { Metadata, Signed } from '../../../src/format/tuf.ts'
import type { Decoder } from '../decoder.ts'
import type { Json, JsonObject } from '../../../src/format/strict-json.ts'

/** What a repository signs, and what machines say of themselves. */

/** A role of each kind, and one that the targets delegate to. */
function roles(): ReadonlyMap<string, Uint8Array> {
  const sim = simulate()
  sim.hashes = true
  sim.addTarget('targets', 'a/b', 'text')
  sim.delegate('targets', { name: 'base', threshold: 1, terminating: true, scope: { kind: 'paths', patterns: ['base/*'] } })
  sim.addTarget('base', 'base/x', 'x')
  sim.publish('base', 'targets', 'snapshot', 'timestamp')
  return sim.files
}

const files = roles()

/** The newest one of that name. */
function newest(name: string): Uint8Array {
  return [...files].findLast(([file]) => file.endsWith(`${name}.json`))?.[1] as Uint8Array
}

/** As they are signed: by keys that the root names, and the last one by others. */
export const signedFiles = { root: newest('root') } as const

const written = ({ value, signatures }: Signed<Metadata>): Uint8Array => encodeSigned(value, signatures)
const release = parseDistName('base-1.1-20260201-amd64') as DistName
const ref = (target: string): { readonly target: string; readonly size: number } => ({ target: `base/amd64/${target}`, size: 3 })

const update = encodeUpdate({
  sequence: 2,
  release: { name: release, tar: { sha256: digest as Sha256, size: 10 } },
  previous: 'base-1.0-20260101-amd64',
  manifest: ref('m'),
  obsolete: ref('o'),
  full: [{ ...ref('f.zst'), codec: 'zstd', frames: ref('f.frames') }],
  deltas: [{ ...ref('d'), from: 'base-1.0-20260101-amd64', fromSha256: digest as Sha256, memory: 4, manifest: ref('dm') }],
  title: 'a title',
  url: 'https://example.org/x',
  notices: ['mind the gap'],
  postSteps: [{ kind: 'run', command: '/bin/true', name: 'ldconfig', seconds: 9, failure: 'report', afterRollback: true }],
  reboot: 'reboot',
  security: true,
  configuration: ['/etc/x'],
  generated: ['/var/cache/**'],
  needs: [{ channel: { product: 'comp', arch: 'amd64' }, optional: false, from: { sequence: 1, revision: '1.0' } }],
  phases: [{ name: 'kernel', paths: ['/bsd*'], steps: ['ldconfig'], check: '/bin/check' }],
})

const script = '#!/bin/sh\nldconfig\n'
const described = `Format: 1
Name: a title
Details URL: https://example.org/x
Release: base-1.1-20260201-amd64
Previous: base-1.0-20260101-amd64
File: payload.tar
Size: 10
SHA256: ${digest}
Security: YES
RequiresReboot: YES
Reboot: reboot
Notice: mind the gap
Configuration: /etc/x
!Run: depmod 900 report install /sbin/depmod -a
!Script: ldconfig 9 roll-back both ${sha256(utf8(script))} ldconfig.sh
`
const terms = 'bindery-terms 1\nrelease base-1.1-20260201-amd64\nneed comp/amd64 required 1:1.0 -\ngenerated /var/cache/**\n'
const signature = { comment: 'signed', keynum: new Uint8Array(8).fill(1), signature: new Uint8Array(64).fill(3) }
const key = { comment: 'a key', keynum: new Uint8Array(8).fill(1), publicKey: new Uint8Array(32).fill(2) }
const report = encodeSignedMessage({
  signature,
  message: encodeReport({
    machine: 'lamp',
    key,
    time: 1_700_000_000,
    last: { verb: 'install', status: 3, code: 'hostile' },
    reboot: 'careful',
    releases: [{ channel: 'base/amd64', release: 'base-1.1-20260201-amd64' }],
  }),
})

/** What is read out of `custom` and other members of signed files. */
function member<T>(name: string, sample: string, read: (object: JsonObject) => T | undefined, write: (value: T) => Json): Decoder {
  const decode = (bytes: Uint8Array): T | undefined => {
    const json = parseJson(bytes)
    return isJsonObject(json) ? read(json) : undefined
  }
  return decoder(name, [sample], decode, (value) => formatJson(write(value)))
}

const signedGzip = concatBytes([
  signedGzipHeader({
    effort: 0,
    comment: encodeSignedMessage({
      signature,
      message: utf8(`date=2026-01-01T00:00:00Z\nkey=x.sec\nalgorithm=SHA512/256\nblocksize=65536\n\n${digest}\n`),
    }),
  }),
  Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0, 0),
])

const messages = concatBytes(
  [message(1, 'get', 'https://example.org/', 65_536, 'etag', '"x"'), message(2, 'chunk', utf8('bytes')), message(3, 'end')].map(
    encodeMessage,
  ),
)
/** That long are those of the fetcher's own side. */
const mostMessage = 1 << 20

export const repositoryDecoders: readonly Decoder[] = [
  decoder('tuf-root', [newest('root')], decodeRoot, written),
  decoder('tuf-timestamp', [newest('timestamp')], decodeTimestamp, written),
  decoder('tuf-snapshot', [newest('snapshot')], decodeSnapshot, written),
  decoder('tuf-targets', [newest('targets'), newest('base')], decodeTargets, written),
  decoder('tuf-any', ['root', 'timestamp', 'snapshot', 'targets', 'base'].map(newest), decodeMetadata, written),
  member(
    'listing',
    '{"endOfLife":"2027-01-01","rollout":{"begin":1,"end":9,"percent":5},"sequence":3,"withdrawn":true}',
    (json) => decodeListing('x', json),
    encodeListing,
  ),
  member('pieces', `{"pieces":{"sha256":"${'A'.repeat(16)}","size":65536}}`, (json) => decodePieces('x', 100_000, json), encodePieces),
  member(
    'key-notes',
    `{"holders":{"${digest}":"Ada"},"next_keys":{"targets":{"${digest}":{"keytype":"ed25519","keyval":{"public":"${digest}"},"scheme":"ed25519"}}}}`,
    readKeyNotes,
    (notes) => withKeyNotes({}, notes).extra ?? {},
  ),
  decoder('update', [update], decodeUpdate, encodeUpdate),
  decoder(
    'descriptor',
    [described],
    (bytes) => decodeDescriptor(bytes, () => script),
    (value) => utf8(encodeDescriptor(value).text),
  ),
  canonical(
    'terms',
    [terms],
    (bytes) => {
      const value = decodeTerms(bytes, release)
      // What is said of another release is not read.
      return value === noTerms ? undefined : value
    },
    (value) => encodeTerms(release, value),
  ),
  decoder(
    'capture',
    [
      encodeCapture({
        made: 1,
        sandbox: 'overlay',
        network: false,
        commands: [['make', 'install']],
        errata: [{ release: '7.4', number: '001', name: '001_lampd', signed: true }],
        exclude: ['tmp'],
        old: sha256(utf8('old')),
        new: sha256(utf8('new')),
      }),
    ],
    decodeCapture,
    encodeCapture,
  ),
  decoder('report', [report], decodeReport, ({ signed }) => encodeSignedMessage(signed)),
  canonical('signify-signature', [encodeSignature(signature)], decodeSignature, encodeSignature),
  decoder(
    'signify-secret-key',
    [
      encodeSecretKey({
        comment: 'a key',
        keynum: new Uint8Array(8).fill(1),
        rounds: 42,
        salt: new Uint8Array(16).fill(4),
        checksum: new Uint8Array(8).fill(5),
        sealed: new Uint8Array(64).fill(6),
      }),
    ],
    decodeSecretKey,
    encodeSecretKey,
  ),
  decoder(
    'signed-gzip',
    [signedGzip],
    async (bytes) => {
      const { head, payload } = await readSignedGzip(oneChunk(bytes))
      return { head, payload: await collectBytes(payload, mostMessage) }
    },
    ({ head, payload }) => concatBytes([signedGzipHeader(head), payload ?? new Uint8Array(0)]),
  ),
  decoder(
    'fetcher',
    [messages],
    (bytes) => messageReader(mostMessage)(bytes),
    (all) => concatBytes(all.map(encodeMessage)),
  ),
]
