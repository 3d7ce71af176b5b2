import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { collectBytes, fromLatin1, latin1, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { distOrder, inDistOrder } from '../src/engine/dist/order.ts'
import { describeDist, openDist } from '../src/engine/dist/read.ts'
import { distSize, fileOffsets, writeDist } from '../src/engine/dist/write.ts'
import { arbitraryManifest } from './helpers/arbitrary-manifest.ts'
import { relPath } from './helpers/plant.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { Entry, FileEntry, Manifest } from '../src/base/entry.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { RelPath } from '../src/base/path.ts'

const name = { product: 'base', revision: '1.0', date: '20260101', arch: 'amd64' }
const meta = { mode: 0o644, uid: 0, gid: 0, mtime: { sec: 1_700_000_000, nsec: 0 } }
const root: Entry = { ...meta, path: relPath('.'), kind: 'dir', mode: 0o755 }
const aFile = (path: string, content = path): FileEntry => ({
  ...meta,
  path: relPath(path),
  kind: 'file',
  size: content.length,
  sha256: sha256(fromLatin1(content)),
})

async function bytesOf(stream: ByteStream): Promise<Uint8Array> {
  return (await collectBytes(stream, 64 << 20)) as Uint8Array
}

/** Contents equal paths, as `aFile` makes them. */
async function distOf(entries: readonly Entry[]): Promise<Uint8Array> {
  return await bytesOf(writeDist(name, { entries }, (entry) => oneChunk(fromLatin1(entry.path))))
}

function refused(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  return assert.rejects(work, (error) => isBinderyError(error, code))
}

type Tree = { readonly manifest: Manifest; readonly contents: ReadonlyMap<RelPath, Uint8Array> }

/** Sockets cannot be in a dist; nor can what is linked to them. */
const tree: fc.Arbitrary<Tree> = arbitraryManifest.map((manifest) => {
  const contents = new Map<RelPath, Uint8Array>()
  const gone = new Set(manifest.entries.filter((entry) => entry.kind === 'socket').map((entry) => entry.path))
  const kept = manifest.entries.filter((entry) => !gone.has(entry.path) && !(entry.kind === 'hardlink' && gone.has(entry.leader)))
  const entries = kept.map((entry) => {
    if (entry.kind !== 'file') return entry
    const content = fromLatin1(entry.path.repeat(entry.size % 40))
    contents.set(entry.path, content)
    return { ...entry, size: content.length, sha256: sha256(content) }
  })
  return { manifest: { entries }, contents }
})

function write({ manifest, contents }: Tree): Promise<Uint8Array> {
  return bytesOf(writeDist(name, manifest, (entry) => oneChunk(contents.get(entry.path) ?? new Uint8Array(0))))
}

test('a written dist describes itself: name, manifest, identity, sizes and offsets', async () => {
  await fc.assert(
    fc.asyncProperty(tree, async (given) => {
      const tar = await write(given)
      assert.deepEqual(await describeDist(oneChunk(tar)), {
        name,
        manifest: given.manifest,
        tar: { size: tar.length, sha256: sha256(tar) },
      })
      assert.equal(distSize(name, given.manifest), tar.length)
      const offsets = fileOffsets(name, given.manifest)
      for (const entry of given.manifest.entries) {
        if (entry.kind !== 'file') continue
        const start = offsets.get(entry.path) as number
        assert.equal(sha256(tar.subarray(start, start + entry.size)), entry.sha256)
      }
    }),
    { numRuns: 60 },
  )
})

test('same tree, same bytes, whatever the order of the entries and the chunks of the contents', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.infiniteStream(fc.nat()), async (given, picks) => {
      const shuffled = given.manifest.entries.map((entry) => ({ entry, key: picks.next().value as number })).sort((a, b) => a.key - b.key)
      const crumbs = async function* (entry: FileEntry): ByteStream {
        for (const byte of given.contents.get(entry.path) ?? []) yield Uint8Array.of(byte)
      }
      const again = await bytesOf(writeDist(name, { entries: shuffled.map(({ entry }) => entry) }, crumbs))
      assert.equal(sha256(again), sha256(await write(given)))
    }),
    { numRuns: 40 },
  )
})

/** A change of this test's figures is a change of the format: dists that are out there could no longer be rebuilt. */
test('the bytes of a dist are those of version 1, order 1', async () => {
  const entries: Entry[] = [
    root,
    { ...meta, path: relPath('bin'), kind: 'dir', mode: 0o755, uname: 'root', gname: 'wheel' },
    { ...aFile('bin/su'), mode: 0o4555, mtime: { sec: 1_700_000_000, nsec: 5 } },
    {
      ...meta,
      path: relPath('bin/sudo'),
      kind: 'hardlink',
      leader: relPath('bin/su'),
      mode: 0o4555,
      mtime: { sec: 1_700_000_000, nsec: 5 },
    },
    { ...meta, path: relPath('sh'), kind: 'symlink', target: 'bin/su', mode: 0o777 },
    { ...meta, path: relPath('tty'), kind: 'char', major: 5, minor: 0 },
    { ...meta, path: relPath('p\xff'), kind: 'fifo', uid: 3_000_000, xattrs: new Map([['user.a', 'b']]), flags: ['schg'] },
    aFile(`x${'y'.repeat(200)}`),
  ]
  const tar = await distOf(entries)
  assert.equal(latin1(tar.subarray(512, 575)), '58 comment=bindery dist 1 order=1 base-1.0-20260101-amd64\n\0\0\0\0\0')
  assert.deepEqual([tar.length, sha256(tar)], [11_264, '1d86f505a6917e6435c90c2e64126ffe9243b04488ef121e605421efdc6c8b4d'])
  assert.equal(distOrder, 1)
})

test('the order: directories, linker, C library, libraries, the rest, boot files; by path within; links after leaders', () => {
  const files = ['bsd', 'usr/lib/libz.so.7', 'usr/lib/libc.so.99', 'usr/libexec/ld.so', 'bin/sh', '!', 'boot/loader']
  const entries: Entry[] = [
    ...files.map((path) => aFile(path)),
    ...['usr', 'usr/lib', 'usr/libexec', 'bin', 'boot', '.'].map((path) => ({ ...root, path: relPath(path) })),
    { ...meta, path: relPath('usr/lib/libc.so.98'), kind: 'symlink', target: 'x' },
    { ...meta, path: relPath('usr/lib/liba.so'), kind: 'hardlink', leader: relPath('bin/sh') },
  ]
  assert.deepEqual(
    inDistOrder(entries).map((entry) => entry.path),
    ['.', 'bin', 'boot', 'usr', 'usr/lib', 'usr/libexec']
      .concat(['usr/libexec/ld.so', 'usr/lib/libc.so.98', 'usr/lib/libc.so.99', 'usr/lib/libz.so.7'])
      .concat(['!', 'bin/sh', 'usr/lib/liba.so', 'boot/loader', 'bsd']),
  )
})

test('content that is not that of the manifest is refused', async () => {
  const entries = [root, aFile('a', 'content')]
  const write = (content: string): Promise<Uint8Array> => bytesOf(writeDist(name, { entries }, () => oneChunk(utf8(content))))
  assert.ok((await write('content')).length > 0)
  for (const content of ['', 'conten', 'contents', 'CONTENT']) await refused(write(content), 'bad-digest')
  await refused(
    bytesOf(writeDist(name, { entries: [root, { ...aFile('e', ''), sha256: sha256(utf8('x')) }] }, () => oneChunk(utf8('')))),
    'bad-digest',
  )
})

test('a manifest that is no tree is refused', async () => {
  const link = (path: string, leader: string): Entry => ({ ...meta, path: relPath(path), kind: 'hardlink', leader: relPath(leader) })
  for (const entries of [
    [],
    [aFile('a')],
    [{ ...aFile('a'), path: relPath('.') }],
    [root, aFile('a/b')],
    [root, aFile('a'), aFile('a/b')],
    [root, aFile('a'), aFile('a')],
    [root, { ...root, path: relPath('a') }, aFile('a')],
    [root, link('a', 'b')],
    [root, aFile('b'), link('a', 'b')],
    [root, { ...root, path: relPath('a') }, link('b', 'a')],
    [root, aFile('a'), link('b', 'a'), link('c', 'b')],
    [root, aFile('a'), { ...link('b', 'a'), mode: 0o4755 }],
  ] satisfies readonly (readonly Entry[])[]) {
    await assert.rejects(distOf(entries), (error) => isBinderyError(error, 'hostile') || isBinderyError(error, 'bad-format'))
  }
  await refused(distOf([root, { ...meta, path: relPath('s'), kind: 'socket' }]), 'not-supported')
})

test('parts may be left half read or not read at all, and the reader may be left', async () => {
  const tar = await distOf([root, aFile('aaaa'), aFile('bbbb'), aFile('cccc')])
  const { parts } = await openDist(oneChunk(tar))
  const seen: string[] = []
  for await (const { header, content } of parts) {
    seen.push(header.path)
    if (header.path === 'aaaa') for await (const bytes of content) if (bytes.length > 0) break
    if (header.path === 'cccc') assert.equal(latin1(await bytesOf(content)), 'cccc')
  }
  assert.deepEqual(seen, ['.', 'aaaa', 'bbbb', 'cccc'])
  let closed = false
  const source = async function* (): ByteStream {
    try {
      for (let at = 0; at < tar.length; at += 100) yield tar.subarray(at, at + 100)
    } finally {
      closed = true
    }
  }
  for await (const { header } of (await openDist(source())).parts) if (header.path === 'aaaa') break
  assert.ok(closed)
})

test('what is no dist is told as such, a newer one too', async () => {
  for (const [bytes, message] of [
    ['', /is no dist/],
    ['hello', /is no dist/],
    ['x'.repeat(5000), /is no dist/],
  ] as const) {
    await assert.rejects(openDist(oneChunk(utf8(bytes))), (error) => isBinderyError(error, 'bad-format') && message.test(error.message))
  }
  const tar = await distOf([root])
  const next = tar.slice()
  next.set(utf8('2'), 512 + latin1(tar.subarray(512)).indexOf('dist 1') + 5)
  await assert.rejects(openDist(oneChunk(next)), (error) => isBinderyError(error, 'bad-format') && /newer/.test(error.hint ?? ''))
})

test('cut off anywhere, with any byte changed, with anything behind: refused, or another valid dist', async () => {
  const tar = await distOf([root, { ...aFile('a'), mtime: { sec: -1, nsec: 7 } }, aFile(`b${'b'.repeat(150)}`)])
  for (let end = 0; end < tar.length; end += 37) await refused(describeDist(oneChunk(tar.subarray(0, end))), 'bad-format')
  await refused(describeDist(oneChunk(tar.subarray(0, -1))), 'bad-format')
  for (const more of [new Uint8Array(1), new Uint8Array(512), tar])
    await refused(describeDist(oneChunk(Buffer.concat([tar, more]))), 'hostile')
  for (let at = 0; at < tar.length; at += 13) {
    const damaged = tar.slice()
    damaged[at] = (damaged[at] as number) ^ (1 << (at % 8))
    try {
      const { manifest, name: other, tar: identity } = await describeDist(oneChunk(damaged))
      assert.equal(distSize(other, manifest), identity.size)
    } catch (error) {
      assert.ok(isBinderyError(error), String(error))
    }
  }
})
