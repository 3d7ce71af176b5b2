import { crc32 } from 'node:zlib'
import { BinderyError } from '../../../base/error.ts'
import { align, newBitWriter, putBytes, putWord, written } from './bit-writer.ts'
import { chooseBlock, fixedTrees, putBlock } from './block.ts'
import { closesBlock, isStillThere, nextQuestion } from './block-rules.ts'
import { headerBytes } from '../../../format/gzip.ts'
import { distanceAt } from './hops.ts'
import { margin } from './inflate.ts'
import { newChains, newPrediction, predict, predictLast, skipTo } from './predict.ts'
import { decodeRecipe, treesOf } from './recipe.ts'
import { literal, tokenOf, windowSize } from './symbols.ts'
import { endKnownFrom, meetEnd } from './window.ts'
import type { BitWriter } from './bit-writer.ts'
import type { Part } from './block.ts'
import type { Chains, Prediction, Sink } from './predict.ts'
import type { Exception, Member } from './recipe.ts'

/**
 * The gzip file that `openGzip` took apart, exactly. Total: another recipe gives some other file or a BinderyError, after work that
 * `content`, `recipe` and `limit` bound; `limit` is the most bytes of the file; `chains` serve one call after
 * the other.
 */
export function closeGzip(content: Uint8Array, recipe: Uint8Array, limit: number, chains: Chains = newChains()): Uint8Array {
  const { members, tail } = decodeRecipe(recipe, content.length)
  const writer = newBitWriter(limit)
  let at = 0
  for (const member of members) {
    putMember(writer, content.subarray(at, at + member.size), member, chains)
    at += member.size
  }
  if (at < content.length) throw bad('a gzip recipe uses less content than there is')
  putBytes(writer, tail)
  return written(writer)
}

function putMember(writer: BitWriter, content: Uint8Array, member: Member, chains: Chains): void {
  putBytes(writer, headerBytes(member.header))
  const padded = new Uint8Array(content.length + margin)
  padded.set(content)
  putDeflated(writer, newPrediction(member.rules, padded, content.length, chains), member, chains)
  align(writer)
  if (member.trailer) {
    putBytes(writer, member.trailer)
    return
  }
  putWord(writer, crc32(content))
  putWord(writer, content.length)
}

function putDeflated(writer: BitWriter, p: Prediction, member: Member, { tokens }: Chains): void {
  const state = newClosing(writer, p, member, tokens)
  skipTo(p, beginBlock(state, 0))
  predict(p, state, endKnownFrom(p.end))
  if (p.rules.gnu) meetEnd(p)
  predict(p, state, p.end)
  predictLast(p, state)
  while (!state.ended) {
    endBlock(state, p.end, p.end, true)
    if (!state.ended) beginBlock(state, p.end)
  }
  if (state.correctAt !== Infinity || state.exceptionsLeft > 0) throw bad('a gzip recipe corrects more than there is')
}

/** Where the making of a deflate stream stands. */
type Closing = Sink & {
  readonly writer: BitWriter
  readonly p: Prediction
  readonly member: Member
  /** Of the current block: where its content begins, and how many tokens were before it. */
  start: number
  before: number
  /** How many tokens must be in the block before it may end. */
  question: number
  exception: Exception | undefined
  /** The exception that comes next, when, and how many blocks it is still for. */
  exceptionNumber: number
  exceptionGap: number
  exceptionsLeft: number
  /** The correction that comes next, and for which token. */
  correction: number
  correctAt: number
  /** How many of the corrections so far are matches. */
  correctMatches: number
  ended: boolean
}

function newClosing(writer: BitWriter, p: Prediction, member: Member, tokens: Int32Array): Closing {
  const { exceptions, corrections } = member
  const state: Closing = {
    writer,
    p,
    member,
    tokens,
    count: 0,
    stop: 0,
    settle: (at, next) => settle(state, at, next),
    start: 0,
    before: 0,
    question: 0,
    exception: undefined,
    exceptionNumber: 0,
    exceptionGap: exceptions[0]?.gap ?? 0,
    exceptionsLeft: exceptions[0]?.count ?? 0,
    correction: 0,
    correctAt: corrections.gaps[0] ?? Infinity,
    correctMatches: 0,
    ended: false,
  }
  return state
}

/** Begins the block that comes next, behind those that have no tokens to be predicted; answers where it begins. */
function beginBlock(state: Closing, from: number): number {
  let at = from
  do {
    state.start = at
    state.count = 0
    state.exception = takeException(state)
    const { kind, size } = state.exception ?? {}
    if (kind === 'stored' && size !== undefined) at = passStored(state, at + size)
    else if (size === 0) endBlock(state, at, at, false)
    else {
      awaitBlockEnd(state, size)
      return at
    }
  } while (!state.ended)
  return at
}

/** A token makes one byte at least, so that there is never room for more tokens than there are bytes. */
function awaitBlockEnd(state: Closing, size: number | undefined): void {
  const { p, start } = state
  const left = p.end - start
  if (size !== undefined && size > left) throw bad('a block has more tokens than there is content')
  const most = Math.min(size ?? p.rules.blockTokens, left)
  if (most >= state.tokens.length) state.tokens = new Int32Array(most + 1)
  state.question = size ?? nextQuestion(p.rules, 0)
  state.stop = Math.min(state.question, state.correctAt + 1 - state.before)
}

function takeException(state: Closing): Exception | undefined {
  if (state.exceptionsLeft === 0 || state.exceptionGap-- > 0) return undefined
  state.exceptionGap = 0
  const { exceptions } = state.member
  const exception = exceptions[state.exceptionNumber]
  if (--state.exceptionsLeft === 0) {
    const following = exceptions[++state.exceptionNumber]
    state.exceptionGap = following?.gap ?? 0
    state.exceptionsLeft = following?.count ?? 0
  }
  return exception
}

/** A stored block of a size of its own has no tokens. */
function passStored(state: Closing, end: number): number {
  if (end > state.p.end) throw bad('a block reaches further than the content')
  endBlock(state, end, end, false)
  return end
}

function settle(state: Closing, at: number, predicted: number): number {
  const { p } = state
  let next = predicted
  let changed = false
  if (state.before + state.count === state.correctAt + 1) {
    next = correct(state, at)
    changed = true
  }
  if (state.count === state.question) {
    if (state.exception?.size !== undefined || closesBlock(p, state.tokens, state.count, state.start, at)) {
      endBlock(state, next, at, false)
      const from = state.ended ? next : beginBlock(state, next)
      changed ||= from !== next
      next = from
    } else state.question = nextQuestion(p.rules, state.count)
  }
  state.stop = Math.min(state.question, state.correctAt + 1 - state.before)
  return changed ? -1 - next : next
}

/** Puts the token that the file has in the place of the predicted one; answers where it ends. */
function correct(state: Closing, at: number): number {
  const { p, member } = state
  const { gaps, lengths, distances } = member.corrections
  const code = lengths[state.correction] as number
  const length = code === 0 ? 1 : code + 2
  if (at + length > p.end) throw bad('a match reaches further than the content')
  const distance = code === 0 ? 0 : distanceFrom(p, at, length, distances[state.correctMatches++] as number)
  state.tokens[state.count - 1] = code === 0 ? literal : tokenOf(length, distance)
  const gap = gaps[++state.correction]
  state.correctAt = gap === undefined ? Infinity : state.correctAt + 1 + gap
  return at + length
}

function distanceFrom(p: Prediction, at: number, length: number, code: number): number {
  const distance = code % 2 === 0 ? distanceAt(p, at, length, code / 2) : (code + 1) / 2
  if (distance > at || distance > windowSize) throw bad('a match begins before the content')
  return distance
}

/** Ends the current block with the content before `end`; `at` is where its last token begins. */
function endBlock(state: Closing, end: number, at: number, final: boolean): void {
  const { writer, p, exception, tokens, count, start } = state
  const last = exception ? exception.last : final
  if (final && exception?.size !== undefined && exception.size !== count) throw bad('a block has less tokens than a gzip recipe says')
  if (last && end < p.end) throw bad('content is left behind the last block')
  // Empty blocks are asked for one by one, or a few bytes would keep a reader busy for ever.
  if (end === start && exception && exception.count > 1) throw bad('a gzip recipe repeats an empty block')
  const part: Part = { bytes: p.bytes, start, end, tokens, count }
  if (exception?.head) putBlock(writer, part, exception.kind, last, treesOf(exception.head))
  else if (exception && exception.kind !== 'dynamic') putBlock(writer, part, exception.kind, last, fixedTrees)
  else {
    const { kind, trees } = chooseBlock(part, isStillThere(p, start, at))
    putBlock(writer, part, exception?.kind ?? kind, last, trees)
  }
  state.before += count
  state.ended = last
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', message)
}
