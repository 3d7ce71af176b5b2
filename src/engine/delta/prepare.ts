import { equalBytes } from '../../base/bytes.ts'
import { started } from '../dist/blocks.ts'
import { contentOf } from './gzip/plan.ts'
import { piecesOf } from './pieces.ts'
import type { Range } from '../../format/delta.ts'
import type { Means } from './effort.ts'
import type { Copies } from './image/copies.ts'
import type { MatchedImage } from './image/encode.ts'
import type { MatchedGzip } from './match-work.ts'
import type { PairMatcher } from './pair-matcher.ts'
import type { DeltaPlan, Segment } from './plan.ts'
import type { SourceViews } from './source-view.ts'

/** What can be known of a segment before its turn, while those in front of it are coded. */
export type Prepared = {
  readonly segment: Segment
  /** How many bytes at the beginning are those of old, about. */
  readonly equal: number
  /** Undefined where nothing is to be searched, or where that depends on what is in front. */
  readonly matched: Matched | undefined
}

export type Matched =
  /** `next`: behind what is equal. */
  | { readonly kind: 'plain'; readonly old: Uint8Array; readonly next: Uint8Array; readonly found: Promise<Copies> }
  /** For each way. Where there are several, one of them has to be smaller than plain matching. */
  | { readonly kind: 'image'; readonly found: Promise<readonly MatchedImage[]>; readonly plain: Promise<Copies> | undefined }
  | { readonly kind: 'gzip'; readonly found: Promise<MatchedGzip | undefined> }

export type MatchedAs<K extends Matched['kind']> = Matched & { readonly kind: K }

export type PrepareInput = {
  /** Where pairs are matched on threads, of bytes that stay. */
  readonly views: SourceViews
  readonly plan: DeltaPlan
  /** Segments that are pairs of executables. */
  readonly images: ReadonlySet<Segment>
  /** Segments that are pairs of gzip files. */
  readonly gzips: ReadonlySet<Segment>
  readonly means: Means
  readonly matcher: PairMatcher
  readonly window: number
  readonly signal?: AbortSignal | undefined
}

/** Bytes of both sides that are being matched, for each that does it: what keeps it busy, and no more memory than that. */
const aheadOfEach = 8 << 20

/** Small changes are many: so many segments are looked at before their turn. */
const mostAhead = 4096

/** All segments in order, each when it is its turn; where pairs are matched on threads, some of them have begun before. */
export async function* prepareSegments(input: PrepareInput): AsyncGenerator<Prepared> {
  const { plan, matcher, signal } = input
  const most = matcher.atOnce > 1 ? aheadOfEach * matcher.atOnce : 0
  const ahead: Prepared[] = []
  let matching = 0
  for (const segment of plan.segments) {
    signal?.throwIfAborted()
    const prepared = await prepare(input, segment)
    ahead.push(prepared)
    matching += sizeOf(prepared)
    while (ahead.length > 0 && (matching > most || ahead.length > mostAhead || most === 0)) {
      const first = ahead.shift() as Prepared
      yield first
      matching -= sizeOf(first)
    }
  }
  yield* ahead
}

function sizeOf({ segment: { next, old }, matched }: Prepared): number {
  return matched === undefined || old === undefined ? 0 : next.end - next.start + (old.end - old.start)
}

async function prepare(input: PrepareInput, segment: Segment): Promise<Prepared> {
  const { kind, old, next } = segment
  if (old === undefined) return { segment, equal: 0, matched: undefined }
  const opened = await matchOpened(input, segment, old)
  if (opened !== undefined) return { segment, equal: 0, matched: opened }
  const equal = await equalStart(input.views, next, old)
  const matched = kind === 'body' && equal < next.end - next.start ? await matchBody(input, segment, old, equal) : undefined
  return { segment, equal, matched }
}

/** By what is in the files. Undefined where they are none that are opened. */
async function matchOpened(
  { views, images, gzips, means, matcher }: PrepareInput,
  segment: Segment,
  old: Range,
): Promise<Matched | undefined> {
  if (images.has(segment)) {
    const [oldBytes, nextBytes] = [await views.old.read(old.start, old.end), await views.next.read(segment.next.start, segment.next.end)]
    const found = started(matcher.image(oldBytes, nextBytes, means.images))
    return { kind: 'image', found, plain: means.images.length > 1 ? started(matcher.plain(oldBytes, nextBytes, 0)) : undefined }
  }
  if (!gzips.has(segment)) return undefined
  const [oldRange, nextRange] = [contentOf(old, segment.padding.old), contentOf(segment.next, segment.padding.next)]
  const pair = [await views.old.read(oldRange.start, oldRange.end), await views.next.read(nextRange.start, nextRange.end)] as const
  return { kind: 'gzip', found: started(matcher.gzip(...pair)) }
}

/** What is searched in one piece; of more, each depends on where the one in front has ended. */
async function matchBody(
  { views, matcher, window }: PrepareInput,
  { next }: Segment,
  old: Range,
  equal: number,
): Promise<Matched | undefined> {
  const rest = { start: next.start + equal, end: next.end }
  if (old.end - old.start > window || piecesOf(rest, [], window).length > 1) return undefined
  const [oldBytes, nextBytes] = [await views.old.read(old.start, old.end), await views.next.read(rest.start, rest.end)]
  const found = started(matcher.plain(oldBytes, nextBytes, Math.min(equal, oldBytes.length)))
  return { kind: 'plain', old: oldBytes, next: nextBytes, found }
}

/** Equal beginnings are told in steps of this size. */
const compareSize = 64 << 10

/** Unchanged files end here: compared, not searched. */
async function equalStart({ old: oldSide, next: nextSide }: SourceViews, next: Range, old: Range): Promise<number> {
  const most = Math.min(next.end - next.start, old.end - old.start)
  for (let done = 0; done < most; done += compareSize) {
    const size = Math.min(compareSize, most - done)
    const a = await oldSide.read(old.start + done, old.start + done + size)
    const b = await nextSide.read(next.start + done, next.start + done + size)
    if (!equalBytes(a, b)) return done
  }
  return most
}
