import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, latin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeJournal, decodeJournalHead, encodeJournal } from '../src/format/journal.ts'
import { decodeNode, encodeNode, escapeWord, unescapeWord } from '../src/format/journal-node.ts'
import { relPath } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Action, Journal } from '../src/format/journal.ts'
import type { Leaf, Node } from '../src/format/journal-node.ts'

const digest = sha256(fromLatin1('content'))
const path = relPath('usr/lib/libc.so.99.0')
const mtime = { sec: 1_700_000_000, nsec: 5 }
const file: Leaf = { kind: 'file', path, mode: 0o444, uid: 0, gid: 0, mtime, size: 7, sha256: digest }

const journal: Journal = {
  transaction: 7,
  purpose: 'install',
  direction: 'forward',
  time: 1_700_000_000,
  releases: [{ role: 'base-amd64', old: 'base-1.0-20260101-amd64', new: 'base-1.1-20260201-amd64' }],
  areas: [relPath('var/db/bindery'), relPath('usr/.bindery')],
  undoes: [],
  postSteps: [
    { kind: 'run', name: 'ldconfig', command: 'ldconfig -R /usr/lib', seconds: 60, failure: 'roll-back', afterRollback: true },
    { kind: 'script', name: 'fix-it', text: '#!/bin/sh\necho "it"\n', seconds: 900, failure: 'report', afterRollback: false },
    { kind: 'notice', text: 'naïve' },
  ],
  reboot: [{ role: 'base-amd64', class: 'careful' }],
  kept: [{ path: relPath('etc/motd'), reason: 'modified', beside: relPath('etc/motd.new') }],
  actions: [{ kind: 'swap', path, slot: { area: 1, number: 0 }, old: file, new: { ...file, mode: 0o4755 } }],
}

test('a journal is plain text, one action a line', () => {
  assert.equal(
    latin1(encodeJournal(journal))
      .replace(/^end .*\n/m, 'end …\n')
      .replaceAll(digest, 'DIGEST'),
    [
      'bindery-journal 1',
      'transaction 7',
      'purpose install',
      'direction forward',
      'time 1700000000',
      'release base-amd64 base-1.0-20260101-amd64 base-1.1-20260201-amd64',
      'area var/db/bindery',
      'area usr/.bindery',
      'post run ldconfig 60 roll-back yes ldconfig\\040-R\\040/usr/lib',
      'post script fix-it 900 report no \\043\\041/bin/sh\\012echo\\040\\042it\\042\\012',
      'post notice na\\303\\257ve',
      'reboot base-amd64 careful',
      'kept modified etc/motd etc/motd.new',
      'swap usr/lib/libc.so.99.0 1:0 file,0444,0,0,1700000000.000000005,7,DIGEST file,4755,0,0,1700000000.000000005,7,DIGEST',
      'end …',
      '',
    ].join('\n'),
  )
})

// --- round trips

const name = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)), minLength: 1, maxLength: 12 })
const anyPath = fc
  .array(
    name.map((text) => text.replaceAll('/', '_')).filter((text) => text !== '.' && text !== '..'),
    { minLength: 1, maxLength: 3 },
  )
  .map((names) => names.join('/') as RelPath)
const anyText = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 12 })
const extras = fc.record(
  {
    flags: fc.uniqueArray(fc.constantFrom('schg', 'uchg', 'nodump'), { minLength: 1 }),
    xattrs: fc
      .dictionary(
        anyText.filter((text) => text !== ''),
        anyText,
        { minKeys: 1 },
      )
      .map((pairs) => new Map(Object.entries(pairs))),
  },
  { requiredKeys: [] },
)
const meta = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 2 ** 32 }),
  gid: fc.integer({ min: 0, max: 2 ** 32 }),
  mtime: fc.record({ sec: fc.maxSafeInteger(), nsec: fc.integer({ min: 0, max: 999_999_999 }) }, { noNullPrototype: true }),
})
const leafKind = fc.oneof(
  fc.record({ kind: fc.constant('file'), size: fc.maxSafeNat(), sha256: fc.constant(digest) }),
  fc.record({ kind: fc.constant('symlink'), target: anyText }),
  fc.record({ kind: fc.constantFrom('char', 'block'), major: fc.nat(), minor: fc.nat() }),
  fc.record({ kind: fc.constantFrom('fifo', 'socket') }),
)
const leafAt = (at: RelPath): fc.Arbitrary<Leaf> =>
  fc.tuple(leafKind, meta, extras).map(([kind, base, more]) => ({ path: at, ...base, ...kind, ...more }))
const dirAt = (at: RelPath): fc.Arbitrary<Extract<Node, { kind: 'dir' }>> =>
  fc.tuple(meta, extras).map(([base, more]) => ({ path: at, ...base, kind: 'dir', ...more }))
const slot = fc.record({ area: fc.constantFrom(0, 1), number: fc.nat(100_000) }, { noNullPrototype: true })
const twin = fc.option(anyPath, { nil: undefined }).map((other) => (other === undefined ? {} : { twin: other }))

const anyAction: fc.Arbitrary<Action> = anyPath.chain((at) =>
  fc.oneof<fc.Arbitrary<Action>[]>(
    dirAt(at).map((node) => ({ kind: 'mkdir', path: at, new: node })),
    dirAt(at).map((node) => ({ kind: 'rmdir', path: at, old: node })),
    fc.tuple(slot, leafAt(at)).map(([where, node]) => ({ kind: 'put', path: at, slot: where, new: node })),
    fc.tuple(slot, leafAt(at), twin).map(([where, node, other]) => ({ kind: 'drop', path: at, slot: where, old: node, ...other })),
    fc
      .tuple(slot, leafAt(at), leafAt(at), twin)
      .map(([where, old, next, other]) => ({ kind: 'swap', path: at, slot: where, old, new: next, ...other })),
    fc.tuple(leafAt(at), leafAt(at)).map(([old, next]) => ({ kind: 'attr', path: at, old, new: next })),
  ),
)

test('what is written reads back', () => {
  fc.assert(
    fc.property(fc.array(anyAction, { maxLength: 5 }), fc.array(anyPath, { maxLength: 3 }), (actions, kept) => {
      const whole: Journal = { ...journal, undoes: [3, 2], kept: kept.map((at) => ({ path: at, reason: 'not-empty' })), actions }
      assert.deepEqual(decodeJournal(encodeJournal(whole)), whole)
    }),
  )
})

test('every word is one that printf(1) gives back', () => {
  const word = escapeWord(Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).join(''))
  assert.match(word, /^[!-~]+$/)
  assert.equal(execFileSync('sh', ['-c', 'printf "$1"', 'sh', word], { encoding: 'latin1' }), unescapeWord(word))
})

// --- bad input

const bytes = encodeJournal(journal)
const refuses = (damaged: Uint8Array): void =>
  assert.throws(
    () => decodeJournal(damaged),
    (error) => isBinderyError(error),
  )

test('a torn journal is recognised at every length', () => {
  for (let length = 0; length < bytes.length; length++) refuses(bytes.subarray(0, length))
})

test('a changed bit is recognised anywhere', () => {
  for (let at = 0; at < bytes.length; at++) refuses(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)))
})

test('bytes behind the end are recognised', () => refuses(new Uint8Array([...bytes, 10])))

/** What a journal says, with its right digest, when the line that begins with `key` is another one, or several. */
function replaced(key: string, ...lines: readonly string[]): Uint8Array {
  const all = latin1(bytes).split('\n').slice(0, -2)
  const at = all.findIndex((line) => line.startsWith(`${key} `))
  assert.notEqual(at, -1, key)
  const text = `${all.toSpliced(at, 1, ...lines).join('\n')}\n`
  return fromLatin1(`${text}end ${sha256(fromLatin1(text))}\n`)
}

function refusesLine(key: string, line: string): void {
  assert.throws(
    () => decodeJournal(replaced(key, line)),
    (error) => isBinderyError(error, 'bad-format'),
    line,
  )
}

test('the right digest does not make nonsense a journal', () => {
  const fifo = 'fifo,0644,0,0,0.000000000'
  assert.equal(decodeJournal(replaced('swap', `drop a 1:0 ${fifo}`)).actions[0]?.kind, 'drop')
  for (const line of ['transaction -1', 'transaction 1x', 'transaction 01', 'transaction 1 2', 'transaction', 'transaktion 1'])
    refusesLine('transaction', line)
  refusesLine('transaction', `transaction ${'1'.repeat(16)}`)
  refusesLine('purpose', 'purpose fun')
  refusesLine('direction', 'direction sideways')
  refusesLine('time', 'time soon')
  for (const line of ['release a b', 'release a b c d', 'release a b \\400']) refusesLine('release', line)
  for (const line of ['area ../etc', 'area /etc', 'area a b', 'area']) refusesLine('area', line)
  for (const line of ['reboot base-amd64', 'reboot base-amd64 careful x', 'reboot base-amd64 never']) refusesLine('reboot', line)
  for (const line of ['kept modified', 'kept because a', 'kept modified a b c', 'kept modified ../a', 'kept modified a /b'])
    refusesLine('kept', line)
  for (const line of [
    'swap usr/lib/libc.so.99.0 1:0 file,0444,0,0,1700000000.000000005,7',
    `drop a\\057..\\057b 0:0 ${fifo}`,
    `drop a 2:0 ${fifo}`,
    `drop a 0 ${fifo}`,
    `drop a 0:0:0 ${fifo}`,
    `drop a 0:x ${fifo}`,
    `drop a 0:0 ${fifo} ../b`,
    `drop a 0:0 ${fifo} b c`,
    'drop a 0:0 dir,0644,0,0,0.000000000',
    'drop a 0:0',
    'drop a',
    'drop',
    `mkdir a ${fifo}`,
    `rmdir a ${fifo}`,
    `put a 0:0 ${fifo} ${fifo}`,
    'put a 0:0 fifo,644,0,0,0.000000000',
    'put a 0:0 fifo,10000,0,0,0.000000000',
    `launch a 0:0 ${fifo}`,
  ])
    refusesLine('swap', line)
})

test('a journal names the folders that its slots are in', () => {
  const areas = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `area a${i}`)
  assert.equal(decodeJournal(replaced('area', ...areas(1023))).areas.length, 1024)
  assert.throws(
    () => decodeJournal(replaced('area', ...areas(1024))),
    (error) => isBinderyError(error, 'bad-format'),
  )
  assert.throws(
    () => decodeJournal(encodeJournal({ ...journal, areas: [], actions: [] })),
    (error) => isBinderyError(error, 'bad-format'),
  )
})

test('a post-step is a run, a script or a notice, with all its terms', () => {
  for (const step of [
    'run',
    'notice',
    'notice a b',
    'run a 60 report yes',
    'run a 60 report yes true x',
    'cry a 60 report yes true',
    'run ../a 60 report yes true',
    'run a 0 report yes true',
    'run a x60 report yes true',
    'run a 60x report yes true',
    'run a 100000 report yes true',
    'run a 60 shrug yes true',
    'run a 60 report perhaps true',
    'run a 60 report yes \\4',
    'notice \\4',
  ])
    refusesLine('post', `post ${step}`)
  const longest = decodeJournal(replaced('post', 'post run a 99999 report no true')).postSteps[0]
  assert.deepEqual(longest, { kind: 'run', name: 'a', seconds: 99_999, failure: 'report', afterRollback: false, command: 'true' })
})

test('steps that failed read back, a notice among them does not', () => {
  const failed = journal.postSteps.filter((step) => step.kind !== 'notice')
  const whole = encodeJournal({ ...journal, failed })
  assert.match(latin1(whole), /^failed run ldconfig 60 /m)
  assert.deepEqual(decodeJournal(whole), { ...journal, failed })
  refusesLine('reboot', 'failed notice a')
})

test('what was kept reads back with what the reason has to say', () => {
  const kept = [
    { path: relPath('etc/a'), reason: 'late', beside: relPath('etc/a.old') },
    { path: relPath('lib/b'), reason: 'needed', by: relPath('bin/b') },
    { path: relPath('etc/c'), reason: 'removed' },
  ] as const
  assert.deepEqual(decodeJournal(encodeJournal({ ...journal, kept })).kept, kept)
})

test('a journal of a newer bindery says so, and what is none', () => {
  const codeOf = (text: string): string | undefined => {
    try {
      decodeJournal(fromLatin1(text))
      return undefined
    } catch (error) {
      return isBinderyError(error) ? error.code : 'another'
    }
  }
  for (const text of ['bindery-journal 2\n', 'bindery-journal 10\n']) assert.equal(codeOf(text), 'not-supported', text)
  for (const text of ['', 'bindery-journal x\n', ' bindery-journal 2\n', `bindery-journal 1\nend ${digest}\n`])
    assert.equal(codeOf(text), 'bad-format', text)
})

test('the head alone is read from the first bytes', () => {
  assert.equal(decodeJournalHead(bytes.subarray(0, 300))?.releases[0]?.new, 'base-1.1-20260201-amd64')
  assert.equal(decodeJournalHead(fromLatin1('bindery-journal 1\nnonsense\n')), undefined)
  assert.equal(decodeJournalHead(fromLatin1(`x${latin1(bytes.subarray(1, 300))}`)), undefined)
})

test('a node has one form', () => {
  assert.equal(
    encodeNode({
      ...file,
      xattrs: new Map([
        ['user.b', '='],
        ['user.a', ','],
      ]),
    }),
    `file,0444,0,0,1700000000.000000005,7,${digest},x=user.a=\\054,x=user.b=\\075`,
  )
  for (const text of [
    `file,0444,0,0,1700000000.000000005,07,${digest}`,
    `file,0444,0,0,1700000000.000000005,7x,${digest}`,
    `file,0444,0,0,1700000000.000000005,9007199254740993,${digest}`,
    `file,x444,0,0,1700000000.000000005,7,${digest}`,
    `file,0444,0,0,1700000000.5,7,${digest}`,
    `file,0444,0,0,x1.000000005,7,${digest}`,
    `file,0444,0,0,1.000000005x,7,${digest}`,
    'file,0444,0,0,1.000000005,7,abc',
    'file,0444,0,0,1.000000005,7',
    'fifo,0444,0,0,1.000000005,x=user.a',
    'fifo,0444,0,0,1.000000005,x=user.a=b=c',
    'fifo,0444,0,0,1.000000005,x=user.b=1,x=user.a=1',
    'fifo,0444,0,0,1.000000005,f=\\4',
    'fifo,0444,0,0,1.000000005,more',
    'door,0444,0,0,1.000000005',
    '',
  ])
    assert.throws(
      () => decodeNode(text, path),
      (error) => isBinderyError(error, 'bad-format'),
      text,
    )
})

test('a word has one spelling', () => {
  assert.equal(unescapeWord('a\\040b'), 'a b')
  for (const text of ['a b', '\\141', '\\4', '\\400', '\\', 'na\u00efve']) assert.equal(unescapeWord(text), undefined, text)
})
