import fc from 'fast-check'
import { fromLatin1 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { comparePaths, joinPath, parentPath, parseRelPath, rootPath } from '../../src/base/path.ts'
import type { Entry, EntryMeta, Manifest } from '../../src/base/entry.ts'
import type { RelPath } from '../../src/base/path.ts'

/** Names from every byte but `/` and NUL, most of them short and many of them awkward. */
export const arbitraryName: fc.Arbitrary<string> = fc
  .oneof(
    fc.constantFrom(
      'a',
      'b',
      'c',
      'lib',
      'libc.so.7',
      'a b',
      'x#y',
      'a=b',
      'back\\slash',
      'a*b',
      '\n',
      '\xff\xfe',
      'é',
      '-rf',
      '...',
      '~',
      '!',
    ),
    fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => String.fromCharCode(...bytes)),
  )
  .filter((name) => parseRelPath(name) !== undefined && name !== '.')

const bytesText = (constraints: { minLength?: number; maxLength?: number }): fc.Arbitrary<string> =>
  fc.uint8Array(constraints).map((bytes) => String.fromCharCode(...bytes))
const wordText = fc.oneof(
  fc.constantFrom('root', 'wheel', '_bindery', 'a b'),
  bytesText({ minLength: 1, maxLength: 8 }).filter((text) => !text.includes('\0')),
)

const number32 = fc.oneof(fc.constantFrom(0, 0, 1000, 0xffff_ffff), fc.nat({ max: 0xffff_ffff }))

/** Metadata without a path; fewer owners than entries, so that names and numbers meet. */
const arbitraryMeta: fc.Arbitrary<Omit<EntryMeta, 'path'>> = fc.record(
  {
    mode: fc.nat({ max: 0o7777 }),
    uid: number32,
    gid: number32,
    uname: wordText,
    gname: wordText,
    mtime: fc.record({ sec: fc.oneof(fc.integer(), fc.maxSafeInteger()), nsec: fc.nat({ max: 999_999_999 }) }, { noNullPrototype: true }),
    flags: fc
      .uniqueArray(fc.constantFrom('arch', 'nodump', 'schg', 'uappnd', 'uarch', 'uchg'), { minLength: 1 })
      .map((flags) => flags.sort()),
    xattrs: fc
      .array(fc.tuple(fc.constantFrom('user.a', 'user.b c', 'security.capability', 'trusted.\xe9'), bytesText({ maxLength: 40 })), {
        minLength: 1,
        maxLength: 4,
      })
      .map((pairs) => new Map(pairs)),
  },
  { requiredKeys: ['mode', 'uid', 'gid', 'mtime'], noNullPrototype: true },
)

type Seed = {
  readonly names: readonly string[]
  readonly kind: Entry['kind']
  readonly meta: Omit<EntryMeta, 'path'>
  readonly content: string
  readonly pick: number
  readonly numbers: readonly [number, number]
}

const arbitrarySeed: fc.Arbitrary<Seed> = fc.record({
  names: fc.array(arbitraryName, { minLength: 1, maxLength: 4 }),
  kind: fc.constantFrom<Entry['kind']>('file', 'file', 'file', 'dir', 'symlink', 'hardlink', 'fifo', 'socket', 'char', 'block'),
  meta: arbitraryMeta,
  content: bytesText({ minLength: 1, maxLength: 20 }),
  pick: fc.nat(),
  numbers: fc.tuple(number32, number32),
})

/** Valid manifests of every kind of entry. */
export const arbitraryManifest: fc.Arbitrary<Manifest> = fc
  .tuple(arbitraryMeta, fc.array(arbitrarySeed, { maxLength: 25 }))
  .map(([rootMeta, seeds]) => grow(rootMeta, seeds))

function grow(rootMeta: Omit<EntryMeta, 'path'>, seeds: readonly Seed[]): Manifest {
  const planned = new Map<RelPath, Seed>()
  const dirs = new Set<RelPath>([rootPath])
  for (const seed of seeds) {
    let path = rootPath
    for (const name of seed.names) path = joinPath(path, name)
    if (planned.has(path) || dirs.has(path) || ancestors(path).some((dir) => planned.has(dir))) continue
    for (const dir of ancestors(path)) dirs.add(dir)
    planned.set(path, seed)
  }
  const meta = (path: RelPath): Omit<EntryMeta, 'path'> => planned.get(path)?.meta ?? rootMeta
  const entries: Entry[] = []
  const leaders: Entry[] = []
  for (const path of [...new Set([...dirs, ...planned.keys()])].sort(comparePaths)) {
    const seed = planned.get(path)
    const entry = seed === undefined || dirs.has(path) ? ({ path, ...meta(path), kind: 'dir' } as const) : entryOf(path, seed, leaders)
    entries.push(entry)
    if (entry.kind !== 'dir' && entry.kind !== 'hardlink') leaders.push(entry)
  }
  return { entries }
}

function ancestors(path: RelPath): RelPath[] {
  const found: RelPath[] = []
  for (let dir = parentPath(path); dir !== rootPath; dir = parentPath(dir)) found.push(dir)
  return [rootPath, ...found]
}

function entryOf(path: RelPath, seed: Seed, leaders: readonly Entry[]): Entry {
  const { kind, meta } = seed
  switch (kind) {
    case 'file':
      return { path, ...meta, kind, size: seed.content.length, sha256: sha256(fromLatin1(seed.content)) }
    case 'symlink':
      return { path, ...meta, mode: 0o777, kind, target: seed.content.replaceAll('\0', '/') }
    case 'char':
    case 'block':
      return { path, ...meta, kind, major: seed.numbers[0], minor: seed.numbers[1] }
    case 'hardlink': {
      const leader = leaders[seed.pick % Math.max(1, leaders.length)]
      if (leader === undefined) return { path, ...meta, kind: 'fifo' }
      const { mode, uid, gid, uname, gname, mtime, flags, xattrs } = leader
      const optional = { ...(uname && { uname }), ...(gname && { gname }), ...(flags && { flags }), ...(xattrs && { xattrs }) }
      return { path, mode, uid, gid, mtime, ...optional, kind, leader: leader.path }
    }
    case 'dir':
    case 'fifo':
    case 'socket':
      return { path, ...meta, kind }
  }
}
