import assert from 'node:assert/strict'
import { isBinderyError } from '../../src/base/error.ts'
import { Refused } from '../second-decoder/bytes.ts'
import { decodeUnverified } from '../second-decoder/delta.ts'
import { patched, refusals } from './delta.ts'
import type { ErrorCode } from '../../src/base/error.ts'
import type { Damaged } from './damaged-deltas.ts'

/** `repaired`: the delta was given the digests of what it makes, and makes that. */
export type Verdict = { readonly kind: 'right' | 'repaired' } | { readonly kind: 'refused'; readonly code: ErrorCode }

/**
 * Whatever was done to a delta, the engine refuses it or hands out exactly what its header names; and it makes what the second
 * decoder makes, which shows wherever digests can be repaired.
 */
export async function judge(damaged: Damaged): Promise<Verdict> {
  const { sample, delta } = damaged
  const verdict = await engineOf(delta, sample.old, sample.next)
  const next = secondOf(delta, sample.old)
  assert.ok(next !== undefined || verdict.kind === 'refused', 'the engine takes what the second decoder refuses')
  if (next === undefined || verdict.kind === 'right' || damaged.repaired === undefined) return verdict
  const repaired = damaged.repaired(next)
  const again = await engineOf(repaired, sample.old, next)
  // The second decoder counts no steps along chains.
  assert.ok(again.kind === 'right' || again.code === 'over-limit', 'the engine refuses what the second decoder takes')
  return again.kind === 'right' ? { kind: 'repaired' } : again
}

async function engineOf(delta: Uint8Array, old: Uint8Array, next: Uint8Array): Promise<Verdict & { readonly kind: 'right' | 'refused' }> {
  try {
    assert.ok(Buffer.compare(await patched(delta, old), next) === 0, 'something wrong was handed out')
    return { kind: 'right' }
  } catch (error) {
    if (isBinderyError(error) && refusals.includes(error.code)) return { kind: 'refused', code: error.code }
    throw error
  }
}

function secondOf(delta: Uint8Array, old: Uint8Array): Uint8Array | undefined {
  try {
    return decodeUnverified(delta, old).next
  } catch (error) {
    if (error instanceof Refused) return undefined
    throw error
  }
}
