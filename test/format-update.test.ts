import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromUtf8, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeJson, encodeJson } from '../src/format/record-json.ts'
import { decodeUpdate, encodeUpdate } from '../src/format/update.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { Need } from '../src/format/need.ts'
import type { Json } from '../src/format/record-json.ts'
import type { Update } from '../src/format/update.ts'

const refuses = (code: ErrorCode, work: () => unknown): void => assert.throws(work, (error) => isBinderyError(error, code))

const example: Update = {
  sequence: 2,
  release: {
    name: { product: 'base', revision: '1.1', date: '20260201', arch: 'amd64' },
    tar: { sha256: sha256(utf8('new')), size: 4096 },
  },
  previous: 'base-1.0-20260101-amd64',
  manifest: { target: 'base/amd64/base-1.1-20260201-amd64.mtree.zst', size: 300 },
  full: [
    {
      codec: 'zstd',
      target: 'base/amd64/base-1.1-20260201-amd64.tar.zst',
      size: 2000,
      frames: { target: 'base/amd64/base-1.1-20260201-amd64.frames', size: 100 },
    },
  ],
  deltas: [
    {
      from: 'base-1.0-20260101-amd64',
      fromSha256: sha256(utf8('old')),
      target: 'base/amd64/base-1.0-20260101-amd64_to_base-1.1-20260201-amd64.delta',
      size: 200,
      memory: 65536,
      manifest: { target: 'base/amd64/base-1.0-20260101-amd64_to_base-1.1-20260201-amd64.mtree.delta', size: 90 },
    },
  ],
  title: 'NFS “Security” update',
  url: 'http://www.example.org/nfs?id=1',
  configuration: ['/usr/local/share/x/*.conf'],
  notices: ['Two lines\nof “text”'],
  postSteps: [
    { kind: 'run', name: 'newsyslog', command: 'newsyslog -C', seconds: 60, failure: 'report', afterRollback: false },
    { kind: 'script', name: 'move', text: 'set -e\nmv a b', seconds: 900, failure: 'roll-back', afterRollback: true },
    { kind: 'notice', text: 'sshd was updated' },
  ],
  reboot: 'careful',
  security: true,
}

const step = { kind: 'run', name: 'a', command: 'a', seconds: 1, failure: 'report', afterRollback: false } as const
const script = { kind: 'script', name: 'a', text: 'a', seconds: 1, failure: 'report', afterRollback: false } as const

/** The example with one place of its JSON changed. */
function with_(change: (record: Record<string, Json>) => void): Uint8Array {
  const record = structuredClone(decodeJson(encodeUpdate(example), 'example')) as Record<string, Json>
  change(record)
  return encodeJson(record)
}

test('a record survives the round trip, and has one spelling', () => {
  const bytes = encodeUpdate(example)
  assert.deepEqual(decodeUpdate(bytes), example)
  assert.deepEqual(encodeUpdate(decodeUpdate(bytes)), bytes)
  assert.match(fromUtf8(bytes), /^\{"bindery":"update","configuration":\[/)
})

test('a delta without one of the manifest is as good, and older readers pass over the member', () => {
  const deltas = example.deltas.map(({ manifest: _, ...delta }) => delta)
  assert.deepEqual(decodeUpdate(encodeUpdate({ ...example, deltas })), { ...example, deltas })
  assert.match(fromUtf8(encodeUpdate(example)), /"must":\[\]/)
})

test('a first release has no previous and no deltas', () => {
  const { previous: _, ...rest } = example
  const first: Update = { ...rest, sequence: 1, deltas: [] }
  assert.deepEqual(decodeUpdate(encodeUpdate(first)), first)
})

test('unknown fields are passed over, unless `must` names them', () => {
  assert.deepEqual(decodeUpdate(with_((r) => (r['stages'] = ['kernel', 'world']))), example)
  refuses('not-supported', () => decodeUpdate(with_((r) => ((r['stages'] = []), (r['must'] = ['stages'])))))
  refuses('not-supported', () => decodeUpdate(with_((r) => (r['version'] = 2))))
  refuses('bad-format', () => decodeUpdate(with_((r) => (r['bindery'] = 'receipt'))))
})

test('targets outside of the channel are hostile', () => {
  for (const target of [
    'base/i386/x',
    'base/amd64/../x',
    'base/amd64/',
    '/base/amd64/x',
    'base/amd64/a/b',
    'base/amd64/.x',
    'base/amd64/a%2fb',
    'other',
  ]) {
    refuses('hostile', () => decodeUpdate(with_((r) => (r['manifest'] = { target, size: 1 }))))
  }
  const elsewhere = { target: 'base/i386/x', size: 1 }
  refuses('hostile', () =>
    decodeUpdate(with_((r) => (((r['deltas'] as Record<string, Json>[])[0] as Record<string, Json>)['manifest'] = elsewhere))),
  )
  refuses('hostile', () => decodeUpdate(with_((r) => (r['previous'] = 'comp-1.0-20260101-amd64'))))
  for (const [field, text] of [
    ['title', 'two\nlines'],
    ['title', '\u009b31m'],
    ['title', ' '],
    ['url', 'file:///etc/passwd'],
    ['url', 'http://a b/'],
    ['url', 'http://a/\u0007'],
    ['url', 'https://'],
  ] as const)
    refuses('hostile', () => decodeUpdate(with_((r) => (r[field] = text))))
  for (const path of ['etc/motd', '/', '/../etc', '/a//b'])
    refuses('hostile', () => decodeUpdate(with_((r) => (r['configuration'] = [path]))))
  refuses('hostile', () => decodeUpdate(with_((r) => (r['postSteps'] = [{ ...step, command: 'a\nb' }]))))
  refuses('hostile', () => decodeUpdate(with_((r) => (r['postSteps'] = [{ ...script, text: 'a\0b' }]))))
})

test('wrong types and values are refused', () => {
  const wrong: ((r: Record<string, Json>) => void)[] = [
    (r) => (r['sequence'] = '2'),
    (r) => delete r['security'],
    (r) => (r['reboot'] = 'now'),
    (r) => (r['release'] = { name: 'base', tar: { sha256: sha256(utf8('')), size: 1 } }),
    (r) => (r['release'] = { name: 'base-1.1-20260201-amd64', tar: { sha256: 'A'.repeat(64), size: 1 } }),
    (r) => (r['previous'] = 'base-1.1-20260201-amd64'),
    (r) => (r['full'] = {}),
    (r) => (r['full'] = [{ codec: 'xz', target: 'base/amd64/x', size: 1 }]),
    (r) => (r['full'] = [{ codec: 'gzip', target: 'base/amd64/x', size: 1, frames: { target: 'base/amd64/y', size: 1 } }]),
    (r) => (r['deltas'] = (r['deltas'] as Json[]).flatMap((delta) => [delta, delta])),
    (r) => (r['deltas'] = (r['deltas'] as Record<string, Json>[]).map((delta) => ({ ...delta, manifest: null }))),
    (r) => (r['notices'] = [null]),
    (r) => (r['postSteps'] = [{ kind: 'exec' }]),
    (r) => (r['postSteps'] = [step, step]),
    (r) => (r['postSteps'] = [{ ...step, name: 'A' }]),
    (r) => (r['postSteps'] = [{ ...step, name: '-a' }]),
    (r) => (r['postSteps'] = [{ ...step, failure: 'ignore' }]),
    (r) => (r['postSteps'] = [{ kind: 'run', name: 'a', command: 'a' }]),
    (r) => (r['reboot'] = 'advised'),
    (r) => (r['configuration'] = '/etc/motd'),
    (r) => delete r['must'],
  ]
  for (const change of wrong) refuses('bad-format', () => decodeUpdate(with_(change)))
  const tooMuch: ((r: Record<string, Json>) => void)[] = [
    (r) => (r['sequence'] = 0),
    (r) => (r['manifest'] = { target: 'base/amd64/x', size: -1 }),
    (r) => (r['notices'] = Array.from({ length: 17 }, () => '')),
    (r) => (r['notices'] = ['x'.repeat(4097)]),
    (r) => (r['title'] = 'x'.repeat(201)),
    (r) => (r['url'] = `http://x/${'x'.repeat(2048)}`),
    (r) => (r['configuration'] = Array.from({ length: 1025 }, () => '/x')),
    (r) => (r['postSteps'] = [{ ...step, seconds: 0 }]),
    (r) => (r['postSteps'] = [{ ...step, seconds: 86_401 }]),
    (r) => (r['postSteps'] = [{ ...script, text: '€'.repeat(30_000) }]),
  ]
  for (const change of tooMuch) refuses('over-limit', () => decodeUpdate(with_(change)))
  refuses('over-limit', () => decodeUpdate(new Uint8Array((1 << 20) + 1)))
})

test('what cannot be read back is not written', () => {
  refuses('over-limit', () => encodeUpdate({ ...example, sequence: 0 }))
  refuses('hostile', () => encodeUpdate({ ...example, manifest: { target: 'x', size: 1 } }))
})

test('a truncated record is refused, a damaged one is refused or another valid record', () => {
  const bytes = encodeUpdate(example)
  for (let end = 0; end < bytes.length; end++) refuses('bad-format', () => decodeUpdate(bytes.subarray(0, end)))
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const broken = bytes.slice()
      broken[at] = (broken[at] as number) ^ flip
      try {
        encodeUpdate(decodeUpdate(broken))
      } catch (error) {
        assert.ok(isBinderyError(error), String(error))
      }
    }),
  )
})

test('canonical JSON: one spelling, whole numbers, bounded depth', () => {
  for (const text of [
    '{ }',
    '{"b":1,"a":2}',
    '{"a":1,"a":1}',
    '1.5',
    '1e3',
    '-0',
    '"\\u0041"',
    '"\\ud800"',
    '9007199254740992',
    '',
    '{"a":1}\n',
    '\ufeff{}',
    'nul',
  ]) {
    refuses('bad-format', () => decodeJson(utf8(text), 'text'))
  }
  refuses('bad-format', () => decodeJson(utf8('['.repeat(100_000) + ']'.repeat(100_000)), 'deep'))
  refuses('bad-format', () => decodeJson(new Uint8Array([0x22, 0xff, 0x22]), 'bytes'))
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value, (_, v: unknown) => (typeof v === 'number' ? Math.trunc(v % 1e9) + 0 : v))
      const whole = JSON.parse(text) as Json
      assert.deepEqual(decodeJson(encodeJson(whole), 'value'), whole)
    }),
  )
})

test('needs of other channels stand in must, so that a reader that does not know them refuses', () => {
  const needs = [
    { channel: { product: 'kernel-A', arch: 'amd64' }, optional: true, from: { sequence: 2, revision: '7.5p3' } },
    { channel: { product: 'comp', arch: 'amd64' }, optional: false },
  ]
  const bytes = encodeUpdate({ ...example, needs })
  assert.deepEqual(decodeUpdate(bytes).needs, needs)
  assert.deepEqual((decodeJson(bytes, 'example') as Record<string, Json>)['must'], ['needs'])
  const channel = (product: string): Need['channel'] => ({ product, arch: 'amd64' })
  const bad: readonly (readonly Need[])[] = [
    [{ channel: channel('base'), optional: false }],
    [
      { channel: channel('comp'), optional: false },
      { channel: channel('comp'), optional: true },
    ],
    [{ channel: channel('comp'), optional: false, from: { sequence: 3, revision: '3' }, to: { sequence: 2, revision: '2' } }],
    [{ channel: channel('comp'), optional: false, from: { sequence: 3, revision: 'a b' } }],
  ]
  for (const one of bad) refuses('bad-format', () => encodeUpdate({ ...example, needs: one }))
})
