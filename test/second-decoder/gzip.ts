import { crc32, inflateRawSync } from 'node:zlib'
import { Fields, need, unpacked } from './bytes.ts'
import { BitWriter, distanceSlot, fixedTrees, optionalHeader, readHead, sizeInBits, treesFor, writeTokens } from './deflate.ts'
import { Predictor } from './predictor.ts'
import type { Token, Trees } from './deflate.ts'

/** The content of the members that are whole. */
export function openGzip(file: Uint8Array, size: number): Uint8Array {
  const parts: Uint8Array[] = []
  for (let member = openMember(file, size); member; member = openMember(member.rest, size)) parts.push(member.content)
  const content = Buffer.concat(parts)
  need(parts.length > 0 && content.length === size, 'old content of another size')
  return content
}

function openMember(file: Uint8Array, most: number): { readonly content: Uint8Array; readonly rest: Uint8Array } | undefined {
  const fields = new Fields(file)
  try {
    const [a, b, method, flags] = [...fields.take(10)] as [number, number, number, number]
    if (a !== 0x1f || b !== 0x8b || method !== 8 || flags > 31) return undefined
    optionalHeader(flags, fields)
  } catch {
    return undefined
  }
  const deflated = fields.take(fields.left)
  const { bytes, used } = unpacked(inflateRawSync, deflated, { maxOutputLength: most + 1 })
  return deflated.length - used < 8 ? undefined : { content: bytes, rest: deflated.subarray(used + 8) }
}

export function closeGzip(content: Uint8Array, recipe: Uint8Array, fileSize: number): Uint8Array {
  const fields = new Fields(recipe)
  need(fields.byte() === 1, 'version of a recipe')
  const parts: Uint8Array[] = []
  for (let flags = 16, at = 0; (flags & 16) !== 0;) {
    const member = readMember(fields, content.length - at)
    flags = member.flags
    const end = at + member.size
    const part = content.subarray(at, end)
    const trailer = Buffer.alloc(8)
    trailer.writeUInt32LE(crc32(part))
    trailer.writeUInt32LE(part.length, 4)
    parts.push(member.header, new MemberWriter(part, member, fileSize).deflated(), member.trailer ?? trailer)
    at = end
    const isLast = (flags & 16) === 0
    need(!isLast || (flags & 32) > 0 === fields.left > 0, 'a tail')
  }
  return Buffer.concat([...parts, fields.take(fields.left)])
}

type Exception = {
  readonly first: number
  readonly last: number
  readonly kind: number
  readonly size: number | undefined
  readonly head: Uint8Array | undefined
}
/** `hops` where the distance is not told. */
type Correction = { readonly index: number; readonly length: number; readonly distance: number }
type Member = ReturnType<typeof readMember>

function readMember(fields: Fields, left: number) {
  const [flags, rules, optional] = [fields.byte(), fields.byte(), fields.byte()]
  const [family, level] = [rules >> 4, rules & 15]
  need(flags < 64 && (flags & 48) !== 48 && family <= 2 && level >= 1 && level <= 9 && optional < 32, 'a member of a recipe')
  const [extra, system] = [fields.byte(), fields.byte()]
  const time = (flags & 1) !== 0 ? fields.take(4) : new Uint8Array(4)
  need((flags & 1) === 0 || time.some((byte) => byte > 0), 'a time of zero')
  const header = Buffer.concat([
    Uint8Array.of(0x1f, 0x8b, 8, optional),
    time,
    Uint8Array.of(extra, system),
    optionalHeader(optional, fields),
  ])
  const size = (flags & 16) !== 0 ? fields.varint() : left
  need(size <= left, 'more content than there is')
  const trailer = (flags & 2) !== 0 ? fields.take(8) : undefined
  const exceptions = (flags & 4) !== 0 ? readExceptions(fields) : []
  const corrections = (flags & 8) !== 0 ? readCorrections(fields) : []
  return { flags, family, level, header, size, trailer, exceptions, corrections }
}

function readExceptions(fields: Fields): readonly Exception[] {
  const count = fields.varint()
  need(count >= 1 && count <= fields.left, 'exceptions')
  let block = 0
  return Array.from({ length: count }, () => {
    const first = block + fields.varint()
    const last = first + fields.varint()
    const kind = fields.byte()
    need((kind & 3) < 3 && (kind & ~31) === 0 && ((kind & 16) === 0 || (kind & 3) === 2), 'a kind of block')
    const size = (kind & 8) !== 0 ? fields.varint() : undefined
    need((kind & 3) > 0 || (size ?? 0) <= 65535, 'a stored block')
    block = last + 1
    return { first, last, kind, size, head: (kind & 16) !== 0 ? fields.take(fields.varint()) : undefined }
  })
}

function readCorrections(fields: Fields): readonly Correction[] {
  const count = fields.varint()
  need(count >= 1 && count <= fields.left, 'corrections')
  const gaps = Array.from({ length: count }, () => fields.varint())
  const lengths = Array.from({ length: count }, () => fields.varint())
  let index = -1
  return gaps.map((gap, i) => {
    index += gap + 1
    const length = lengths[i] as number
    return { index, length: length === 0 ? 1 : length + 2, distance: length === 0 ? -1 : fields.varint() }
  })
}

/** The deflate stream of one member. */
class MemberWriter {
  readonly #content: Uint8Array
  readonly #member: Member
  readonly #most: number
  readonly #predictor: Predictor
  readonly #out = new BitWriter()
  #block = 0
  #exceptions = 0
  /** Where the block begins, its tokens, where they end. */
  #start = 0
  #tokens: Token[] = []
  #at = 0
  #isDone = false

  constructor(content: Uint8Array, member: Member, most: number) {
    this.#content = content
    this.#member = member
    this.#most = most
    this.#predictor = new Predictor(content, member.family, member.level)
  }

  deflated(): Uint8Array {
    const content = this.#content
    this.#pass()
    this.#predictor.begin(this.#at)
    for (let index = 0, corrected = 0; this.#at < content.length; index++) {
      const predicted = this.#predictor.next()
      const correction = this.#member.corrections[corrected]
      const isCorrected = correction?.index === index && !predicted.isLast
      const token = isCorrected ? this.#corrected(predicted.at, correction) : predicted
      if (isCorrected) corrected++
      this.#tokens.push(token)
      const end = (this.#at = token.at + token.length)
      need(end <= content.length, 'a token behind the content')
      if (this.#endsHere(predicted.isLast)) {
        this.#write(false)
        this.#pass()
      }
      this.#predictor.goOn(this.#at, !isCorrected && this.#at === end)
      if (this.#at === content.length) need(corrected === this.#member.corrections.length, 'corrections are left')
    }
    this.#predictor.look(content.length)
    if (this.#tokens.length > 0) this.#write(true)
    while (!this.#isDone) {
      this.#pass()
      if (!this.#isDone) this.#write(true)
    }
    need(this.#exceptions === this.#member.exceptions.length, 'exceptions are left')
    return this.#out.take()
  }

  #corrected(at: number, { length, distance }: Correction): Token {
    if (distance < 0) return { at, length, distance: 0 }
    const found = distance % 2 === 1 ? (distance + 1) / 2 : this.#predictor.hop(at, length, distance / 2)
    need(length <= 258 && found !== undefined && found <= Math.min(at, 32768), 'a token that is not there')
    return { at, length, distance: found }
  }

  get #exception(): Exception | undefined {
    const exception = this.#member.exceptions[this.#exceptions]
    return exception && exception.first <= this.#block ? exception : undefined
  }

  #endsHere(isLast: boolean): boolean {
    const [tokens, { family, level }] = [this.#tokens, this.#member]
    const size = this.#exception?.size
    if (size !== undefined) return tokens.length === size
    if (isLast) return false
    if (tokens.length === (family === 1 ? 16383 : 32767)) return true
    if (family > 0 || level < 3 || tokens.length % 4096 !== 0) return false
    const matches = tokens.filter(({ distance }) => distance > 0)
    const bits = matches.reduce((sum, { distance }) => sum + 5 + distanceSlot(distance).extraBits, 8 * tokens.length)
    const last = (tokens.at(-1) as Token).at + (level > 3 ? 1 : 0)
    return matches.length < tokens.length / 2 && bits >> 3 < (last - this.#start) >> 1
  }

  /** Blocks without tokens. */
  #pass(): void {
    for (let one = this.#exception; !this.#isDone && one?.size !== undefined; one = this.#exception) {
      if (one.size > 0 && (one.kind & 3) !== 0) return
      this.#at += (one.kind & 3) === 0 ? one.size : 0
      need(this.#at <= this.#content.length, 'a stored block behind the content')
      this.#write(false)
    }
  }

  #write(isLast: boolean): void {
    const [tokens, exception, out, bytes] = [this.#tokens, this.#exception, this.#out, this.#content.subarray(this.#start, this.#at)]
    const own = treesFor(tokens, this.#content)
    const type = exception ? exception.kind & 3 : this.#type(own)
    const isFinal = exception ? (exception.kind & 4) !== 0 : isLast
    need(!isFinal || this.#at === this.#content.length, 'the last block before the end of the content')
    need(bytes.length > 0 || !exception || exception.first === exception.last, 'an empty block that is repeated')
    need(!exception || type === 0 || (exception.size ?? tokens.length) === tokens.length, 'a block that is not there')
    out.write(isFinal ? 1 : 0, 1)
    out.write(type, 2)
    if (type === 0) {
      need(bytes.length < 65536, 'a stored block that is too large')
      out.align()
      for (const size of [bytes.length, ~bytes.length]) out.write(size, 16)
      out.append(bytes)
    } else writeTokens(out, tokens, this.#content, type === 1 ? fixedTrees : exception?.head ? readHead(exception.head) : own)
    need(out.size <= this.#most, 'a file that is too large')
    this.#isDone = isFinal
    if (exception?.last === this.#block) this.#exceptions++
    this.#block++
    this.#tokens = []
    this.#start = this.#at
  }

  #type(own: Trees): number {
    const [fixed, dynamic] = [fixedTrees, own].map((trees) => (sizeInBits(this.#tokens, this.#content, trees) + 10) >> 3) as [
      number,
      number,
    ]
    if (this.#at - this.#start + 4 <= Math.min(fixed, dynamic) && this.#start >= this.#predictor.base) return 0
    return fixed <= dynamic ? 1 : 2
  }
}
