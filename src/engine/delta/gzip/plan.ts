import { equalBytes } from '../../../base/bytes.ts'
import { roomForGzip } from '../reader-time.ts'
import { gzipContent } from './content.ts'
import { openGzip } from './open-gzip.ts'
import { gzipMemory } from './section.ts'
import type { Range } from '../../../format/delta.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { DeltaPlan, Segment } from '../plan.ts'
import type { SourceView, SourceViews } from '../source-view.ts'

/** The maker's part of a gzip file in a delta: which are opened, and what is in them. */

/** A pair of gzip files whose contents are to be compared. */
export type OpenedPair = { readonly oldContent: Uint8Array; readonly content: Uint8Array; readonly recipe: Uint8Array }

/** A content has to be had as a whole, by the reader too. */
const mostContent = 8 << 20

/** Which segments of a plan are gzip files that may be opened, and what the largest takes to apply. */
export type GzipPlans = { readonly segments: ReadonlySet<Segment>; readonly memory: number }

/** `granted`: the memory that a reader has for one. */
export async function planGzip(plan: DeltaPlan, views: SourceViews, granted: number): Promise<GzipPlans> {
  const segments = new Set<Segment>()
  let memory = 0
  let room = roomForGzip(views.next.source.size)
  // Small ones first: closing one takes longer for each byte the larger it is.
  for (const { segment, oldSize, nextSize, fileSize } of (await changedPairs(plan, views)).sort((a, b) => a.nextSize - b.nextSize)) {
    const need = gzipMemory(oldSize, nextSize, fileSize)
    if (need > granted) continue
    room -= nextSize
    if (room < 0) break
    segments.add(segment)
    memory = Math.max(memory, need)
  }
  return { segments, memory }
}

type ChangedPair = { readonly segment: Segment; readonly oldSize: number; readonly nextSize: number; readonly fileSize: number }

async function changedPairs(plan: DeltaPlan, { old, next }: SourceViews): Promise<ChangedPair[]> {
  const pairs: ChangedPair[] = []
  for (const segment of plan.segments) {
    if (segment.kind !== 'body' || segment.old === undefined) continue
    const [oldRange, nextRange] = [contentOf(segment.old, segment.padding.old), contentOf(segment.next, segment.padding.next)]
    const [oldSize, nextSize] = [await toldContentSize(old.source, oldRange), await toldContentSize(next.source, nextRange)]
    if (oldSize === undefined || nextSize === undefined || (await isSame(old, oldRange, next, nextRange))) continue
    pairs.push({ segment, oldSize, nextSize, fileSize: nextRange.end - nextRange.start })
  }
  return pairs
}

export function contentOf({ start, end }: Range, padding: number): Range {
  return { start, end: end - padding }
}

const leastSize = 64

/** What the end of a gzip file says of its content; undefined where it is none, or one that is not opened. */
async function toldContentSize(source: ByteSource, { start, end }: Range): Promise<number | undefined> {
  if (end - start < leastSize || end - start > mostContent) return undefined
  const [a, b, c] = await source.read(start, start + 3)
  if (a !== 0x1f || b !== 0x8b || c !== 8) return undefined
  const tail = await source.read(end - 4, end)
  const size = new DataView(tail.buffer, tail.byteOffset, 4).getUint32(0, true)
  return size <= mostContent ? size : undefined
}

/** Most have not changed, and need not be opened. */
async function isSame(old: SourceView, oldRange: Range, next: SourceView, nextRange: Range): Promise<boolean> {
  if (oldRange.end - oldRange.start !== nextRange.end - nextRange.start) return false
  return equalBytes(await old.read(oldRange.start, oldRange.end), await next.read(nextRange.start, nextRange.end))
}

/** Undefined where one of the two is not as its end says, or cannot be made again. */
export function openPair(old: Uint8Array, next: Uint8Array): OpenedPair | undefined {
  const [oldContent, opened] = [gzipContent(old, toldBy(old)), openGzip(next, toldBy(next))]
  return oldContent === undefined || opened === undefined ? undefined : { oldContent, ...opened }
}

function toldBy(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true)
}
