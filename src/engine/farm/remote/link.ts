import { hex } from '../../../base/bytes.ts'
import { sha256 } from '../../../base/digest.ts'
import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { answerText, callHeaders, callText, decodeAnswerHeaders } from '../../../format/farm-call.ts'
import { decodeAnswer } from '../../../format/farm-work.ts'
import { pauseAfter } from '../back-off.ts'
import { verifyEd25519 } from '../../repo/ed25519.ts'
import type { CallHead, SignedAnswer } from '../../../format/farm-call.ts'
import type { FarmAnswer } from '../../../format/farm-work.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { Clock, Random, Wait } from '../../../port/ambient.ts'
import type { FarmPost, PostedAnswer } from '../../../port/farm-post.ts'
import type { Signer } from '../../repo/key-file.ts'

/** The way from a builder to its controller: every call is signed, every answer is the controller's or none. */
export type Link = {
  /** Goes on until there is an answer, or the signal says that nobody waits for one. Repeating a call does no harm. */
  call(call: LinkCall): Promise<GoodAnswer>
}

type Refused = Extract<FarmAnswer, { readonly kind: 'refused' }>

export type GoodAnswer = Exclude<FarmAnswer, Refused>

export type LinkCall = {
  readonly target: string
  readonly body: Uint8Array
  readonly signal: AbortSignal
  /** How long the controller may take; half a minute unless told. */
  readonly answerMs?: number
}

export type LinkWorld = {
  readonly post: FarmPost
  readonly signer: Signer
  readonly controller: SignifyPublicKey
  readonly clock: Clock
  readonly random: Random
  readonly wait: Wait
  readonly tell: (line: string) => void
}

const usualAnswerMs = 30_000
/** Beyond this somebody should set a clock. */
const toldClockMs = 10_000

export function openLink(world: LinkWorld): Link {
  const state: LinkState = { aheadMs: 0, hasAnswered: false, trouble: undefined, clockTold: false }
  return { call: async (call) => await callUntilAnswered(world, state, call) }
}

type LinkState = {
  /** How far the controller's clock is ahead of ours, by its last signed answer. */
  aheadMs: number
  hasAnswered: boolean
  /** What was told last of an answer that does not come. */
  trouble: string | undefined
  clockTold: boolean
}

async function callUntilAnswered(world: LinkWorld, state: LinkState, call: LinkCall): Promise<GoodAnswer> {
  let refusal: string | undefined
  for (let tries = 0; ; tries++) {
    const answer = await callOnce(world, state, call).catch((error: unknown) => troubleOf(state, error))
    call.signal.throwIfAborted()
    if (answer instanceof BinderyError) tellTrouble(world, state, answer.message)
    else {
      tellAnswers(world, state)
      if (isFinal(answer, tries)) return answer
      if (isTold(answer) && refusal !== answer.message) world.tell(`the controller ${answer.message}; trying on`)
      refusal = answer.message
    }
    await world.wait(pauseAfter(tries, world.random), call.signal)
  }
}

/** Of the others, the next try is the end. */
function isTold({ why }: Refused): boolean {
  return why === 'no-space' || why === 'later'
}

/** Who has never answered may be the wrong one, and waiting would not help. */
function troubleOf(state: LinkState, error: unknown): BinderyError {
  if (isBinderyError(error, 'network')) return error
  if (isBinderyError(error, 'wrong-key') && state.hasAnswered) return error
  throw error
}

async function callOnce(world: LinkWorld, state: LinkState, { target, body, signal, answerMs }: LinkCall): Promise<FarmAnswer> {
  const sent = world.clock.now()
  const head: CallHead = { target, time: sent + state.aheadMs, nonce: hex(world.random.bytes(16)), digest: sha256(body) }
  const { signer, controller } = world
  const signature = signer.sign(callText(head, hex(controller.keynum)))
  const headers = callHeaders({ ...head, keynum: hex(signer.keynum), signature })
  const answer = await world.post({ target, headers, body, answerMs: answerMs ?? usualAnswerMs, signal })
  const { time } = verifiedHead(answer, controller, head.nonce)
  state.hasAnswered = true
  learnClock(world, state, { sent, time })
  return decodeAnswer(answer.body)
}

/** A proxy on the way answers, too, and says nothing that counts. */
function verifiedHead(answer: PostedAnswer, controller: SignifyPublicKey, nonce: string): SignedAnswer {
  const head = headOf(answer)
  if (head.keynum !== hex(controller.keynum))
    throw new BinderyError('wrong-key', `answers with the key ${head.keynum}, not with ${hex(controller.keynum)}`, {
      hint: 'is it the right farm, and the right public key of it?',
    })
  const text = answerText({ ...head, nonce, status: answer.status })
  if (sha256(answer.body) !== head.digest || !verifyEd25519(controller.publicKey, text, head.signature))
    throw new BinderyError('network', 'an answer was changed on its way')
  return head
}

function headOf({ status, headers }: PostedAnswer): SignedAnswer {
  try {
    return decodeAnswerHeaders(headers)
  } catch (cause) {
    throw new BinderyError('network', `status ${status}, and not from the controller of a farm`, { cause })
  }
}

function learnClock({ clock, tell }: LinkWorld, state: LinkState, { sent, time }: { readonly sent: number; readonly time: number }): void {
  // It was said between the two, and not in the middle of it: some calls wait.
  const [least, most] = [time - clock.now(), time - sent]
  state.aheadMs = Math.min(Math.max(state.aheadMs, least), most)
  const seconds = Math.round(Math.abs(state.aheadMs) / 1000)
  if (!state.clockTold && Math.abs(state.aheadMs) > toldClockMs)
    tell(`the clock of the controller is ${seconds} s ${state.aheadMs > 0 ? 'ahead of' : 'behind'} ours`)
  state.clockTold ||= Math.abs(state.aheadMs) > toldClockMs
}

/** What another try may change is tried again. */
function isFinal(answer: FarmAnswer, tries: number): answer is GoodAnswer {
  if (answer.kind !== 'refused') return true
  switch (answer.why) {
    case 'clock':
    case 'replayed':
    case 'damaged':
    case 'no-space':
    case 'later':
      return false
    case 'signature':
      if (tries < 3) return false
      throw refusedError(answer)
    case 'unknown':
    case 'wrong':
      throw refusedError(answer)
  }
}

function refusedError({ why, message }: Refused): BinderyError {
  return new BinderyError(why === 'wrong' ? 'bad-format' : 'wrong-key', `the controller refuses: ${message}`, {
    hint: why === 'unknown' ? "'bindery farm builders FARM add' makes this builder known there" : undefined,
  })
}

function tellAnswers({ tell }: LinkWorld, state: LinkState): void {
  if (state.trouble !== undefined) tell('the controller answers again')
  state.trouble = undefined
}

function tellTrouble({ tell }: LinkWorld, state: LinkState, message: string): void {
  if (state.trouble !== message) tell(`the controller does not answer: ${message}; trying on`)
  state.trouble = message
}
