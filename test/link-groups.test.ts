import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromLatin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { inodeKey, linkGroups } from '../src/engine/client/apply/links.ts'
import { relPath } from './helpers/plant.ts'
import type { FileEntry } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Decision } from '../src/engine/client/apply/decide.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { KeptReason } from '../src/format/journal.ts'
import type { Stat } from '../src/port/disk.ts'

/** How decisions path by path become groups of names that share an inode. */

/** `mode` tells who has the attributes of whom. */
function file(path: string, text: string, mode = 0o644): FileEntry {
  const content = { size: text.length, sha256: sha256(fromLatin1(text)) }
  return { kind: 'file', path: relPath(path), mode, uid: 0, gid: 0, mtime: { sec: 1, nsec: 0 }, ...content }
}

type Files = Readonly<Record<string, string>>

/** Files by path, and groups as `a b`. */
function treeOf(files: Files, ...groups: readonly string[]): NodeTree {
  const names = groups.map((group) => group.split(' ').map(relPath))
  return {
    nodes: new Map(Object.entries(files).map(([path, text]) => [relPath(path), file(path, text)])),
    groups: new Map(names.flatMap((group) => group.map((name) => [name, group] as const))),
    leaders: new Map(),
  }
}

/** A live file as `INODE CONTENT`, or on another device `DEVICE:INODE CONTENT`. */
type Live = Files

const keep: Decision = { kind: 'keep' }
const kept: Decision = { kind: 'kept', reason: 'modified' }
const add = (path: string, mode?: number): Decision => ({ kind: 'add', new: file(path, 'x', mode) })
const change = (kind: 'replace' | 'attr', path: string, mode: number, told?: KeptReason): Decision => ({
  kind,
  old: file(path, kind === 'attr' ? 'x' : 'old'),
  new: file(path, 'x', mode),
  told,
})
const replace = (path: string, mode = 0o644): Decision => change('replace', path, mode)
const attr = (path: string, mode: number, told?: KeptReason): Decision => change('attr', path, mode, told)

type Given = {
  readonly base?: NodeTree
  readonly next: NodeTree
  readonly live?: Live
  readonly decided: Readonly<Record<string, Decision>>
}

/** What becomes of each path: `KIND MODE from DONOR, told`. */
function linked({ base = treeOf({}), next, live = {}, decided }: Given): Readonly<Record<string, string>> {
  const stats = new Map<RelPath, Stat>()
  const nodes = new Map<RelPath, Node>()
  for (const [path, text] of Object.entries(live)) {
    const [, device = '1', inode = '', content = ''] = /^(?:(.+):)?(.+) (.*)$/.exec(text) ?? []
    stats.set(relPath(path), { device: BigInt(device), inode: BigInt(inode) } as Stat)
    nodes.set(relPath(path), file(path, content))
  }
  const given = new Map(Object.entries(decided).map(([path, decision]) => [relPath(path), decision]))
  const before = structuredClone([...given])
  const { decisions, donors } = linkGroups(given, base, next, { stats, nodes })
  assert.deepEqual([...given], before)
  for (const path of donors.keys()) assert.match(decisions.get(path)?.kind ?? '', /^(?:add|replace)$/)
  return Object.fromEntries(
    [...decisions].map(([path, decision]) => {
      if ('new' in decision) assert.equal(decision.new.path, path)
      const mode = 'new' in decision && decision.new.mode !== 0o644 ? ` ${decision.new.mode.toString(8)}` : ''
      const from = donors.has(path) ? ` from ${donors.get(path) as string}` : ''
      const told = 'told' in decision && decision.told !== undefined ? `, ${decision.told}` : ''
      return [path, `${decision.kind}${mode}${from}${told}`]
    }),
  )
}

const x = { a: 'x', b: 'x', c: 'x' }
const old = { a: 'old', b: 'old', c: 'old' }
const abc = treeOf(x, 'a b c')
const alone = treeOf(x)

test('without groups nothing is linked', () => {
  const decided = { a: add('a', 0o600), b: replace('b'), c: keep }
  assert.deepEqual(linked({ next: alone, live: { b: '1 old', c: '2 x' }, decided }), { a: 'add 600', b: 'replace', c: 'keep' })
})

test('a group that comes whole is staged once, with the attributes of its first name', () => {
  const decided = { c: add('c', 0o611), a: add('a', 0o600), b: add('b', 0o622) }
  assert.deepEqual(linked({ next: abc, decided }), { c: 'add 600', a: 'add 600', b: 'add 600' })
})

test('what comes to a group becomes a name of a file that is there already, with its attributes', () => {
  const decided = { a: add('a', 0o600), b: keep, c: replace('c', 0o600) }
  assert.deepEqual(linked({ next: abc, live: { b: '1 x', c: '2 old' }, decided }), { a: 'add from b', b: 'keep', c: 'replace from b' })
})

test('attributes that the file is to have are those of all its names', () => {
  const decided = { a: attr('a', 0o700), b: add('b', 0o600), c: attr('c', 0o700) }
  assert.deepEqual(linked({ base: treeOf(x, 'a c'), next: abc, live: { a: '1 x', c: '1 x' }, decided }), {
    a: 'attr 700',
    b: 'add 700 from a',
    c: 'attr 700',
  })
})

test('the first names of a group that are kept, go or are changed here are no model for the others', () => {
  const decided: Given['decided'] = { a: kept, b: replace('b', 0o600), c: add('c') }
  assert.deepEqual(linked({ next: abc, live: { a: '1 mine', b: '2 old' }, decided }), { a: 'kept', b: 'replace 600', c: 'add 600' })
})

test('a name with the content of the release gives it, and no other: neither one changed here nor one that is exchanged', () => {
  const decided = (a: Decision): Given['decided'] => ({ a, b: add('b'), c: add('c') })
  const ways: readonly (readonly [Decision, string, string])[] = [
    [keep, '1 x', 'add from a'],
    [attr('a', 0o644), '1 x', 'add from a'],
    [keep, '1 mine', 'add'],
    [attr('a', 0o644), '1 mine', 'add'],
    [kept, '1 x', 'add'],
    [replace('a'), '1 x', 'add'],
    [{ kind: 'remove', old: file('a', 'x') }, '1 x', 'add'],
    [{ kind: 'blocked' }, '1 x', 'add'],
  ]
  for (const [a, live, found] of ways) {
    const { b, c } = linked({ next: abc, live: { a: live }, decided: decided(a) })
    assert.deepEqual([b, c], [found, found], `${a.kind} ${live}`)
  }
  assert.deepEqual(linked({ next: abc, decided: decided(keep) }), { a: 'keep', b: 'add', c: 'add' })
})

test('the inode that most names have is the one that stays; of as many, the first', () => {
  const abcde = treeOf({ ...x, d: 'x', e: 'x' }, 'a b c d e')
  const decided = { a: keep, b: keep, c: keep, d: keep, e: add('e') }
  const ways: readonly (readonly [Live, string])[] = [
    [{ a: '1 x', b: '2 x', c: '2 x', d: '3 x' }, 'b'],
    [{ a: '1 x', b: '1 x', c: '2 x', d: '2 x' }, 'a'],
    [{ a: '1 x', b: '2 x', c: '3 x', d: '3 x' }, 'c'],
    [{ a: '1 x', b: '2 x', c: '3 x', d: '4 x' }, 'a'],
    [{ a: '1 x', b: '2:1 x', c: '2:1 x', d: '3:1 x' }, 'b'],
  ]
  for (const [live, donor] of ways) assert.equal(linked({ base: abcde, next: abcde, live, decided })['e'], `add from ${donor}`)
})

test('names that come together share an inode, where the release has brought them together', () => {
  const decided = { a: keep, b: keep, c: keep }
  const live = { a: '1 x', b: '2 x', c: '3 x' }
  assert.deepEqual(linked({ base: alone, next: abc, live, decided }), { a: 'keep', b: 'replace from a', c: 'replace from a' })
  // Somebody has separated them here.
  assert.deepEqual(linked({ base: abc, next: abc, live, decided }), decidedAs('keep'))
})

const decidedAs = (word: string): Readonly<Record<string, string>> => ({ a: word, b: word, c: word })

test('names that share it already are left as they are', () => {
  const decided = { a: keep, b: keep, c: keep }
  assert.deepEqual(linked({ base: alone, next: abc, live: { a: '1 x', b: '1 x', c: '1 x' }, decided }), decidedAs('keep'))
})

test('a name that is linked anew has the attributes that were decided, and what was told of it is told', () => {
  const decided = { a: keep, b: attr('b', 0o700, 'attributes'), c: attr('c', 0o700) }
  const live = { a: '1 x', b: '2 x', c: '3 x' }
  const found = linked({ base: alone, next: abc, live, decided })
  assert.deepEqual(found, { a: 'keep', b: 'replace from a, attributes', c: 'replace from a' })
  const both = { a: attr('a', 0o711), b: keep, c: attr('c', 0o700, 'modified') }
  assert.deepEqual(linked({ base: alone, next: abc, live, decided: both }), {
    a: 'attr 711',
    b: 'replace 711 from a',
    c: 'replace 711 from a, modified',
  })
})

test('a name that leaves its group becomes a file of its own, with its own content and attributes', () => {
  const next = treeOf({ ...x, c: 'x' }, 'a b')
  const live = { a: '1 x', b: '1 x', c: '1 x' }
  assert.deepEqual(linked({ base: abc, next, live, decided: { a: keep, b: keep, c: keep } }), { a: 'keep', b: 'keep', c: 'replace' })
  const decided = { a: keep, b: keep, c: attr('c', 0o700, 'attributes') }
  assert.equal(linked({ base: abc, next, live, decided })['c'], 'replace 700, attributes')
  // What was there is what was seen there, whatever was decided.
  const [a, c] = [relPath('a'), relPath('c')]
  const stat = { device: 1n, inode: 1n } as Stat
  const seen = {
    stats: new Map([a, c].map((path) => [path, stat])),
    nodes: new Map([
      [a, file('a', 'x')],
      [c, file('c', 'x', 0o611)],
    ]),
  }
  const { decisions } = linkGroups(
    new Map([
      [a, keep],
      [c, attr('c', 0o700)],
    ]),
    abc,
    next,
    seen,
  )
  assert.deepEqual(decisions.get(c), { kind: 'replace', old: file('c', 'x', 0o611), new: file('c', 'x', 0o700), told: undefined })
})

test('of a group that comes apart wholly, one name keeps the file', () => {
  const live = { a: '1 x', b: '1 x', c: '1 x' }
  const decided = { c: keep, b: keep, a: keep }
  assert.deepEqual(linked({ base: abc, next: alone, live, decided }), { c: 'replace', b: 'replace', a: 'keep' })
})

test('one inode is given to one group', () => {
  const names = { a: 'x', b: 'x', c: 'x', d: 'x' }
  const [base, next] = [treeOf(names, 'a b c d'), treeOf(names, 'a b', 'c d')]
  const live = { a: '1 x', b: '1 x', c: '1 x', d: '1 x' }
  const decided = { d: keep, c: keep, b: keep, a: keep }
  // The two are one new file: the first is staged, the other a name of it.
  assert.deepEqual(linked({ base, next, live, decided }), { d: 'replace', c: 'replace', b: 'keep', a: 'keep' })
  // One that has a file of its own already gives that.
  assert.deepEqual(linked({ base, next, live: { ...live, d: '2 x' }, decided }), { d: 'keep', c: 'replace from d', b: 'keep', a: 'keep' })
})

test('paths of a group that nobody has decided about stay out of it, as do those that the release has no more', () => {
  assert.deepEqual(linked({ next: abc, decided: { b: add('b', 0o600) } }), { b: 'add 600' })
  const next = treeOf({ a: 'x', b: 'x' }, 'a b')
  const decided: Given['decided'] = { a: keep, b: keep, c: { kind: 'remove', old: file('c', 'x') } }
  const live = { a: '1 x', b: '1 x', c: '1 x' }
  assert.deepEqual(linked({ base: abc, next, live, decided }), { a: 'keep', b: 'keep', c: 'remove' })
})

test('a name that is changed here gets no file of its group, and one that the plan leaves out gives none either', () => {
  const decided: Given['decided'] = { a: kept, b: keep, c: add('c') }
  assert.deepEqual(linked({ next: abc, live: { a: '1 mine', b: '2 x' }, decided }), { a: 'kept', b: 'keep', c: 'add from b' })
  // As a repair leaves out what is protected.
  const next = treeOf({ a: 'x' }, 'a b')
  assert.deepEqual(linked({ next, live: { b: '1 x' }, decided: { a: add('a'), b: keep } }), { a: 'add', b: 'keep' })
})

test('groups whose contents are new are staged, whatever was there', () => {
  const decided = { a: replace('a', 0o600), b: replace('b'), c: replace('c') }
  const live = { a: '1 old', b: '1 old', c: '1 old' }
  assert.deepEqual(linked({ base: treeOf(old, 'a b c'), next: abc, live, decided }), decidedAs('replace 600'))
})

test('an inode is one of its device', () => {
  assert.equal(inodeKey({ device: 12n, inode: 3n } as Stat), '12:3')
})
