import { deepEqual as sameContent } from 'node:assert'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'
import { hex, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { canonicalJson, formatJson, parseJson } from '../src/format/strict-json.ts'
import {
  addSignatures,
  canonical,
  decodeMetadata,
  decodeRoot,
  decodeSnapshot,
  decodeTargets,
  decodeTimestamp,
  ed25519Key,
  encodeSigned,
  tufKeyId,
} from '../src/format/tuf.ts'
import { countersign, openSigner, signMetadata } from '../src/engine/repo/keys.ts'
import { anyCharacter } from './helpers/any-character.ts'
import { ed25519Signer } from './helpers/tuf-signers.ts'
import { signBy } from './helpers/tuf-simulator.ts'
import type { Json } from '../src/format/strict-json.ts'
import type { Metadata, Root, Snapshot, Targets, Timestamp } from '../src/format/tuf.ts'

/** What tuf-js signs and verifies. */
const { canonicalize } = createRequire(import.meta.url)('@tufjs/canonical-json') as { canonicalize(value: unknown): string }

const expires = Date.UTC(2030, 0, 1)
const hashes = { sha256: '0f'.repeat(32) }
const signers = [ed25519Signer(1), ed25519Signer(2)] as const
const keyIds = signers.map(({ keyId }) => keyId)
const role = { keyIds, threshold: 2 }
const keys = new Map(signers.map(({ keyId, key }) => [keyId, key]))

const root: Root = {
  kind: 'root',
  version: 3,
  expires,
  consistentSnapshot: true,
  keys,
  roles: { root: role, timestamp: role, snapshot: role, targets: role },
}
const timestamp: Timestamp = {
  kind: 'timestamp',
  version: 9,
  expires,
  snapshot: { version: 7, length: 100, hashes },
  issued: expires - 1000,
}
const snapshot: Snapshot = {
  kind: 'snapshot',
  version: 7,
  expires,
  meta: new Map([
    ['base-amd64', { version: 2 }],
    ['targets', { version: 1, length: 1, hashes }],
  ]),
}
const targets: Targets = {
  kind: 'targets',
  version: 1,
  expires,
  targets: new Map([['base/amd64/1.update', { length: 5, hashes, custom: { sequence: 1 } }]]),
  delegations: {
    keys,
    roles: [
      { name: 'base-amd64', ...role, terminating: true, scope: { kind: 'paths', patterns: ['base/amd64/*'] } },
      { name: 'bins', ...role, terminating: false, scope: { kind: 'hashes', prefixes: ['0', 'ab'] } },
    ],
  },
}

// Objects that were read have no prototype.
test('all four kinds are read as they were written', () => {
  sameContent(decodeRoot(signBy(root, signers)).value, root)
  sameContent(decodeTimestamp(signBy(timestamp, signers)).value, timestamp)
  sameContent(decodeSnapshot(signBy(snapshot, signers)).value, snapshot)
  // The order of delegations is their priority, that of all else is sorted.
  sameContent(decodeTargets(signBy(targets, signers)).value, targets)
  for (const value of [root, timestamp, snapshot, targets]) {
    const file = signBy(value, signers)
    sameContent(decodeMetadata(file).value, value)
    assert.deepEqual(decodeMetadata(file).covered, canonical(value))
    assert.deepEqual(encodeSigned(value, decodeMetadata(file).signatures), file)
  }
})

test('a file is compact, sorted and the same every time', () => {
  const file = signBy({ kind: 'timestamp', version: 1, expires, snapshot: { version: 1 } }, [])
  assert.equal(
    Buffer.from(file).toString(),
    '{"signatures":[],"signed":{"_type":"timestamp","expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}},"spec_version":"1.0.34","version":1}}',
  )
  assert.deepEqual(signBy(root, signers), signBy(root, signers.toReversed()))
})

test('a timestamp for the fleet stays below 1 KiB, with three signatures', () => {
  const three = [ed25519Signer(1), ed25519Signer(2), ed25519Signer(3)]
  assert.ok(signBy({ ...timestamp, version: 2 ** 40 }, three).length <= 1024)
})

test('unknown members survive reading and writing', () => {
  const json = JSON.parse(Buffer.from(signBy(root, signers)).toString()) as {
    signed: Record<string, unknown> & { roles: Record<string, object> }
  }
  json.signed['x-note'] = { a: [1] }
  json.signed.roles['root'] = { ...json.signed.roles['root'], 'x-owner': 'me' }
  const { value, covered } = decodeRoot(utf8(JSON.stringify(json)))
  assert.deepEqual(canonical(value), covered)
})

test('key ids are those of the specification', () => {
  // From the example root.json of the specification, 4.3.
  const key = ed25519Key(new Uint8Array(Buffer.from('72378e5bc588793e58f81c8533da64a2e8f1565c1fcc7f253496394ffc52542c', 'hex')))
  assert.equal(tufKeyId(key), '1bf1c6e3cdd3d3a8420b19199e27511999850f4b376c4547b2f32fba7e80fca3')
})

test('signatures are added and replaced without touching what is signed', () => {
  const file = signBy(root, signers.slice(0, 1))
  const [, second] = signers
  const both = addSignatures(file, [{ keyId: second.keyId, sig: second.sign(canonical(root)) }])
  assert.deepEqual(both, signBy(root, signers))
  assert.deepEqual(addSignatures(both, [{ keyId: second.keyId, sig: second.sign(canonical(root)) }]), both)
})

test('signify keys sign metadata, at once or later', async () => {
  const sec =
    'RWRCSwAAAAASS6/J8yiU/PaMmMhlV4zqjMh4FlqOsG3AeKJJ1MTF3UpTLTAaUkS15G97BU/C+X2UCcR2fNfG68/1NpK0bh0pgKjSK+0ofyS6IVYm4uk2hSakN3qJMViGfr+1G7mool4='
  const signer = await openSigner(utf8(`untrusted comment: x\n${sec}\n`), () => assert.fail())
  const signed = signMetadata(root, [signer])
  assert.deepEqual(countersign(encodeSigned(root, []), [signer]), signed)
  assert.equal(decodeRoot(signed).signatures[0]?.keyId, signer.keyId)
  assert.equal(decodeRoot(signed).signatures[0]?.sig, hex(signer.sign(canonical(root))))
})

/** A file with one thing changed. */
function changed(value: Metadata, change: (signed: Record<string, never>) => void): Uint8Array {
  const json = JSON.parse(Buffer.from(signBy(value, signers)).toString()) as { signed: Record<string, never> }
  change(json.signed)
  return utf8(JSON.stringify(json))
}

/** One member, named by its way through objects and lists, becomes another; undefined takes it away. */
const edit = (path: string, to: unknown) => (signed: Record<string, never>) => {
  const parts = path.split('/')
  const last = parts.pop() as string
  const holder = parts.reduce((value: Record<string, unknown>, part) => value[part] as Record<string, unknown>, signed)
  if (to === undefined) delete holder[last]
  else holder[last] = to
}

test('malformed metadata is refused', () => {
  const cases: readonly (readonly [Metadata, string, unknown])[] = [
    [root, '_type', 'targets'],
    [root, 'version', 0],
    [root, 'version', '3'],
    [root, 'expires', '2030-01-01'],
    [root, 'expires', '2030-13-01T00:00:00Z'],
    [root, 'expires', '2030-01-01T00:00:00+00:00'],
    [root, 'consistent_snapshot', 'yes'],
    [root, 'keys', []],
    [root, 'roles/timestamp', undefined],
    [root, 'roles/root/threshold', 0],
    [root, 'roles/root/keyids', 'x'],
    [root, 'roles/root/keyids', [1]],
    [timestamp, 'meta', { 'snapshot.json': { version: 1 }, 'targets.json': { version: 1 } }],
    [timestamp, 'meta', {}],
    [timestamp, 'meta/snapshot.json/version', -1],
    [timestamp, 'meta/snapshot.json/length', -1],
    [timestamp, 'meta/snapshot.json/hashes', {}],
    [timestamp, 'meta/snapshot.json/hashes', { sha256: 'xyz' }],
    [timestamp, 'issued', 5],
    [snapshot, 'meta/other', { version: 1 }],
    [snapshot, 'meta/targets.json', 1],
    [targets, 'targets', { '': { length: 1, hashes } }],
    [targets, 'targets/base~1amd64', 1],
    [targets, 'delegations/roles/0/name', 'root'],
    [targets, 'delegations/roles/0/name', ''],
    [targets, 'delegations/roles/1/name', 'base-amd64'],
    [targets, 'delegations/roles/0/path_hash_prefixes', ['00']],
    [targets, 'delegations/roles/0/paths', 'x'],
    [targets, 'delegations/roles/0/terminating', 1],
    [targets, 'delegations/roles/1/path_hash_prefixes', ['xyz']],
    [targets, 'delegations/keys', undefined],
    [root, 'version', 1.5],
    [root, 'expires', 'x2030-01-01T00:00:00Z'],
    [root, 'expires', '2030-01-01T00:00:00Zx'],
    [root, 'expires', '2030-01-01T00:00:00.1234567Z'],
    [root, 'expires', '2030-01-01T00:00:00.Z'],
    [root, 'roles', undefined],
    [root, 'keys', { a: 1 }],
    [root, 'keys', { a: { scheme: 'x', keyval: { public: '00' } } }],
    [root, 'keys', { a: { keytype: 'x', keyval: { public: '00' } } }],
    [root, 'keys', { a: { keytype: 'x', scheme: 'x', keyval: {} } }],
    [root, 'keys', { a: { keytype: 'x', scheme: 'x', keyval: { public: 1 } } }],
    [root, 'roles/root/keyids', ['a', 'b', 'a']],
    [timestamp, 'meta/snapshot.json/hashes', { sha256: '0fx' }],
    [timestamp, 'meta/snapshot.json/hashes', { sha256: '' }],
    [timestamp, 'meta/snapshot.json/hashes', 1],
    [timestamp, 'meta/snapshot.json', null],
    [targets, 'targets', { a: { length: -1, hashes } }],
    [targets, 'targets', { a: { length: 1 } }],
    [targets, 'targets', { a: { length: 1, hashes, custom: 1 } }],
    [targets, 'targets', { a: [] }],
    [targets, 'delegations', 1],
    [targets, 'delegations/roles', {}],
    [targets, 'delegations/roles/0', 1],
    [targets, 'delegations/roles/0/name', 1],
    [targets, 'delegations/roles/0/name', 'snapshot'],
    [targets, 'delegations/roles/0/name', 'timestamp'],
    [targets, 'delegations/roles/0/name', 'targets'],
    [targets, 'delegations/roles/0', null],
    [targets, 'delegations/roles/0/threshold', 0],
    [targets, 'delegations/roles/1/path_hash_prefixes', ['xab']],
    [targets, 'delegations/roles/1/path_hash_prefixes', [1]],
  ]
  for (const [value, path, to] of cases) {
    const decode = { root: decodeRoot, timestamp: decodeTimestamp, snapshot: decodeSnapshot, targets: decodeTargets }[value.kind]
    assert.throws(
      () => decode(changed(value, edit(path, to))),
      (error) => isBinderyError(error, 'bad-format'),
      `${value.kind} ${path} ${JSON.stringify(to)}`,
    )
  }
  for (const version of ['2.0.0', '1', '10.0.0', '', 'x1.0', '1.0x', '1.', '1.0.', '1.12345', '1.0.12345', '1.0.0.0']) {
    assert.throws(
      () => decodeRoot(changed(root, edit('spec_version', version))),
      (error) => isBinderyError(error, 'not-supported'),
    )
  }
  for (const version of ['1.0', '1.0.0', '1.9.99', '1.1234.1234']) decodeRoot(changed(root, edit('spec_version', version)))
  // Six bytes each, quoted.
  for (const name of ['x'.repeat(201), 'ü'.repeat(34)])
    assert.throws(
      () => decodeTargets(changed(targets, edit('delegations/roles/0/name', name))),
      (error) => isBinderyError(error, 'over-limit'),
    )
  for (const name of ['x'.repeat(200), 'ü'.repeat(33)])
    assert.equal(decodeTargets(changed(targets, edit('delegations/roles/0/name', name))).value.delegations?.roles[0]?.name, name)
})

test('an envelope holds what is signed and one signature of each key', () => {
  const { signed } = JSON.parse(Buffer.from(signBy(root, [])).toString()) as { signed: object }
  const one = { keyid: 'a', sig: '00' }
  assert.deepEqual(decodeRoot(utf8(JSON.stringify({ signed, signatures: [one] }))).signatures, [{ keyId: 'a', sig: '00' }])
  for (const envelope of [
    [],
    1,
    { signed },
    { signatures: [] },
    { signed: [], signatures: [] },
    { signed, signatures: {} },
    { signed, signatures: [1] },
    { signed, signatures: [null] },
    { signed, signatures: [{ sig: '00' }] },
    { signed, signatures: [{ keyid: 'a' }] },
    { signed, signatures: [{ keyid: 1, sig: '00' }] },
    { signed, signatures: [one, { keyid: 'b', sig: '00' }, one] },
    { signed: { ...signed, _type: 'mirrors' }, signatures: [] },
    { signed: { ...signed, _type: undefined }, signatures: [] },
  ])
    for (const decode of [decodeRoot, decodeMetadata])
      assert.throws(
        () => decode(utf8(JSON.stringify(envelope))),
        (error) => isBinderyError(error, 'bad-format'),
        JSON.stringify(envelope),
      )
})

test('what may be left out is read as what it stands for', () => {
  const edited = <T extends Metadata>(value: T, ...edits: readonly (readonly [string, unknown])[]): T => {
    const all = (signed: Record<string, never>): void => edits.forEach(([path, to]) => edit(path, to)(signed))
    return decodeMetadata(changed(value, all)).value as T
  }
  assert.equal(edited(root, ['consistent_snapshot', undefined]).consistentSnapshot, false)
  const { delegations } = edited(targets, ['delegations/roles/0/paths', undefined], ['delegations/roles/0/terminating', undefined])
  assert.deepEqual(delegations?.roles[0]?.scope, { kind: 'paths', patterns: [] })
  assert.equal(delegations?.roles[0]?.terminating, false)
  assert.equal(edited(targets, ['delegations', undefined]).delegations, undefined)
  const shouted = edited(timestamp, ['meta/snapshot.json/hashes', { sha256: 'AB' }], ['meta/snapshot.json/length', 0])
  sameContent(shouted.snapshot, { version: 7, length: 0, hashes: { sha256: 'ab' } })
  assert.equal(edited(root, ['expires', '2030-01-01T00:00:00.123456Z']).expires, expires + 123)
})

test('what others have added is written again wherever it stands', () => {
  const extra = { 'x-note': [1] }
  const all: readonly Metadata[] = [
    { ...root, extra, roles: { ...root.roles, snapshot: { ...role, extra } } },
    { ...timestamp, extra, snapshot: { ...timestamp.snapshot, extra } },
    { ...snapshot, extra, meta: new Map([['targets', { version: 1, extra }]]) },
    {
      ...targets,
      extra,
      targets: new Map([['a', { length: 1, hashes, extra }]]),
      delegations: { keys, extra, roles: targets.delegations?.roles.map((one) => ({ ...one, extra })) ?? [] },
    },
  ]
  for (const value of all) sameContent(decodeMetadata(signBy(value, signers)).value, value)
})

test('signatures are sorted by key, whoever adds them first', () => {
  const ids = (file: Uint8Array): readonly string[] => decodeRoot(file).signatures.map(({ keyId }) => keyId)
  const sigs = ['c', 'a', 'b'].map((keyId) => ({ keyId, sig: '00' }))
  assert.deepEqual(ids(encodeSigned(root, sigs)), ['a', 'b', 'c'])
  assert.deepEqual(ids(addSignatures(encodeSigned(root, sigs.slice(0, 1)), sigs.slice(1))), ['a', 'b', 'c'])
  assert.equal(decodeRoot(addSignatures(encodeSigned(root, sigs), [{ keyId: 'a', sig: '11' }])).signatures[0]?.sig, '11')
})

test('no input makes a decoder fail in a way of its own', () => {
  const seeds = [root, timestamp, snapshot, targets].map((value) => signBy(value, signers))
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }))
    .map(([seed, edits]) => {
      const copy = seed.slice()
      for (const [at, byte] of edits) copy[at % copy.length] = byte
      return copy
    })
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array(), fc.json().map(utf8)), (input) => {
      try {
        decodeMetadata(input)
      } catch (error) {
        assert.ok(isBinderyError(error), String(error))
      }
    }),
    { numRuns: 500 },
  )
})

const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger().map((value) => value || 0),
    fc.string({ unit: anyCharacter }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }) as fc.Arbitrary<Json>,
  ),
})).value

test('JSON is read back as it was written, however it was laid out', () => {
  fc.assert(
    fc.property(json, fc.constantFrom(0, 1, '\t'), (value, indent) => {
      assert.equal(JSON.stringify(parseJson(utf8(JSON.stringify(value, null, indent)))), JSON.stringify(JSON.parse(JSON.stringify(value))))
      assert.deepEqual(formatJson(parseJson(formatJson(value))), formatJson(value))
    }),
  )
})

test('the canonical form is the one that tuf-js signs', () => {
  const ascii: fc.Arbitrary<Json> = fc.dictionary(
    fc.string(),
    fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.maxSafeInteger().map((value) => value || 0),
      fc.boolean(),
    ),
    { maxKeys: 6 },
  )
  fc.assert(fc.property(ascii, (value) => assert.equal(Buffer.from(canonicalJson(value)).toString(), canonicalize(value))))
})

test('names are sorted by code point, beyond the sixteen bits of JavaScript too', () => {
  assert.equal(Buffer.from(canonicalJson({ '\u{1f600}': 1, '\uffee': 2, a: 3 })).toString(), '{"a":3,"\uffee":2,"\u{1f600}":1}')
})

test('JSON is read with any white space, and as deep as it may be', () => {
  assert.deepEqual(parseJson(utf8(' \t\r\n[ \t\r\n1 \t\r\n, \t\r\n-2 \t\r\n] \t\r\n')), [1, -2])
  assert.equal(JSON.stringify(parseJson(utf8('\n{\n"a"\n:\n{\n}\n,\n"b"\n:\n[\n]\n}\n'))), '{"a":{},"b":[]}')
  assert.deepEqual(
    ['true', 'false', 'null', '0', '-1', '""', '" "'].map((text) => parseJson(utf8(text))),
    [true, false, null, 0, -1, '', ' '],
  )
  assert.equal(parseJson(utf8('"\\"\\\\\\u0041\\n\\/"')), '"\\A\n/')
  assert.equal(parseJson(utf8('"\\n"')), '\n')
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    const nested = (depth: number): Uint8Array => utf8(`${open.repeat(depth)}1${close.repeat(depth)}`)
    parseJson(nested(63))
    assert.throws(
      () => parseJson(nested(64)),
      (error) => isBinderyError(error, 'bad-format'),
    )
  }
  for (const value of ['\ud800', 'a\udc00', 0.5, 2 ** 53, -0, NaN])
    for (const write of [canonicalJson, formatJson])
      assert.throws(
        () => write([value]),
        (error) => isBinderyError(error, 'bad-format'),
        String(value),
      )
  assert.equal(Buffer.from(canonicalJson({ b: [true, null, 'a"\\\n'], a: {} })).toString(), '{"a":{},"b":[true,null,"a\\"\\\\\n"]}')
  assert.equal(Buffer.from(formatJson('\n')).toString(), '"\\n"')
})

test('JSON that two readers could read differently is refused', () => {
  for (const text of [
    '',
    ' ',
    '{',
    '[',
    '"',
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"a":1,}',
    '[1,]',
    '[1 2]',
    '{"a" 1}',
    '{a:1}',
    "{'a':1}",
    '01',
    '1.0',
    '1e2',
    '-0',
    '+1',
    '.5',
    '9007199254740992',
    'NaN',
    'Infinity',
    'nul',
    'True',
    '1 1',
    '{}{}',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\x41"',
    '"a\nb"',
    '"\u001f"',
    '"\\',
    '"\\"',
    '{"a":1',
    '[1',
    '{"a"',
    '{,}',
    '[,]',
    '\u000b1',
    '\u00a01',
    'tru',
    'falsy',
    '"\t"',
    '\ufeff{}',
    '/**/1',
    `${'['.repeat(65)}${']'.repeat(65)}`,
  ]) {
    assert.throws(
      () => parseJson(utf8(text)),
      (error) => isBinderyError(error, 'bad-format'),
      text,
    )
  }
  assert.throws(
    () => parseJson(new Uint8Array([0x22, 0xff, 0x22])),
    (error) => isBinderyError(error, 'bad-format'),
  )
  assert.deepEqual(Object.keys(parseJson(utf8('{"__proto__":{"x":1}}')) as object), ['__proto__'])
  assert.equal(({} as { x?: number }).x, undefined)
})

/** What takes longer than in proportion does not end within the runner's limit. */
test('fifty thousand targets are read', () => {
  const big = utf8(
    JSON.stringify({ targets: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`base/amd64/${i}`, { length: i, hashes }])) }),
  )
  assert.ok(big.length > 4_000_000)
  assert.deepEqual(canonicalJson(parseJson(big)).length, big.length)
})
