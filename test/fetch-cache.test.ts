import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, fromLatin1, latin1, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import {
  cachedSizes,
  cachePath,
  discardPart,
  packIntoCache,
  partPath,
  readPartOrigin,
  removeIfThere,
  sweepCache,
  writePartOrigin,
} from '../src/engine/client/fetch/cache.ts'
import { distinctContents, gatherFiles, piecesOf } from '../src/engine/client/fetch/gather.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { decompress } from '../src/engine/dist/wire.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { testSession } from './helpers/client.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { dir, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { Sha256 } from '../src/base/digest.ts'
import type { FileEntry } from '../src/base/entry.ts'
import type { Piece, Wanted } from '../src/engine/client/fetch/gather.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What lies in the cache under which name, and files that are cut out of a tar into it. */

const [a, b, c] = ['a', 'b', 'c'].map((text) => sha256(utf8(text))) as [Sha256, Sha256, Sha256]

/** A cache with these files, by their names in it. */
async function cache(files: Literal): Promise<Disk> {
  const disk = memoryDisk()
  const named = Object.entries(files).map(([name, one]) => [`${statePaths.cache}/${name}`, one] as const)
  await plant(disk, { [statePaths.cache]: dir(), ...Object.fromEntries(named) })
  return disk
}

/** The files of the cache that have content, by name. */
async function contents(disk: Disk): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const name of [...(await disk.readdir(statePaths.cache))].sort())
    found[name] = latin1((await collectBytes(disk.read(relPath(`${statePaths.cache}/${name}`)), 1 << 20)) as Uint8Array)
  return found
}

test('what a part came from is found again as it was written', async () => {
  const disk = await cache({})
  assert.equal(await readPartOrigin(disk, a), undefined)
  const origin = { url: 'http://updates.test/blobs/x', validator: '"v 1"' }
  await writePartOrigin(disk, a, origin)
  assert.deepEqual(await readPartOrigin(disk, a), origin)
  assert.equal(await readPartOrigin(disk, b), undefined)
  assert.deepEqual(await contents(disk), { [`${a}.from`]: 'bindery-part 1\nurl http://updates.test/blobs/x\nvalidator "v 1"\n' })
})

test('of what is damaged nothing is known of where a part came from; a disk that fails is told', async () => {
  const head = 'bindery-part 1\n'
  const damaged = ['', 'x\n', head, `${head}url x\n`, `${head}url x\nvalidator`, `${head}url x\nvalidator y\nmore z\n`]
  for (const text of [...damaged, `${head}url ${'x'.repeat(8192)}\nvalidator y\n`])
    assert.equal(await readPartOrigin(await cache({ [`${a}.from`]: text }), a), undefined, text.slice(0, 60))
  const most = `${head}url ${'x'.repeat(8192 - head.length - 'url \nvalidator y\n'.length)}\nvalidator y\n`
  assert.equal((await readPartOrigin(await cache({ [`${a}.from`]: most }), a))?.validator, 'y')
  const failing: Disk = { ...(await cache({})), lstat: async () => await Promise.reject(new BinderyError('io', 'fails')) }
  await assert.rejects(readPartOrigin(failing, a), { code: 'io' })
})

test('a part goes with what it came from, and nothing else', async () => {
  const disk = await cache({ [`${a}.part`]: '1', [`${a}.from`]: '2', [a]: '3', [`${b}.part`]: '4' })
  await discardPart(disk, a)
  assert.deepEqual(await contents(disk), { [a]: '3', [`${b}.part`]: '4' })
  await discardPart(disk, a)
  await removeIfThere(disk, cachePath(a))
  assert.deepEqual(Object.keys(await contents(disk)), [`${b}.part`])
})

test('what is made here is compressed, and has its name once it is durable', async () => {
  const inner = await cache({ 'x.patched': 'of an earlier run' })
  const { disk, calls } = faultyDisk(inner, { kind: 'none' })
  const { path, size, sha256: digest } = await packIntoCache(disk, 'x.patched', oneChunk(utf8('content\n'.repeat(100))))
  const bytes = (await collectBytes(inner.read(path), 1000)) as Uint8Array
  assert.deepEqual([path, size, digest], [cachePath(sha256(bytes)), bytes.length, sha256(bytes)])
  assert.deepEqual(Object.keys(await contents(inner)), [digest])
  assert.ok(size < 100 && bytes[0] === 0x28)
  assert.equal(latin1((await collectBytes(decompress(oneChunk(bytes)), 1000)) as Uint8Array), 'content\n'.repeat(100))
  const aside = `${statePaths.cache}/x.patched`
  assert.deepEqual(calls, [`unlink ${aside}`, `create ${aside}`, `sync ${aside}`, `rename ${aside}`])
})

test('files that are here have their sizes, complete or not', async () => {
  const others: Literal = {
    [`${c}.from`]: '1',
    [`${c}.part.part`]: '2',
    [`x${c}`]: '3',
    [c.slice(1)]: '4',
    [`${c}x`]: '5',
    [`${c}xpart`]: '6',
  }
  const disk = await cache({ [a]: 'four', [`${b}.part`]: 'to', ...others })
  const sizes: readonly (readonly [Sha256, number])[] = [
    [a, 4],
    [b, 2],
  ]
  assert.deepEqual(await cachedSizes(disk), new Map(sizes))
  assert.deepEqual([...(await cachedSizes(await cache({ [a]: symlink('x'), [b]: dir() })))], [])
  const gone: Disk = { ...disk, lstat: async (path) => (path === cachePath(a) ? undefined : await disk.lstat(path)) }
  assert.deepEqual([...(await cachedSizes(gone))], [[b, 2]])
})

test('what the coming steps do not need is removed, whatever is left of it', async () => {
  const disk = await cache({ [a]: '1', [`${a}.part`]: '2', [b]: '3', [`${b}.from`]: '4', 'x.patched': '5', [`${c}.part`]: '6' })
  await sweepCache(disk, new Set([a, c]))
  assert.deepEqual(Object.keys(await contents(disk)), [a, `${a}.part`, `${c}.part`].sort())
  await sweepCache(memoryDisk(), new Set([a]))
})

// --- single files of a tar

const entry = (path: string, content: string, more: Partial<FileEntry> = {}): FileEntry => {
  const digest = sha256(fromLatin1(content))
  const meta = { mode: 0o644, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 } }
  return { kind: 'file', path: relPath(path), ...meta, size: content.length, sha256: digest, ...more }
}

const tar = '----first----second--third'
const wanted = (content: string, more: Partial<FileEntry> = {}): Wanted => ({
  entry: entry(`etc/${content}`, content, more),
  offset: tar.indexOf(content),
})
/** Of the tar, in pieces that begin there. */
const cut = (...starts: readonly number[]): readonly (readonly [number, string])[] =>
  starts.map((at, i) => [at, tar.slice(at, starts[i + 1])])

async function* pieces(all: readonly (readonly [number, string])[], seen: number[] = []): AsyncIterable<Piece> {
  for (const [at, text] of all) {
    seen.push(at)
    yield { at, bytes: fromLatin1(text) }
  }
}

async function gathered(all: readonly Wanted[], from: AsyncIterable<Piece>, on: Literal = {}): Promise<Readonly<Record<string, string>>> {
  const disk = await cache(on)
  const session = await testSession({ disk })
  const error = await gatherFiles(session, all, from).then(
    () => undefined,
    (cause: unknown) => cause,
  )
  const found = Object.entries(await contents(disk)).map(([name, content]) => [nameOf(name), content] as const)
  if (error === undefined) return Object.fromEntries(found)
  assert.ok(error instanceof BinderyError, String(error))
  return Object.fromEntries([...found, ['error', `${error.code} ${error.subject}`]])
}

/** Digests as what they are the digests of. */
function nameOf(name: string): string {
  const known = ['first', 'second', 'third', ''].find((content) => name.startsWith(sha256(fromLatin1(content))))
  return known === undefined ? name : known + name.slice(64)
}

test('files come out of the tar wherever its pieces begin', async () => {
  const all = ['third', 'first', 'second'].map((content) => wanted(content))
  const done = { first: 'first', second: 'second', third: 'third' }
  assert.deepEqual(await gathered(all, pieces([[0, tar]])), done)
  for (let at = 1; at < tar.length; at++) assert.deepEqual(await gathered(all, pieces(cut(0, at))), done, String(at))
  assert.deepEqual(await gathered(all, pieces(cut(...tar.split('').keys()))), done)
  assert.deepEqual(await gathered(all, pieces(cut(2, 6, 6, 14))), done)
  // With gaps where nothing is wanted.
  assert.deepEqual(
    await gathered(
      all,
      pieces([
        [4, 'first'],
        [12, '-sec'],
        [16, 'ond'],
        [21, 'third'],
      ]),
    ),
    done,
  )
})

test('an empty file and what an earlier run has left are no exception', async () => {
  const empty = { entry: entry('etc/empty', ''), offset: 9 }
  assert.deepEqual(await gathered([empty, wanted('first')], pieces(cut(0, 9, 10))), { '': '', first: 'first' })
  assert.deepEqual(await gathered([empty], pieces([])), { '': '' })
  assert.deepEqual(await gathered([], pieces(cut(0))), {})
  const left: Literal = { [`${wanted('first').entry.sha256}.part`]: 'half', [wanted('third').entry.sha256]: 'old' }
  assert.deepEqual(await gathered([wanted('first'), wanted('third')], pieces(cut(0)), left), { first: 'first', third: 'third' })
})

test('a file that does not come out as its entry says is refused by its name, and those that are complete are kept', async () => {
  const [first, second, third] = ['first', 'second', 'third'].map((content) => wanted(content)) as [Wanted, Wanted, Wanted]
  const other = pieces([[0, tar.replace('second', 'SECOND')]])
  assert.deepEqual(await gathered([first, second], other), { error: 'bad-digest etc/second', first: 'first' })
  assert.deepEqual(await gathered([first, third], pieces([[0, tar.slice(0, -1)]])), { error: 'bad-digest etc/third', first: 'first' })
  assert.deepEqual(await gathered([first], pieces([])), { error: 'bad-digest etc/first' })
  // As long as the entry says, or of its digest: both.
  assert.deepEqual(await gathered([wanted('first', { size: 9 })], pieces([[4, 'first']])), { error: 'bad-digest etc/first' })
  assert.deepEqual(await gathered([wanted('first', { sha256: second.entry.sha256 })], pieces(cut(0))), { error: 'bad-digest etc/first' })
})

test('nothing is read behind the last file, and nothing written where nothing has come', async () => {
  const seen: number[] = []
  const { disk, calls } = faultyDisk(await cache({}), { kind: 'none' })
  const session = await testSession({ disk })
  const before = calls.length
  const nothing = { entry: entry('etc/empty', ''), offset: 11 }
  await gatherFiles(session, [wanted('second'), wanted('first'), nothing], pieces(cut(0, 4, 7, 9, 13, 19, 21), seen))
  assert.deepEqual(seen, [0, 4, 7, 9, 13])
  const [first = '', second = '', empty = ''] = ['first', 'second', ''].map((content) => partPath(sha256(fromLatin1(content))))
  const begun = [`create ${first}`, `create ${empty}`, `create ${second}`]
  const appended = [`append ${first}`, `append ${first}`, `rename ${first}`, `rename ${empty}`, `append ${second}`, `rename ${second}`]
  assert.deepEqual(calls.slice(before), [...begun, ...appended])
})

test('a stop ends it between two pieces', async () => {
  const controller = new AbortController()
  const session = await testSession({ disk: await cache({}), signal: controller.signal })
  async function* stopping(): AsyncIterable<Piece> {
    yield* pieces(cut(0, 6).slice(0, 1))
    controller.abort(new BinderyError('stopped', 'was stopped'))
    yield* pieces(cut(6))
  }
  assert.deepEqual(await refused(gatherFiles(session, [wanted('first')], stopping())), ['stopped', undefined])
})

test('the pieces of a stream follow each other', async () => {
  async function* stream(): ByteStream {
    for (const text of ['one', '', 'three', 'x']) yield utf8(text)
  }
  const found: (readonly [number, string])[] = []
  for await (const { at, bytes } of piecesOf(stream())) found.push([at, latin1(bytes)])
  assert.deepEqual(found, [
    [0, 'one'],
    [3, ''],
    [3, 'three'],
    [8, 'x'],
  ])
})

test('names that share a content need it once', () => {
  const distinct = distinctContents([entry('x', '1'), entry('y', '2'), entry('z', '1')]).map(({ sha256: digest }) => digest)
  assert.deepEqual(distinct, [entry('x', '1').sha256, entry('y', '2').sha256])
})
