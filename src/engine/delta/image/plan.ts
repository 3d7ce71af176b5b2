import { emptyBytes, equalBytes } from '../../../base/bytes.ts'
import { elfHeadSize, machineOfElf, readSegments } from '../../../format/elf.ts'
import { roomForImages } from '../reader-time.ts'
import { mayBeImage } from '../sections.ts'
import { chooseImages } from './choose.ts'
import { imageMemory } from './memory.ts'
import type { Range } from '../../../format/delta.ts'
import type { DeltaPlan, Segment } from '../plan.ts'
import type { PairMatcher } from '../pair-matcher.ts'
import type { SourceView, SourceViews } from '../source-view.ts'
import type { Candidate } from './choose.ts'

/** Which segments of a plan are executables that changed, and what the largest takes to apply. */
export type ImagePlans = { readonly segments: ReadonlySet<Segment>; readonly memory: number }

/** What a reader grants: old bytes of one image, and memory for one. */
export type ImageRoom = { readonly window: number; readonly memory: number }

/** What rates candidates where a reader has not the time for all. */
export type ImageRating = Pick<PairMatcher, 'atOnce' | 'gain'>

export async function planImages(plan: DeltaPlan, views: SourceViews, granted: ImageRoom, rating: ImageRating): Promise<ImagePlans> {
  const candidates: PlannedImage[] = []
  for (const segment of plan.segments) {
    const memory = await memoryFor(segment, views, granted)
    const size = segment.next.end - segment.next.start
    const gain = async (): Promise<number> =>
      await rating.gain(await bytesIn(views.old, segment.old), await bytesIn(views.next, segment.next))
    if (memory !== undefined) candidates.push({ segment, memory, size, gain })
  }
  const chosen = [...(await chooseImages(candidates, roomForImages(views.next.source.size), rating.atOnce))]
  return { segments: new Set(chosen.map(({ segment }) => segment)), memory: Math.max(0, ...chosen.map(({ memory }) => memory)) }
}

type PlannedImage = Candidate & { readonly segment: Segment; readonly memory: number }

async function bytesIn(view: SourceView, range: Range | undefined): Promise<Uint8Array> {
  return range === undefined ? emptyBytes : await view.read(range.start, range.end)
}

/** Undefined for what is no pair of executables of one machine, or as good as equal, or too large to be had as a whole. */
async function memoryFor({ kind, next, old }: Segment, views: SourceViews, granted: ImageRoom): Promise<number | undefined> {
  if (kind !== 'body' || old === undefined) return undefined
  const [oldSize, nextSize] = [old.end - old.start, next.end - next.start]
  if (Math.max(oldSize, nextSize) > granted.window || !mayBeImage(oldSize, nextSize)) return undefined
  const [oldHead, nextHead] = [
    await views.old.source.read(old.start, old.start + elfHeadSize),
    await views.next.source.read(next.start, next.start + elfHeadSize),
  ]
  const machine = machineOfElf(oldHead)
  if (machine === undefined || machine !== machineOfElf(nextHead)) return undefined
  const [oldLayout, nextLayout] = [readSegments(oldHead, oldSize), readSegments(nextHead, nextSize)]
  if (oldLayout === undefined || nextLayout === undefined) return undefined
  const need = imageMemory(oldSize, nextSize, oldLayout.span)
  if (need > granted.memory) return undefined
  if (oldSize === nextSize && (await isNearlyEqual(views, old.start, next.start, oldSize))) return undefined
  return need
}

const compareSize = 1 << 20

/** A program that was only built anew differs by its build id: plain matching costs less than a model that learns nothing. */
const fewDifferences = 128

async function isNearlyEqual({ old, next }: SourceViews, oldStart: number, nextStart: number, size: number): Promise<boolean> {
  let differences = 0
  for (let at = 0; at < size; at += compareSize) {
    const end = Math.min(size, at + compareSize)
    const [a, b] = [await old.read(oldStart + at, oldStart + end), await next.read(nextStart + at, nextStart + end)]
    if (equalBytes(a, b)) continue
    for (let i = 0; i < a.length && differences <= fewDifferences; i++) if (a[i] !== b[i]) differences++
    if (differences > fewDifferences) return false
  }
  return true
}
