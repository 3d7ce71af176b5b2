import { BinderyError } from '../../../base/error.ts'
import { closeGzip } from './close-gzip.ts'
import { gzipContent } from './content.ts'
import { openGzip } from './open-gzip.ts'
import { roomForCostly } from '../reader-time.ts'
import { equalBytes } from '../../../base/bytes.ts'
import type { Range } from '../../../format/delta.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { Chains } from './predict.ts'
import type { DeltaPlan, Segment } from '../plan.ts'
import type { GzipSection } from '../sections.ts'

/** A pair of gzip files whose contents are to be compared. */
export type OpenedPair = { readonly oldContent: Uint8Array; readonly content: Uint8Array; readonly recipe: Uint8Array }

/** A content has to be had as a whole, by the reader too. */
const mostContent = 8 << 20

/** What a reader needs to make a gzip file: both contents, tables for its matches, the file itself. */
export function gzipMemory(oldContentSize: number, contentSize: number, size: number): number {
  return oldContentSize + 7 * contentSize + 2 * size + (1 << 20)
}

/** Which segments of a plan are gzip files that may be opened, and what the largest takes to apply. */
export type GzipPlans = { readonly segments: ReadonlySet<Segment>; readonly memory: number }

export async function planGzip(plan: DeltaPlan, old: ByteSource, next: ByteSource): Promise<GzipPlans> {
  const segments = new Set<Segment>()
  let memory = 0
  let room = roomForCostly(next.size)
  for (const segment of plan.segments) {
    if (segment.kind !== 'body' || segment.old === undefined) continue
    const oldSize = await toldContentSize(old, contentOf(segment.old, segment.padding.old))
    const nextRange = contentOf(segment.next, segment.padding.next)
    const nextSize = await toldContentSize(next, nextRange)
    if (oldSize === undefined || nextSize === undefined || nextSize > room) continue
    if (await isSame(old, contentOf(segment.old, segment.padding.old), next, nextRange)) continue
    room -= nextSize
    segments.add(segment)
    memory = Math.max(memory, gzipMemory(oldSize, nextSize, nextRange.end - nextRange.start))
  }
  return { segments, memory }
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
async function isSame(old: ByteSource, oldRange: Range, next: ByteSource, nextRange: Range): Promise<boolean> {
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

/** The content of the old file of a section; `memory`: what the delta's header grants. */
export function openOld(old: Uint8Array, section: GzipSection, memory: number): Uint8Array {
  if (gzipMemory(section.oldContentSize, section.contentSize, section.size) > memory)
    throw new BinderyError('over-limit', 'a gzip file in the delta takes more memory than its header says')
  const content = gzipContent(old, section.oldContentSize)
  if (content?.length !== section.oldContentSize) throw new BinderyError('bad-format', 'the delta takes for a gzip file what is none')
  return content
}

export function closeNew(content: Uint8Array, recipe: Uint8Array, { size }: GzipSection, chains: Chains): Uint8Array {
  const made = closeGzip(content, recipe, size, chains)
  if (made.length !== size) throw new BinderyError('bad-format', 'a gzip file in the delta has another size than it says')
  return made
}
