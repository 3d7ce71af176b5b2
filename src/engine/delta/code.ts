import { unreachable } from '../../base/error.ts'
import { findAnchors } from './anchors.ts'
import { codePiece } from './code-piece.ts'
import { fileKindOf, fileKindSize } from './file-kind.ts'
import { contentOf } from './gzip/plan.ts'
import { largestProgram } from './reader-time.ts'
import { piecesOf } from './pieces.ts'
import { prepareSegments } from './prepare.ts'
import { deltaEncoder } from './delta-encode.ts'
import { smallestImage } from './smallest.ts'
import { sourceView } from './source-view.ts'
import type { Range } from '../../format/delta.ts'
import type { Meter } from '../../port/ambient.ts'
import type { ByteSource } from '../../port/source.ts'
import type { DeltaEncoder, RawBatch } from './delta-encode.ts'
import type { FileKind } from './file-kind.ts'
import type { ReferenceTally } from './image/references.ts'
import type { Segment } from './plan.ts'
import type { Matched, MatchedAs, Prepared, PrepareInput } from './prepare.ts'
import type { SourceView } from './source-view.ts'
import type { Coded, DeltaWatch } from './watch.ts'

export type CodeInput = PrepareInput & {
  readonly old: ByteSource
  readonly new: ByteSource
  readonly batchLimit: number
  readonly meter?: Meter | undefined
  readonly watch?: DeltaWatch | undefined
}

/** New files are read in steps of this size. */
const literalSize = 64 << 10

type Coder = {
  readonly old: SourceView
  readonly next: SourceView
  readonly encoder: DeltaEncoder
  /** Of images. */
  readonly modelsLiterals: boolean
  readonly input: CodeInput
}

/** Walks the plan and yields batches as they fill. */
export async function* codeSegments(input: CodeInput): AsyncGenerator<RawBatch> {
  const modelsLiterals = input.new.size <= largestProgram
  const encoder = deltaEncoder({ ...input, modelLiterals: modelsLiterals })
  const coder = { old: sourceView(input.old, true), next: sourceView(input.new, true), encoder, modelsLiterals, input }
  for await (const prepared of prepareSegments(input)) {
    input.signal?.throwIfAborted()
    const { segment } = prepared
    // Nobody else asks what the file is.
    const kind = input.watch === undefined ? 'other' : await kindOf(coder, segment)
    const steps = codeSegment(coder, prepared)
    let step = await steps.next()
    for (; step.done !== true; step = await steps.next()) {
      input.meter?.advance(step.value)
      yield* encoder.take(false)
    }
    input.watch?.coded(segment, { kind, ...step.value }, encoder.written)
  }
  // The last batch may be the only one, and takes memory of its own.
  for (const view of [coder.old, coder.next, input.views.old, input.views.next]) view.release()
  await input.matcher.end()
  yield* encoder.take(true)
}

async function kindOf({ next: view }: Coder, { kind, next }: Segment): Promise<FileKind> {
  return kind === 'header' ? 'other' : fileKindOf(await view.read(next.start, Math.min(next.end, next.start + fileKindSize)))
}

type HowCoded = Omit<Coded, 'kind'>

/** Yields how many bytes of new are done since the last time. */
async function* codeSegment(coder: Coder, prepared: Prepared): AsyncGenerator<number, HowCoded> {
  const { segment, equal, matched } = prepared
  const { kind, next, old } = segment
  const size = next.end - next.start
  if (old === undefined || !isReachable(coder, old)) {
    yield* codeLiteral(coder, next)
    return { coding: 'new' }
  }
  const opened = matched && (await codeMatched(coder, segment, old, matched))
  if (opened !== undefined) {
    yield size
    return opened
  }
  coder.encoder.same(old.start, equal)
  yield equal
  if (equal === size) return { coding: 'equal' }
  const rest = { start: next.start + equal, end: next.end }
  if (kind === 'header' && size === old.end - old.start) {
    const oldStart = old.start + equal
    coder.encoder.copy(oldStart, await coder.old.read(oldStart, old.end), await coder.next.read(rest.start, rest.end))
    yield rest.end - rest.start
  } else if (matched?.kind === 'plain') {
    await codePlain(coder, matched, old.start)
    yield rest.end - rest.start
  } else yield* codeBody(coder, rest, old, old.start + equal)
  return { coding: 'plain' }
}

/** Other than plainly. Undefined where that cannot be. */
async function codeMatched(coder: Coder, segment: Segment, old: Range, matched: Matched): Promise<HowCoded | undefined> {
  switch (matched.kind) {
    case 'image': {
      const references = await codeImage(coder, old, matched)
      return references && { coding: coder.modelsLiterals ? 'image' : 'image, plain literals', references }
    }
    case 'gzip':
      return (await codeGzip(coder, segment, old, matched)) ? { coding: 'gzip' } : undefined
    case 'plain':
      return undefined
    default:
      return unreachable(matched)
  }
}

/** Contents are compared, not files. False where that cannot be. */
async function codeGzip({ next, encoder }: Coder, segment: Segment, old: Range, matched: MatchedAs<'gzip'>): Promise<boolean> {
  const found = await matched.found
  if (found === undefined) return false
  const { pair, copies } = found
  const [oldRange, nextRange] = [contentOf(old, segment.padding.old), contentOf(segment.next, segment.padding.next)]
  const code = (): void => codePiece(encoder, copies, pair.content, { bytes: pair.oldContent, start: 0 })
  if (!encoder.gzip(oldRange.start, oldRange.end - oldRange.start, nextRange.end - nextRange.start, pair, code)) return false
  encoder.literal(await next.read(nextRange.end, segment.next.end))
  return true
}

/** How well references were guessed. Undefined where the two are not understood, or have too little in common. */
async function codeImage({ encoder }: Coder, old: Range, { found, plain }: MatchedAs<'image'>): Promise<ReferenceTally | undefined> {
  const images = await found
  const image = plain === undefined ? images[0] : smallestImage(encoder, images, await plain)
  return image && encoder.image(old.start, image)
}

/** The decoder's rule: from the window on, or in one retained range. */
function isReachable({ encoder, input }: Coder, old: Range): boolean {
  if (old.start >= encoder.furthest - input.window) return true
  return old.end <= encoder.furthest && input.plan.retained.some(({ start, end }) => old.start >= start && old.end <= end)
}

async function* codeLiteral({ next, encoder }: Coder, { start, end }: Range): AsyncGenerator<number> {
  for (let at = start; at < end;) {
    const bytes = await next.read(at, Math.min(end, at + literalSize))
    encoder.literal(bytes)
    at += bytes.length
    yield bytes.length
  }
}

async function codePlain({ encoder }: Coder, { old, next, found }: MatchedAs<'plain'>, oldStart: number): Promise<void> {
  codePiece(encoder, await found, next, { bytes: old, start: oldStart })
}

/** Piece by piece. `start`: the old byte that the first one of `next` would be if nothing had moved. */
async function* codeBody(coder: Coder, next: Range, old: Range, start: number): AsyncGenerator<number> {
  const { encoder, input } = coder
  const fits = old.end - old.start <= input.window
  const whole = fits ? await coder.old.read(old.start, old.end) : undefined
  const anchors = fits ? [] : await findAnchors(coder.old, old, coder.next, next)
  let position = start
  for (const piece of piecesOf(next, anchors, input.window)) {
    input.signal?.throwIfAborted()
    const bytes = await coder.next.read(piece.start, piece.end)
    const expected = Math.max(old.start, piece.expected ?? position)
    const base = fits ? old : baseFor(coder, old, expected, bytes.length)
    const from = whole ?? (await coder.old.read(base.start, base.end))
    const copies = await input.matcher.plain(from, bytes, Math.min(Math.max(0, expected - base.start), from.length))
    codePiece(encoder, copies, bytes, { bytes: from, start: base.start })
    position = encoder.position
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
