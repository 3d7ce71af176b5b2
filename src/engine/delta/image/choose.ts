import { inParallel } from '../../../base/parallel.ts'

/** Which executables of a system are made as images, where a reader has not the time for all (decision 0078). */

export type Candidate = {
  /** Bytes of the new executable: what a reader takes most of its time for. */
  readonly size: number
  /** What an image of it saves, in any unit. */
  gain(): Promise<number>
}

/** Those that save most for a reader's time, as many as there is room for. `atOnce`: how many are rated at the same time. */
export async function chooseImages<T extends Candidate>(candidates: readonly T[], room: number, atOnce: number): Promise<ReadonlySet<T>> {
  if (candidates.reduce((sum, { size }) => sum + size, 0) <= room) return new Set(candidates)
  const density = new Map<T, number>()
  const fitting = candidates.filter(({ size }) => size <= room)
  await inParallel(fitting, atOnce, async (candidate) => void density.set(candidate, (await candidate.gain()) / candidate.size))
  const chosen = new Set<T>()
  let left = room
  for (const candidate of fitting.toSorted((a, b) => (density.get(b) as number) - (density.get(a) as number))) {
    if (candidate.size > left) continue
    chosen.add(candidate)
    left -= candidate.size
  }
  return chosen
}
