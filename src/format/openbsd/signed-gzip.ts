import { createHash } from 'node:crypto'
import { concatBytes, equalBytes, fromLatin1, latin1 } from '../../base/bytes.ts'
import { byteReader } from '../../base/byte-reader.ts'
import { BinderyError } from '../../base/error.ts'
import { headerBytes } from '../gzip.ts'
import { decodeSignedMessage } from '../signify.ts'
import type { ByteReader } from '../../base/byte-reader.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { SignedMessage } from '../signify.ts'

/**
 * gzip files that signify has signed (signify -z, doc/spec/signed-gzip.md), OpenBSD's packages among them. The comment in the gzip header is an
 * embedded signature whose message names a SHA-512/256 of each block of the payload: of all that stands behind the header, still compressed.
 */
export type SignedGzipHead = {
  /** XFL of the gzip header, all that survives of it. */
  readonly effort: number
  /** The comment as it stands: two lines of signature, then the message. */
  readonly comment: Uint8Array
  readonly signed: SignedMessage
  readonly facts: SigningFacts
  /** Where in the message the digests begin. */
  readonly digestsAt: number
}

/** What the message says before the digests. */
export type SigningFacts = {
  /** ISO 8601, for information; empty where none is given. */
  readonly date: string
  readonly key: string
  readonly blockSize: number
}

export const usualBlockSize = 65_536
/** For a payload of 16 GB. */
export const maxSignedComment: number = 16 << 20
/** One block is held at a time. */
const maxBlockSize = 16 << 20
const maxNameBytes = 64 << 10
const digestLine = 65
const flagName = 8
const flagComment = 16
const systemUnix = 3

/**
 * The head of a signed gzip file, and the payload behind it. Nothing of either may be used before the signature is verified. Throws
 * `bad-format`, `over-limit`, and `not-supported` for a gzip file without a comment.
 */
export async function readSignedGzip(file: ByteStream): Promise<{ readonly head: SignedGzipHead; readonly payload: ByteStream }> {
  const reader = byteReader(file, 'the signed gzip file')
  const fixed = await reader.exactly(10)
  if (fixed[0] !== 0x1f || fixed[1] !== 0x8b || fixed[2] !== 8) throw new BinderyError('bad-format', 'is no gzip file')
  const flags = fixed[3] as number
  // signify refuses them too: whoever skips an extra field reads another comment than whoever does not.
  if ((flags & ~(flagName | flagComment)) !== 0)
    throw new BinderyError('bad-format', 'has a gzip header with fields that no signed file has')
  if ((flags & flagComment) === 0) throw new BinderyError('not-supported', 'is a gzip file without a signature')
  const named = flags & flagName ? await upToNul(reader, new Uint8Array(0), maxNameBytes) : undefined
  const { text: comment, rest } = await upToNul(reader, named?.rest ?? new Uint8Array(0), maxSignedComment)
  const head = headOf(fixed[8] as number, comment)
  return { head, payload: behind(rest, reader) }
}

/** The bytes before the next NUL, and what came along behind it. */
async function upToNul(
  reader: ByteReader,
  first: Uint8Array,
  limit: number,
): Promise<{ readonly text: Uint8Array; readonly rest: Uint8Array }> {
  const parts: Uint8Array[] = []
  let size = 0
  for (let bytes = first; ; bytes = await reader.some(usualBlockSize)) {
    const end = bytes.indexOf(0)
    size += end < 0 ? bytes.length : end
    if (size > limit) throw new BinderyError('over-limit', `has a gzip header of more than ${limit} bytes`)
    if (end >= 0) return { text: concatBytes([...parts, bytes.subarray(0, end)]), rest: bytes.subarray(end + 1) }
    if (bytes.length === 0 && bytes !== first) throw new BinderyError('bad-format', 'ends within its gzip header')
    parts.push(bytes)
  }
}

async function* behind(rest: Uint8Array, reader: ByteReader): ByteStream {
  if (rest.length > 0) yield rest
  yield* reader.stream(Infinity)
}

function headOf(effort: number, comment: Uint8Array): SignedGzipHead {
  const signed = decodeSignedMessage(comment)
  const { facts, end } = factsOf(signed.message)
  return { effort, comment, signed, facts, digestsAt: end }
}

const factLine = /^(date|key|algorithm|blocksize)=(.*)$/
const maxFactBytes = 4096

function factsOf(message: Uint8Array): { readonly facts: SigningFacts; readonly end: number } {
  const text = `\n${latin1(message.subarray(0, maxFactBytes))}`
  const end = text.indexOf('\n\n')
  if (end < 0) throw new BinderyError('bad-format', 'has a signed message without digests')
  const facts = new Map<string, string>()
  for (const line of text.slice(0, end).split('\n').slice(1)) {
    const [, key, value] = (factLine.exec(line) ?? []) as unknown as [unknown, string?, string?]
    if (key === undefined || value === undefined || facts.has(key))
      throw new BinderyError('bad-format', 'has a signed message with a strange line')
    facts.set(key, value)
  }
  if ((facts.get('algorithm') ?? 'SHA512/256') !== 'SHA512/256')
    throw new BinderyError('not-supported', 'is signed with another digest than SHA512/256')
  const size = facts.get('blocksize') ?? String(usualBlockSize)
  if (!/^[1-9][0-9]{0,8}$/.test(size) || Number(size) > maxBlockSize)
    throw new BinderyError('over-limit', `is signed in blocks of ${size.slice(0, 20)} bytes`)
  return { facts: { date: facts.get('date') ?? '', key: facts.get('key') ?? '', blockSize: Number(size) }, end: end + 1 }
}

/** What `signify -zV` passes on before the payload: of the header it was given, XFL and the comment. */
export function signedGzipHeader({ effort, comment }: Pick<SignedGzipHead, 'effort' | 'comment'>): Uint8Array {
  return headerBytes({ flags: flagComment, time: 0, effort, system: systemUnix, optional: concatBytes([comment, new Uint8Array(1)]) })
}

/**
 * The payload block by block, each passed on once its digest fits. A payload that ends at the border of two blocks, too early, has digests
 * left over; one whose length is a multiple of the block size has none for an empty block. Throws `bad-digest`.
 */
export async function* checkedPayload(head: SignedGzipHead, payload: ByteStream): ByteStream {
  const reader = byteReader(payload, 'the signed gzip file')
  let index = 0
  for (; ; index++) {
    const block = await reader.upTo(head.facts.blockSize)
    if (block.length === 0) break
    checkBlock(head, index, block)
    yield block
  }
  if (head.digestsAt + index * digestLine !== head.signed.message.length)
    throw new BinderyError('bad-digest', 'ends before its last signed block')
}

/** Throws `bad-digest` unless the block of this number is the one that was signed. */
export function checkBlock({ signed: { message }, digestsAt, facts }: SignedGzipHead, index: number, block: Uint8Array): void {
  const at = digestsAt + index * digestLine
  const place = `at byte ${index * facts.blockSize} behind its header`
  if (at >= message.length) throw new BinderyError('bad-digest', `goes on after its last signed block, ${place}`)
  if (!equalBytes(digestsOfBlocks(block, block.length), message.subarray(at, at + digestLine)))
    throw new BinderyError('bad-digest', `does not fit its signature in the block ${place}`)
}

/** One line for each block. */
export function digestsOfBlocks(payload: Uint8Array, blockSize: number = usualBlockSize): Uint8Array {
  const lines: string[] = []
  for (let at = 0; at < payload.length; at += blockSize) {
    const block = payload.subarray(at, at + blockSize)
    lines.push(`${createHash('sha512-256').update(block).digest('hex')}\n`)
  }
  return fromLatin1(lines.join(''))
}

/** The message that signify signs, up to its digests. */
export function signingPreamble({ date, key, blockSize }: SigningFacts): Uint8Array {
  return fromLatin1(`date=${date}\nkey=${key}\nalgorithm=SHA512/256\nblocksize=${blockSize}\n\n`)
}

/** A gzip member of no content. */
export const emptyMember: Uint8Array = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
