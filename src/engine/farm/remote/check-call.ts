import { callText } from '../../../format/farm-call.ts'
import { verifyEd25519 } from '../../repo/ed25519.ts'
import type { SignedCall } from '../../../format/farm-call.ts'
import type { Refusal } from '../../../format/farm-work.ts'
import type { Clock } from '../../../port/ambient.ts'

export type BuilderKey = { readonly name: string; readonly publicKey: Uint8Array }

export type CallChecker = (call: SignedCall) => Promise<CheckedCall>

export type CheckedCall =
  | { readonly kind: 'admitted'; readonly builder: string }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly message: string }

export type CallChecks = {
  /** The number of the controller's own key. */
  readonly controller: string
  readonly clock: Clock
  readonly keyOf: (keynum: string) => Promise<BuilderKey | undefined>
}

/** How far the clocks of a call and of the controller may be apart, either way. */
export const callWindowMs = 60_000

/**
 * Looks at the head of a call, before a byte of its body is read: who signed it, and whether it is of now and comes for the first time. What
 * came before this controller started may have come to the one before.
 */
export function callChecker({ controller, clock, keyOf }: CallChecks): CallChecker {
  const started = clock.now()
  const isNew = nonceWindow(clock)
  return async (call) => {
    const key = await keyOf(call.keynum)
    if (key === undefined) return refused('unknown', `no builder has the key ${call.keynum}`)
    if (!verifyEd25519(key.publicKey, callText(call, controller), call.signature))
      return refused('signature', 'the signature of the call does not fit it')
    const now = clock.now()
    if (Math.abs(now - call.time) > callWindowMs) return refused('clock', `the clocks are ${apart(now, call.time)} apart`)
    if (call.time < started) return refused('replayed', 'was signed before the controller started')
    // Asked last: only who has a key fills the window.
    if (!isNew(call.nonce)) return refused('replayed', 'came before')
    return { kind: 'admitted', builder: key.name }
  }
}

function refused(why: Refusal, message: string): CheckedCall {
  return { kind: 'refused', why, message }
}

function apart(a: number, b: number): string {
  return `${Math.round(Math.abs(a - b) / 1000)} s`
}

/** Remembers for as long as a call could be of now, and at most for twice that. */
function nonceWindow(clock: Clock): (nonce: string) => boolean {
  let [current, former] = [new Set<string>(), new Set<string>()]
  let since = clock.now()
  return (nonce) => {
    const now = clock.now()
    if (now - since > 2 * callWindowMs) [current, former, since] = [new Set(), current, now]
    if (current.has(nonce) || former.has(nonce)) return false
    current.add(nonce)
    return true
  }
}
