import { crc32, deflateRawSync, gzipSync, inflateRawSync, zstdCompressSync } from 'node:zlib'
import { collectBytes, concatBytes, emptyBytes, fromLatin1, latin1, oneChunk, utf8 } from '../../../src/base/bytes.ts'
import { inflateTokens } from '../../../src/engine/delta/gzip/inflate.ts'
import { decodeRecipe, encodeRecipe } from '../../../src/engine/delta/gzip/recipe.ts'
import { openGzip } from '../../../src/engine/delta/gzip/open-gzip.ts'
import { describeDist, openDist } from '../../../src/engine/dist/read.ts'
import { compress, decompress, listFrames } from '../../../src/engine/dist/wire.ts'
import { writeDist } from '../../../src/engine/dist/write.ts'
import { treeOfTar } from '../../../src/engine/pkg/tree.ts'
import { payloadOf, readPbi } from '../../../src/engine/pkg/pbi.ts'
import { unpack } from '../../../src/engine/pkg/unpack.ts'
import { readAr } from '../../../src/format/ar.ts'
import { readAnyTar } from '../../../src/format/any-tar.ts'
import { decodeBsdiff, encodeBsdiff } from '../../../src/format/bsdiff.ts'
import { bunzip2 } from '../../../src/format/bzip2-decode.ts'
import { bzip2 } from '../../../src/format/bzip2-encode.ts'
import { decodeNameHeader, encodeNameHeader, nameHeaderSize } from '../../../src/format/dist-name-header.ts'
import { elfHeadSize, readElf, readSegments } from '../../../src/format/elf.ts'
import { readElfLinks } from '../../../src/format/elf-links.ts'
import { headerBytes, headerSize, readHeader } from '../../../src/format/gzip.ts'
import { decodePax } from '../../../src/format/pax.ts'
import { splitPbi } from '../../../src/format/pbi.ts'
import {
  decodeHashList,
  decodeOldDigest,
  decodePermissions,
  decodeRemovals,
  encodeHashList,
  encodeLines,
  encodePermissions,
} from '../../../src/format/pbp.ts'
import { encodeHeader } from '../../../src/format/tar.ts'
import { decodeHeader } from '../../../src/format/tar-decode.ts'
import { listMembers } from '../../../src/format/tar-members.ts'
import { hasGoodChecksum, writeChecksum } from '../../../src/format/tar-numbers.ts'
import { readXz } from '../../../src/format/xz.ts'
import { readZip } from '../../../src/format/zip.ts'
import { storedZip } from '../../../src/format/zip-stored.ts'
import { decodeBlockHeader, decodeFrameHeader } from '../../../src/format/zstd-frame.ts'
import { loadLiblzma } from '../../../src/host/liblzma.ts'
import { elfFile } from '../../helpers/elf-file.ts'
import { layouts, link, machines, randomProgram } from '../../helpers/executable.ts'
import { rawPbi } from '../../helpers/pbi.ts'
import { directory, dist, end, file, hardlink, member, pax, symlink } from '../../helpers/tar-builder.ts'
import { canonical, decoder, digest, hexBytes } from '../decoder.ts'
import type { ByteStream } from '../../../src/base/bytes.ts'
import type { DistDescription } from '../../../src/engine/dist/read.ts'
import type { Decoder } from '../decoder.ts'

/** Archives, compressions and programs. */

/** Of xz(1), a line of text; of zip(1), a file of one byte. */
const xz =
  'fd377a585a000004e6d6b4460200210116000000742fe5a3e00016000f5d0030880a86948813ff078c31f4ce6000000004199590b4af9c8d00012b1785cd25d51fb6f37d010000000004595a'
const zip =
  '504b03040a000000000032867d5d8316dc8c0100000001000000010000007a78504b01021e030a000000000032867d5d8316dc8c0100000001000000010000000000000001000000a481000000007a504b0506000000000100010' +
  '02f000000200000000000'

const text = utf8('a text that is repeated, a text that is repeated\n')
const most = 1 << 20

/** Each header of a tar with the check sum of what stands there: at each place where one of 512 bytes could begin. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512)
    if (block[257] === 0x75 && block[258] === 0x73 && !hasGoodChecksum(block)) writeChecksum(block)
  }
  return bytes
}

const inTar = (one: Decoder): Decoder => ({ ...one, mend: withChecksums })

const tars = [
  concatBytes([directory('a'), file('a/b', 'text'), hardlink('a/c', 'a/b'), symlink('l', '../x'), end]),
  concatBytes([pax({ mtime: '1.5' }), file('b', 'x', { mtime: 1 }), pax({ path: 'a'.repeat(120) }), file('a'.repeat(100), 'y'), end]),
]
const dists = [
  dist(directory('d'), file('d/a', 'x'), hardlink('d/b', 'd/a'), symlink('l', '/anywhere')),
  dist(pax({ mtime: '1.5' }), file('a', 'text', { mtime: 1 }), member({ name: 'dev', type: '3', major: 1, minor: 3, mode: 0o600 })),
]
const names = encodeNameHeader(decodeNameHeader((dists[0] as Uint8Array).subarray(0, 1024)))

/** With level 1, whose blocks are small: looking at one costs as much as there is room in it. */
function smallBlocks(bytes: Uint8Array): Uint8Array {
  return fromLatin1(latin1(bytes).replaceAll('BZh9', 'BZh1'))
}

const bzip2s = [text, utf8('abc'.repeat(50)), emptyBytes].map((one) => smallBlocks(bzip2(one)))
const gzips: readonly Uint8Array[] = [
  ...[text, utf8('x'), emptyBytes].map((one) => new Uint8Array(gzipSync(one))),
  headerBytes({ flags: 8, time: 1, effort: 0, system: 3, optional: utf8('name\0') }),
]
/** One that tells its size and has a check sum, one that does not, and several with one to skip between them. */
const sized = (await whole(compress(oneChunk(text), 'zstd'))) as Uint8Array
const unsized = new Uint8Array(zstdCompressSync(text))
const zstds = [sized, unsized, concatBytes([unsized, hexBytes('502a4d1804000000'), text.subarray(0, 4), sized])]
const ar = concatBytes([
  utf8(`!<arch>\n${'debian-binary'.padEnd(48)}${'4'.padEnd(10)}\`\n2.0\n`),
  utf8(`${'data.tar'.padEnd(48)}${'3'.padEnd(10)}\`\nabc\n`),
])
const zips = [hexBytes(zip), deflatedZip()]

function deflatedZip(): Uint8Array {
  const packed = new Uint8Array(deflateRawSync(text))
  const local = new DataView(new ArrayBuffer(31))
  for (const [at, value] of [
    [0, 0x04034b50],
    [14, crc32(text)],
    [18, packed.length],
    [22, text.length],
  ] as const)
    local.setUint32(at, value, true)
  local.setUint16(8, 8, true)
  local.setUint16(26, 1, true)
  local.setUint8(30, 0x78)
  const entry = new DataView(new ArrayBuffer(47))
  for (const [at, value] of [
    [0, 0x02014b50],
    [16, crc32(text)],
    [20, packed.length],
    [24, text.length],
  ] as const)
    entry.setUint32(at, value, true)
  entry.setUint16(10, 8, true)
  entry.setUint16(28, 1, true)
  entry.setUint8(46, 0x78)
  const last = new DataView(new ArrayBuffer(22))
  for (const [at, value] of [
    [0, 0x06054b50],
    [12, 47],
    [16, 31 + packed.length],
  ] as const)
    last.setUint32(at, value, true)
  last.setUint16(8, 1, true)
  last.setUint16(10, 1, true)
  return concatBytes([new Uint8Array(local.buffer), packed, new Uint8Array(entry.buffer), new Uint8Array(last.buffer)])
}

function inflated(bytes: Uint8Array, size: number): Uint8Array | undefined {
  try {
    const content = inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) })
    return content.length === size ? content : undefined
  } catch {
    return undefined
  }
}

/** CRC-32 and size of the content, where it can be inflated at all. */
function withTrailer(bytes: Uint8Array): Uint8Array {
  const header = readHeader(bytes, 0)
  if (header === undefined) return bytes
  const start = headerSize(header)
  const found = inflateTokens(bytes, start, most)
  if (found === undefined) return bytes
  const at = found.next
  if (at + 8 > bytes.length) return bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint32(at, crc32(found.padded.subarray(0, found.size)), true)
  view.setUint32(at + 4, found.size, true)
  return bytes
}

async function whole(stream: ByteStream): Promise<Uint8Array | undefined> {
  return await collectBytes(stream, most)
}

/** All that can be asked of a patch: its steps, each with what it announces. */
function stepsOf(patch: Uint8Array): unknown {
  const reader = decodeBsdiff(patch)
  let made = 0
  for (let step = reader.step(); step !== undefined; step = reader.step()) {
    made += reader.difference(step.copy).length + reader.extra(step.extra).length
    if (made > most) return undefined
  }
  return made
}

const bsdiff = smallBlocks(
  encodeBsdiff({
    newSize: 7,
    steps: [
      { copy: 4, extra: 1, seek: -2 },
      { copy: 2, extra: 0, seek: 0 },
    ],
    difference: new Uint8Array(6).fill(1),
    extra: Uint8Array.of(7),
  }),
)

/** A dist with what its files hold, so that it can be written again. */
type Opened = DistDescription & { readonly contents: ReadonlyMap<string, Uint8Array> }

async function openedDist(bytes: Uint8Array): Promise<Opened> {
  const contents = new Map<string, Uint8Array>()
  for await (const { header, content } of (await openDist(oneChunk(bytes))).parts)
    contents.set(header.path, (await collectBytes(content, most)) ?? emptyBytes)
  return { ...(await describeDist(oneChunk(bytes))), contents }
}

async function writtenDist({ name, manifest, contents }: Opened): Promise<Uint8Array> {
  return (await whole(writeDist(name, manifest, ({ path }) => oneChunk(contents.get(path) ?? emptyBytes)))) as Uint8Array
}

/** A range after the other, as somebody reads it who has the file. */
function linksOf(bytes: Uint8Array): unknown {
  const reading = readElfLinks()
  let next = reading.next()
  while (next.done !== true) next = reading.next(bytes.subarray(next.value.start, next.value.end))
  return next.value
}

const programs = machines.map((machine, i) =>
  link(randomProgram({ machine, layout: layouts[i] ?? 'linux', isFixed: false, isBare: false, isGo: false }, 3, 1)),
)
const recipes = gzips.flatMap((gzip) => openGzip(gzip, most)?.recipe ?? [])
const pbis = [
  smallBlocks(rawPbi({ archive: smallBlocks(bzip2(concatBytes([directory('a'), file('a/b', 'text'), symlink('l', 'a/b'), end]))) })),
  concatBytes([utf8('#!/bin/sh\n'), utf8('__PBI_ARCHIVE__\n'), tars[0] as Uint8Array, utf8('\n__PBI_ARCHIVE__\n'), tars[0] as Uint8Array]),
]

export const archiveDecoders: readonly Decoder[] = [
  decoder('pax', ['12 path=a/b\n18 mtime=1.500000\n'], decodePax),
  inTar(decoder('tar', tars, readAnyTar)),
  inTar(decoder('tar-tree', tars, treeOfTar)),
  inTar(
    decoder(
      'tar-members',
      tars,
      async (bytes) => await listMembers({ size: bytes.length, read: async (start, stop) => bytes.subarray(start, stop) }),
    ),
  ),
  inTar(
    canonical(
      'tar-header',
      [
        directory('a'),
        file('a'),
        hardlink('a/c', 'a/b'),
        symlink('l', '../x'),
        concatBytes([pax({ mtime: '1.5' }), file('b', '', { mtime: 1 })]),
      ],
      decodeHeader,
      encodeHeader,
    ),
  ),
  inTar(canonical('dist', dists, openedDist, writtenDist)),
  inTar(
    canonical('dist-name', [names], (bytes) => (bytes.length === nameHeaderSize ? decodeNameHeader(bytes) : undefined), encodeNameHeader),
  ),
  decoder('ar', ['!<arch>\na.o/            0           0     0     644     4         `\ntext', ar], readAr),
  decoder('zip', zips, readZip),
  decoder('zip-stored', zips, (bytes) => storedZip(bytes, inflated)),
  decoder('bzip2', bzip2s, (bytes) => bunzip2(bytes, most)),
  decoder('xz', [hexBytes(xz)], readXz),
  decoder('liblzma', [hexBytes(xz)], async (bytes) => await unpack(bytes, loadLiblzma)),
  decoder('zstd', zstds, async (bytes) => await whole(decompress(oneChunk(bytes)))),
  decoder('zstd-frames', zstds, async (bytes) => await listFrames(oneChunk(bytes))),
  decoder('zstd-frame', zstds, decodeFrameHeader),
  decoder('zstd-block', [Uint8Array.of(1, 2, 3)], decodeBlockHeader),
  { ...decoder('gzip', gzips.slice(0, 3), async (bytes) => await whole(decompress(oneChunk(bytes)))), mend: withTrailer },
  decoder('gzip-header', gzips, (bytes) => readHeader(bytes, 0), headerBytes),
  decoder('deflate', gzips.slice(0, 3), (bytes) => inflateTokens(bytes, 10, most)),
  decoder('gzip-recipe', recipes, (bytes) => decodeRecipe(bytes, text.length), encodeRecipe),
  // It tries as many rules as there are, on files of its own: a second for 40 kB that all of them nearly fit.
  decoder('gzip-opened', gzips.slice(0, 3), (bytes) => openGzip(bytes, most >> 6)),
  decoder('pbi-parts', pbis, splitPbi),
  decoder('pbi', pbis, async (bytes) => await payloadOf(await readPbi(bytes, loadLiblzma), loadLiblzma)),
  decoder('pbp-removals', ['./a/b\nc\n'], decodeRemovals, encodeLines),
  decoder('pbp-permissions', ['chmod 0755 ./a/b\nchmod 644 c\n'], decodePermissions, encodePermissions),
  decoder('pbp-digest', [`${digest} a\n`, `${digest}\n`], decodeOldDigest),
  decoder('pbp-hashes', [`./a/b:::${digest}\nc:::${digest}\n`], decodeHashList, encodeHashList),
  decoder('bsdiff', [bsdiff], stepsOf),
  decoder('elf', programs, readElf),
  decoder('elf-segments', programs, (bytes) => readSegments(bytes.subarray(0, elfHeadSize), bytes.length)),
  decoder(
    'elf-links',
    [elfFile({ needed: ['libc.so'], interpreter: '/lib/ld.so' }), elfFile({ needed: ['c'], isWide: false, isLittle: false })],
    linksOf,
  ),
]
