import { align, newBitWriter, written } from './bit-writer.ts'
import { chooseBlock, putHead } from './block.ts'
import { closesBlock, isStillThere, nextQuestion } from './block-rules.ts'
import { hopsTo } from './hops.ts'
import { newPrediction, predict, predictLast, skipTo } from './predict.ts'
import { distanceOf, lengthOf, literal } from './symbols.ts'
import { endKnownFrom, meetEnd } from './window.ts'
import type { Part, Trees } from './block.ts'
import type { Block, Inflated } from './inflate.ts'
import type { Chains, Prediction, Sink } from './predict.ts'
import type { Exception } from './recipe.ts'
import type { Rules } from './rules.ts'

/** How a deflate stream differs from what some rules would make of its content; it grows while the stream is gone through. */
export type Explanation = {
  readonly rules: Rules
  readonly exceptions: Exception[]
  readonly gaps: number[]
  readonly lengths: number[]
  readonly distances: number[]
  /** Bytes that all this takes, roughly. */
  cost: number
}

/** What is gone through. */
export type Explained = {
  /** The gzip file, where heads of blocks are looked up. */
  readonly bytes: Uint8Array
  readonly inflated: Inflated
  readonly chains: Chains
}

/** The state of one attempt; `settle` compares each token that is predicted with that of the file. */
type Attempt = Sink & {
  readonly subject: Explained
  readonly p: Prediction
  readonly explanation: Explanation
  /** Stored blocks are taken to end by the rules, with tokens that nobody can see, until that turns out to be wrong. */
  readonly storedByRule: boolean
  failed: boolean
  /** The current block of the file, and its next token. */
  block: number
  token: number
  /** Of the current block: where its content begins, when to ask whether it ends, and whether it should have ended before. */
  start: number
  question: number
  overdue: boolean
  /** Tokens since the last correction, blocks since the last exception. */
  gap: number
  blockGap: number
  /** Whether the last exception was for an empty block, of which there are no runs. */
  emptyBefore: boolean
}

/** How many positions are gone through before the cost is looked at. */
const stretch = 1 << 15

/** Undefined where the cost would be more than `mostCost`. `trial`: most of the content that is looked at. */
export function explain(subject: Explained, rules: Rules, mostCost: number, trial = Infinity): Explanation | undefined {
  for (const storedByRule of [true, false]) {
    const attempt = newAttempt(subject, rules, storedByRule)
    run(attempt, mostCost, trial)
    if (!attempt.failed) return attempt.explanation.cost > mostCost ? undefined : attempt.explanation
  }
  return undefined
}

function newAttempt(subject: Explained, rules: Rules, storedByRule: boolean): Attempt {
  const { padded, size } = subject.inflated
  const attempt: Attempt = {
    subject,
    p: newPrediction(rules, padded.fill(0, size), size, subject.chains),
    explanation: { rules, exceptions: [], gaps: [], lengths: [], distances: [], cost: 0 },
    storedByRule,
    tokens: new Int32Array(Math.min(rules.blockTokens, size) + 1),
    count: 0,
    stop: 1,
    settle: (at, next) => settle(attempt, at, next),
    failed: false,
    block: 0,
    token: 0,
    start: 0,
    question: 0,
    overdue: false,
    gap: 0,
    blockGap: 0,
    emptyBefore: false,
  }
  return attempt
}

function run(attempt: Attempt, mostCost: number, trial: number): void {
  const { p, explanation } = attempt
  const known = endKnownFrom(p.end)
  skipTo(p, beginBlock(attempt, 0))
  while (p.at < known && p.at < trial && explanation.cost <= mostCost && !attempt.failed)
    predict(p, attempt, Math.min(known, p.at + stretch))
  if (p.at < known || explanation.cost > mostCost || attempt.failed) return
  if (p.rules.gnu) meetEnd(p)
  predict(p, attempt, p.end)
  finish(attempt)
}

/** The token that is still due and the blocks that end with the content. */
function finish(attempt: Attempt): void {
  const { p, subject } = attempt
  const { due } = p
  predictLast(p, attempt)
  if (due && currentBlock(attempt).kind !== 'stored') attempt.token++
  while (attempt.block < subject.inflated.blocks.length && !attempt.failed) {
    endBlock(attempt, p.end, p.end, { final: true, sized: attempt.overdue })
    beginBlock(attempt, p.end)
  }
}

function currentBlock({ subject, block }: Attempt): Block {
  return subject.inflated.blocks[block] as Block
}

/** Passes blocks without tokens; answers where the next one begins. */
function beginBlock(attempt: Attempt, from: number): number {
  const { subject, storedByRule, p } = attempt
  const { blocks } = subject.inflated
  for (let at = from; ; at = attempt.start) {
    attempt.start = at
    attempt.count = 0
    attempt.question = nextQuestion(p.rules, 0)
    attempt.overdue = false
    const block = blocks[attempt.block]
    if (block === undefined) return at
    const whole = block.kind === 'stored' && (!storedByRule || block.end === at)
    const empty = block.kind !== 'stored' && block.tokens === attempt.token && (at < p.end || attempt.block + 1 < blocks.length)
    if (!whole && !empty) return at
    endBlock(attempt, block.end, block.end, { final: false, sized: true })
  }
}

function settle(attempt: Attempt, at: number, predicted: number): number {
  const { tokens } = attempt
  if (attempt.failed) return predicted
  const block = currentBlock(attempt)
  let next = predicted
  let changed = false
  if (block.kind !== 'stored') {
    const token = attempt.subject.inflated.tokens[attempt.token++] as number
    changed = token !== tokens[attempt.count - 1]
    if (changed) {
      noteCorrection(attempt, at, token)
      tokens[attempt.count - 1] = token
      next = at + lengthOf(token)
    } else attempt.gap++
  } else attempt.gap++
  const from = settleBlock(attempt, block, at, next)
  if (attempt.count === tokens.length) growTokens(attempt)
  attempt.stop = attempt.count + 1
  return changed || from !== next ? -1 - from : next
}

function growTokens(attempt: Attempt): void {
  const larger = new Int32Array(2 * attempt.tokens.length)
  larger.set(attempt.tokens)
  attempt.tokens = larger
}

/** Ends the current block where the file does; answers where the next token begins. */
function settleBlock(attempt: Attempt, block: Block, at: number, next: number): number {
  const { p } = attempt
  const due = attempt.count === attempt.question && closesBlock(p, attempt.tokens, attempt.count, attempt.start, at)
  if (attempt.count === attempt.question) attempt.question = due ? Infinity : nextQuestion(p.rules, attempt.count)
  const ends = next >= block.end && (block.kind === 'stored' || attempt.token === block.tokens)
  // Only where a stored block has invisible tokens: they are others than these.
  if (ends && next > block.end) attempt.failed = true
  if (!ends || (next === p.end && !due)) {
    attempt.overdue ||= due
    return next
  }
  endBlock(attempt, next, at, { final: false, sized: attempt.overdue || !due })
  return beginBlock(attempt, next)
}

function noteCorrection(attempt: Attempt, at: number, token: number): void {
  const { p, explanation } = attempt
  const length = lengthOf(token)
  explanation.gaps.push(attempt.gap)
  explanation.lengths.push(token === literal ? 0 : length - 2)
  if (token !== literal) explanation.distances.push(distanceCodeOf(p, at, length, distanceOf(token)))
  explanation.cost += token === literal ? 2 : (explanation.distances.at(-1) as number) < 128 ? 3 : 5
  attempt.gap = 0
}

function distanceCodeOf(p: Prediction, at: number, length: number, distance: number): number {
  const hops = hopsTo(p, at, length, distance)
  return hops === undefined ? 2 * distance - 1 : 2 * hops
}

type Ending = { readonly final: boolean; readonly sized: boolean }

/** Notes how the block of the file differs from that of the rules. The same questions as `closeGzip` asks, with the same arguments. */
function endBlock(attempt: Attempt, end: number, at: number, { final, sized }: Ending): void {
  const { p, subject, tokens, count, start, storedByRule } = attempt
  const { bytes, inflated } = subject
  const block = currentBlock(attempt)
  const last = attempt.block + 1 === inflated.blocks.length
  const passed = block.kind === 'stored' && sized && count === 0
  if (block.kind === 'stored' && sized && !passed && storedByRule) attempt.failed = true
  const part: Part = { bytes: p.bytes, start, end, tokens, count }
  const choice = passed ? undefined : chooseBlock(part, isStillThere(p, start, at))
  const head =
    block.kind === 'dynamic' && choice && !hasHead(bytes, block, choice.trees) ? bitsAt(bytes, block.head, block.headEnd) : undefined
  attempt.block++
  attempt.start = end
  if (choice?.kind === block.kind && head === undefined && !sized && last === final) {
    attempt.blockGap++
    return
  }
  const size = sized ? (block.kind === 'stored' ? end - start : count) : undefined
  noteException(attempt, { gap: attempt.blockGap, count: 1, kind: block.kind, last, size, head }, end === start)
}

function noteException(attempt: Attempt, exception: Exception, empty: boolean): void {
  const { explanation, emptyBefore } = attempt
  const { exceptions } = explanation
  const before = exceptions.at(-1)
  attempt.blockGap = 0
  attempt.emptyBefore = empty
  if (before && !empty && !emptyBefore && isSame(before, exception)) {
    exceptions[exceptions.length - 1] = { ...before, count: before.count + 1 }
    return
  }
  exceptions.push(exception)
  explanation.cost += 3 + (exception.size === undefined ? 0 : 2) + (exception.head ? exception.head.length + 1 : 0)
}

function isSame(before: Exception, { gap, kind, last, size, head }: Exception): boolean {
  return (
    gap === 0 && before.kind === kind && before.last === last && before.size === size && head === undefined && before.head === undefined
  )
}

function hasHead(bytes: Uint8Array, { head, headEnd }: Block, trees: Trees): boolean {
  const ours = newBitWriter(1024)
  putHead(ours, trees)
  const bits = 8 * ours.size + ours.count
  align(ours)
  return bits === headEnd - head && Buffer.compare(written(ours), bitsAt(bytes, head, headEnd)) === 0
}

/** The bits from `start` to `end`, in bytes that are filled from the lowest bit on. */
function bitsAt(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const shift = start & 7
  const size = (end - start + 7) >> 3
  const part = new Uint8Array(size)
  for (let i = 0; i < size; i++) {
    const at = (start >> 3) + i
    part[i] = ((bytes[at] as number) >> shift) | ((bytes[at + 1] ?? 0) << (8 - shift))
  }
  const spare = 8 * size - (end - start)
  if (size > 0) part[size - 1] = (part[size - 1] as number) & (0xff >> spare)
  return part
}
