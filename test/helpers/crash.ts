import assert from 'node:assert/strict'
import { Crash, faultyDisk } from './faulty-disk.ts'
import { everyThird } from './whole-suite.ts'
import type { Fault } from './faulty-disk.ts'
import type { Disk } from '../../src/port/disk.ts'

/** Runs `work` on a disk that crashes at its `at`th changing call; answers false when the work came to its end before. */
export async function crashes(
  disk: Disk,
  fault: Extract<Fault, { kind: 'crash' }>,
  work: (disk: Disk) => Promise<unknown>,
): Promise<boolean> {
  try {
    await work(faultyDisk(disk, fault).disk)
    return false
  } catch (error) {
    if (!(error instanceof Crash)) throw error
    return true
  }
}

/** How many changing calls `work` makes when nothing goes wrong, and which. */
export async function callsOf(disk: Disk, work: (disk: Disk) => Promise<unknown>): Promise<readonly string[]> {
  const faulty = faultyDisk(disk, { kind: 'none' })
  await work(faulty.disk)
  return faulty.calls
}

export const moments = ['before', 'midway', 'after'] as const

/** At which of these calls to stop, the first being 1. */
export function stopsIn(calls: readonly string[], turn: number): readonly number[] {
  return everyThird(
    calls.map((_, i) => i + 1),
    turn,
  )
}

/** What a crash may leave: exactly one of these. */
export function assertOneOf(actual: string, allowed: Readonly<Record<string, string>>, message: string): string {
  const found = Object.entries(allowed).find(([, value]) => value === actual)
  if (found === undefined)
    assert.equal(actual, nearest(actual, Object.values(allowed)), `${message}: none of ${Object.keys(allowed).join(', ')}`)
  return (found as [string, string])[0]
}

/** So that a failure shows what is wrong, and not how much two releases differ. */
function nearest(actual: string, allowed: readonly string[]): string | undefined {
  const lines = new Set(actual.split('\n'))
  const missing = (text: string): number => text.split('\n').filter((line) => !lines.has(line)).length
  return allowed.toSorted((a, b) => missing(a) - missing(b))[0]
}
