import { equalBytes } from '../../base/bytes.ts'
import { findAnchors } from './anchors.ts'
import { codePiece } from './code-piece.ts'
import { fileKindOf, fileKindSize } from './file-kind.ts'
import { contentOf, openPair } from './gzip/plan.ts'
import { largestProgram } from './reader-time.ts'
import { piecesOf } from './pieces.ts'
import { deltaEncoder } from './delta-encode.ts'
import { smallestImage, smallestMatcher } from './smallest.ts'
import { sourceView } from './source-view.ts'
import type { Range } from '../../format/delta.ts'
import type { Meter } from '../../port/ambient.ts'
import type { ByteSource } from '../../port/source.ts'
import type { Matcher } from './match.ts'
import type { DeltaEncoder, RawBatch } from './delta-encode.ts'
import type { Means } from './effort.ts'
import type { FileKind } from './file-kind.ts'
import type { ReferenceTally } from './image/references.ts'
import type { DeltaPlan, Segment } from './plan.ts'
import type { SourceView } from './source-view.ts'
import type { Coded, DeltaWatch } from './watch.ts'

export type CodeInput = {
  readonly old: ByteSource
  readonly new: ByteSource
  readonly plan: DeltaPlan
  /** Segments that are pairs of executables. */
  readonly images: ReadonlySet<Segment>
  /** Segments that are pairs of gzip files. */
  readonly gzips: ReadonlySet<Segment>
  readonly means: Means
  readonly window: number
  readonly batchLimit: number
  readonly meter?: Meter | undefined
  readonly watch?: DeltaWatch | undefined
  readonly signal?: AbortSignal | undefined
}

/** Equal beginnings are told in steps of this size. */
const compareSize = 64 << 10

type Coder = {
  readonly old: SourceView
  readonly next: SourceView
  readonly encoder: DeltaEncoder
  readonly matcher: Matcher
  /** Of images. */
  readonly modelsLiterals: boolean
  readonly input: CodeInput
}

/** Walks the plan and yields batches as they fill. */
export async function* codeSegments(input: CodeInput): AsyncGenerator<RawBatch> {
  const modelsLiterals = input.new.size <= largestProgram
  const encoder = deltaEncoder({ ...input, modelLiterals: modelsLiterals })
  const coder = {
    old: sourceView(input.old),
    next: sourceView(input.new),
    encoder,
    matcher: smallestMatcher(input.means.searches),
    modelsLiterals,
    input,
  }
  for (const segment of input.plan.segments) {
    input.signal?.throwIfAborted()
    // Nobody else asks what the file is.
    const kind = input.watch === undefined ? 'other' : await kindOf(coder, segment)
    const steps = codeSegment(coder, segment)
    let step = await steps.next()
    for (; step.done !== true; step = await steps.next()) {
      input.meter?.advance(step.value)
      yield* encoder.take(false)
    }
    input.watch?.coded(segment, { kind, ...step.value }, encoder.written)
  }
  yield* encoder.take(true)
}

async function kindOf({ next: view }: Coder, { kind, next }: Segment): Promise<FileKind> {
  return kind === 'header' ? 'other' : fileKindOf(await view.read(next.start, Math.min(next.end, next.start + fileKindSize)))
}

type HowCoded = Omit<Coded, 'kind'>

/** Yields how many bytes of new are done since the last time. */
async function* codeSegment(coder: Coder, segment: Segment): AsyncGenerator<number, HowCoded> {
  const { kind, next, old } = segment
  const size = next.end - next.start
  if (old === undefined || !isReachable(coder, old)) {
    yield* codeLiteral(coder, next)
    return { coding: 'new' }
  }
  const opened = await codeOpened(coder, segment, old)
  if (opened !== undefined) {
    yield size
    return opened
  }
  const equal = yield* codeEqualStart(coder, next, old)
  const rest = { start: next.start + equal, end: next.end }
  if (equal === size) return { coding: 'equal' }
  if (kind === 'header' && size === old.end - old.start) {
    const oldStart = old.start + equal
    coder.encoder.copy(oldStart, await coder.old.read(oldStart, old.end), await coder.next.read(rest.start, rest.end))
    yield rest.end - rest.start
  } else yield* codeBody(coder, rest, old, old.start + equal)
  return { coding: 'plain' }
}

/** By what is in the files. Undefined where they are none that are opened, or cannot be. */
async function codeOpened(coder: Coder, segment: Segment, old: Range): Promise<HowCoded | undefined> {
  if (coder.input.images.has(segment)) {
    const references = await codeImage(coder, segment.next, old)
    if (references !== undefined) return { coding: coder.modelsLiterals ? 'image' : 'image, plain literals', references }
  }
  return coder.input.gzips.has(segment) && (await codeGzip(coder, segment, old)) ? { coding: 'gzip' } : undefined
}

/** Contents are compared, not files. False where that cannot be. */
async function codeGzip({ old, next, encoder, matcher }: Coder, segment: Segment, oldBody: Range): Promise<boolean> {
  const [oldRange, nextRange] = [contentOf(oldBody, segment.padding.old), contentOf(segment.next, segment.padding.next)]
  const [oldBytes, nextBytes] = [await old.read(oldRange.start, oldRange.end), await next.read(nextRange.start, nextRange.end)]
  if (equalBytes(oldBytes, nextBytes)) return false
  const pair = openPair(oldBytes, nextBytes)
  if (pair === undefined) return false
  const { oldContent, content } = pair
  const code = (): void => codePiece(encoder, matcher.match(oldContent, content, 0), content, { bytes: oldContent, start: 0 })
  if (!encoder.gzip(oldRange.start, oldBytes.length, nextBytes.length, pair, code)) return false
  encoder.literal(await next.read(nextRange.end, segment.next.end))
  return true
}

/** How well references were guessed. Undefined where the two are not understood, or have too little in common. */
async function codeImage(
  { old, next, encoder, matcher, input }: Coder,
  nextRange: Range,
  oldRange: Range,
): Promise<ReferenceTally | undefined> {
  const [oldBytes, nextBytes] = [await old.read(oldRange.start, oldRange.end), await next.read(nextRange.start, nextRange.end)]
  const image = smallestImage(encoder, matcher, input.means.images, oldBytes, nextBytes)
  return image && encoder.image(oldRange.start, image)
}

/** The decoder's rule: from the window on, or in one retained range. */
function isReachable({ encoder, input }: Coder, old: Range): boolean {
  if (old.start >= encoder.furthest - input.window) return true
  return old.end <= encoder.furthest && input.plan.retained.some(({ start, end }) => old.start >= start && old.end <= end)
}

async function* codeLiteral({ next, encoder }: Coder, { start, end }: Range): AsyncGenerator<number> {
  for (let at = start; at < end;) {
    const bytes = await next.read(at, Math.min(end, at + compareSize))
    encoder.literal(bytes)
    at += bytes.length
    yield bytes.length
  }
}

/** Unchanged files end here: compared, not searched. Answers how many bytes at the beginning are equal, about. */
async function* codeEqualStart(coder: Coder, next: Range, old: Range): AsyncGenerator<number, number> {
  const most = Math.min(next.end - next.start, old.end - old.start)
  let done = 0
  while (done < most) {
    const size = Math.min(compareSize, most - done)
    const [a, b] = [
      await coder.old.read(old.start + done, old.start + done + size),
      await coder.next.read(next.start + done, next.start + done + size),
    ]
    if (!equalBytes(a, b)) break
    coder.encoder.same(old.start + done, size)
    done += size
    yield size
  }
  return done
}

/** `start`: the old byte that the first one of `next` would be if nothing had moved. */
async function* codeBody(coder: Coder, next: Range, old: Range, start: number): AsyncGenerator<number> {
  const fits = old.end - old.start <= coder.input.window
  const whole = fits ? await coder.old.read(old.start, old.end) : undefined
  const anchors = fits ? [] : await findAnchors(coder.old, old, coder.next, next)
  let position = start
  for (const piece of piecesOf(next, anchors, coder.input.window)) {
    coder.input.signal?.throwIfAborted()
    const bytes = await coder.next.read(piece.start, piece.end)
    const expected = Math.max(old.start, piece.expected ?? position)
    const base = fits ? old : baseFor(coder, old, expected, bytes.length)
    const from = whole ?? (await coder.old.read(base.start, base.end))
    const copies = coder.matcher.match(from, bytes, Math.min(Math.max(0, expected - base.start), from.length))
    codePiece(coder.encoder, copies, bytes, { bytes: from, start: base.start })
    position = coder.encoder.position
    yield bytes.length
  }
}

/** The part of a large old file that is searched: as much as the window holds, around the expected place. */
function baseFor({ encoder, input: { window } }: Coder, old: Range, expected: number, size: number): Range {
  const [reachBack, reachAhead] = [Math.floor((window * 3) / 8), Math.floor(window / 8)]
  const start = Math.max(old.start, encoder.furthest - window, Math.min(expected, old.end) - reachBack)
  const end = Math.min(old.end, start + window, Math.max(start, expected) + size + reachAhead)
  return { start, end: Math.max(start, end) }
}
