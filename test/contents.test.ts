import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { checked, distContents } from '../src/engine/client/apply/contents.ts'
import { writeDist } from '../src/engine/dist/write.ts'
import { release } from './helpers/client-world.ts'
import { block, char, dir, fifo, file, hardlink, relPath, symlink } from './helpers/plant.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { Wanted } from '../src/engine/client/apply/contents.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

/** What is taken out of a release's tar: what is wanted, when all the tar holds is what the signed manifest says. */

const tarOf = ({ name, manifest, disk }: Release): ByteStream => writeDist(name, manifest, ({ path }) => disk.read(path))

function wantedOf(paths: readonly string[]): Wanted {
  return new Map(paths.map((path) => [relPath(path), { size: 0, sha256: sha256(utf8('')) }]))
}

async function taken(tar: ByteStream, manifest: Manifest, wanted: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for await (const { path, content } of distContents(tar, markVerified(manifest))(wantedOf(wanted)))
    found.push(`${path}: ${latin1((await collectBytes(content, 100)) as Uint8Array)}`)
  return found
}

async function failureOf(work: Promise<unknown>): Promise<readonly (string | undefined)[]> {
  try {
    await work
  } catch (error) {
    if (error instanceof BinderyError) return [error.code, error.subject, error.message]
    throw error
  }
  return []
}

const everything: Literal = {
  'bin/a': 'one',
  'bin/b': hardlink('bin/a'),
  'bin/c': 'two',
  'dev/char': char(1, 3),
  'dev/block': block(1, 3),
  'etc/link': symlink('target'),
  'etc/pipe': fifo(),
  etc: dir(),
}

for (const [wanted, expected] of [
  [
    ['bin/a', 'bin/c'],
    ['bin/a: one', 'bin/c: two'],
  ],
  [['bin/c'], ['bin/c: two']],
  [['bin/elsewhere'], []],
  [[], []],
] as const)
  test(`of a release that is the manifest's, what is wanted comes: ${wanted.join(', ') || 'nothing'}`, async () => {
    const one = await release('1', everything)
    assert.deepEqual(await taken(tarOf(one), one.manifest, wanted), expected)
  })

const says = 'is not in the dist what the manifest says'
const later = { sec: 1_650_000_000, nsec: 0 }

for (const [what, tarred, named] of [
  ['size', 'one', 'three'],
  ['mode', 'one', file('one', { mode: 0o4755 })],
  ['owner', 'one', file('one', { uid: 5 })],
  ['group', 'one', file('one', { gid: 5 })],
  ['time', 'one', file('one', { mtime: later })],
  ['target', symlink('a'), symlink('b')],
  ['major number', char(1, 3), char(2, 3)],
  ['minor number', char(1, 3), char(1, 4)],
  ['major number of a block device', block(1, 3), block(2, 3)],
  ['minor number of a block device', block(1, 3), block(1, 4)],
  ['kind: a block device', block(1, 3), char(1, 3)],
  ['kind: a character device', char(1, 3), block(1, 3)],
  ['kind: a pipe', fifo(), 'one'],
  ['kind: a file', 'one', fifo()],
  ['kind: a folder', dir({ mode: 0o644 }), fifo()],
  ['kind: a link', symlink('a', { mode: 0o777 }), fifo({ mode: 0o777 })],
] as const)
  test(`what the tar has with another ${what} is refused`, async () => {
    const [one, other] = [await release('1', { 'bin/x': tarred }), await release('1', { 'bin/x': named })]
    assert.deepEqual(await failureOf(taken(tarOf(one), other.manifest, ['bin/x'])), ['hostile', 'bin/x', says])
    assert.deepEqual(await taken(tarOf(other), other.manifest, []), [])
  })

test('a name of another file than the manifest says is refused', async () => {
  const two: Literal = { 'bin/a': 'one', 'bin/b': 'one' }
  const [one, other] = [
    await release('1', { ...two, 'bin/c': hardlink('bin/a') }),
    await release('1', { ...two, 'bin/c': hardlink('bin/b') }),
  ]
  assert.deepEqual(await failureOf(taken(tarOf(one), other.manifest, [])), ['hostile', 'bin/c', says])
})

test('content of its size and of another digest comes: whoever wants it checks it', async () => {
  const [one, other] = [await release('1', { 'bin/x': 'one' }), await release('1', { 'bin/x': 'two' })]
  assert.deepEqual(await taken(tarOf(one), other.manifest, ['bin/x']), ['bin/x: one'])
})

test('what only the tar has is refused, and never comes', async () => {
  const [one, other] = [await release('1', { 'bin/x': 'one', 'bin/y': 'y' }), await release('1', { 'bin/y': 'y' })]
  const expected = ['hostile', 'bin/x', 'is in the dist, but not in the manifest']
  assert.deepEqual(await failureOf(taken(tarOf(one), other.manifest, ['bin/x', 'bin/y'])), expected)
})

test('what only the manifest has is refused when the tar has ended', async () => {
  const [one, other] = [await release('1', { 'bin/x': 'one' }), await release('1', { 'bin/x': 'one', 'bin/y': 'y' })]
  const expected = ['hostile', 'bin/y', 'is in the manifest, but not in the dist']
  assert.deepEqual(await failureOf(taken(tarOf(one), other.manifest, ['bin/x'])), expected)
})

// --- one content

const want = { size: 6, sha256: sha256(utf8('abcdef')) }

async function passed(chunks: readonly string[]): Promise<readonly [passed: string, asked: number, ...failure: (string | undefined)[]]> {
  let [text, asked] = ['', 0]
  const content = async function* (): ByteStream {
    for (const chunk of chunks) {
      asked++
      yield utf8(chunk)
    }
  }
  const failure = await failureOf(
    (async () => {
      for await (const bytes of checked(content(), relPath('bin/x'), want)) text += latin1(bytes)
    })(),
  )
  return [text, asked, ...failure]
}

const refusal = ['bad-digest', 'bin/x', 'is not the file of the manifest']

for (const [what, chunks, expected] of [
  ['in one piece', ['abcdef'], ['abcdef', 1]],
  ['in pieces', ['ab', 'cd', 'ef'], ['abcdef', 3]],
  ['another of its size', ['abcdeF'], ['abcdeF', 1, ...refusal]],
  ['a shorter one', ['abc'], ['abc', 1, ...refusal]],
  ['nothing', [], ['', 0, ...refusal]],
  ['a longer one', ['abcdefg'], ['', 1, ...refusal]],
  ['a longer one that begins with it, of which no more is asked for than it takes', ['abcdef', 'g', 'h'], ['abcdef', 2, ...refusal]],
] as const)
  test(`a content is passed on as it comes, and its end is refused where it is another: ${what}`, async () => {
    assert.deepEqual(await passed(chunks), expected)
  })
