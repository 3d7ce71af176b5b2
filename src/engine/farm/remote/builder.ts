import { encodeClaim } from '../../../format/farm-work.ts'
import { troubleMs, troubleText } from '../build/lease-work.ts'
import { claimTarget } from './targets.ts'
import type { Lease } from '../../../format/farm-work.ts'
import type { Wait } from '../../../port/ambient.ts'
import type { WorkEnd } from '../build/lease-work.ts'
import type { Link } from './link.ts'

/** A builder as a whole: takes what there is to build, as much at once as it has slots, until it is to stop. */
export type BuilderOrder = {
  readonly link: Link
  readonly wait: Wait
  /** From 1 on. */
  readonly slots: number
  /** Of a run before that was cut off, and in which slot. */
  readonly found: readonly { readonly lease: Lease; readonly slot: number }[]
  readonly work: (lease: Lease, slot: number, signal: AbortSignal) => Promise<WorkEnd>
  readonly load: () => number
  readonly tell: (line: string) => void
  readonly signal: AbortSignal
}

const claimSeconds = 25
const claimMs = 60_000

export async function runBuilder(order: BuilderOrder): Promise<void> {
  const running = new Map<number, Running>()
  const failure = new AbortController()
  const signal = AbortSignal.any([order.signal, failure.signal])
  const start = (lease: Lease, slot: number): void => {
    const ended = inSlot(order, lease, slot, signal)
      .catch((error: unknown) => failure.abort(error))
      .finally(() => running.delete(slot))
    running.set(slot, { lease: lease.id, ended })
  }
  for (const { lease, slot } of order.found) start(lease, slot)
  try {
    await claimAndStart(order, running, start, signal)
  } catch (error) {
    if (!order.signal.aborted) throw error
  } finally {
    failure.abort()
    await Promise.all([...running.values()].map(({ ended }) => ended))
  }
  if (!order.signal.aborted) throw failure.signal.reason
}

type Running = { readonly lease: number; readonly ended: Promise<void> }

async function claimAndStart(
  order: BuilderOrder,
  running: ReadonlyMap<number, Running>,
  start: (lease: Lease, slot: number) => void,
  signal: AbortSignal,
): Promise<never> {
  for (;;) {
    signal.throwIfAborted()
    const slot = firstFree(order.slots, running)
    if (slot === undefined) {
      await Promise.race([...running.values()].map(({ ended }) => ended))
      continue
    }
    const held = [...running.values()].map(({ lease }) => lease)
    const body = encodeClaim({ held, waitSeconds: claimSeconds, load: order.load() })
    const answer = await order.link.call({ target: claimTarget, body, signal, answerMs: claimMs })
    if (answer.kind === 'lease') start(answer.lease, slot)
  }
}

function firstFree(slots: number, running: ReadonlyMap<number, unknown>): number | undefined {
  return Array.from({ length: slots }, (_, i) => i + 1).find((slot) => !running.has(slot))
}

async function inSlot({ work, wait, tell }: BuilderOrder, lease: Lease, slot: number, signal: AbortSignal): Promise<void> {
  const name = `build ${lease.build} (${lease.branch}/${lease.arch}: ${lease.list[0] ?? 'nothing'}${lease.list.length > 1 ? '…' : ''})`
  tell(`${name}: begins`)
  const end = await work(lease, slot, signal)
  tell(`${name}: ${textOf(end)}`)
  // Ended early where the builder is to stop.
  if (end.kind === 'trouble') await wait(troubleMs, signal).catch(() => {})
}

function textOf(end: WorkEnd): string {
  switch (end.kind) {
    case 'built':
      return `built, ${end.packages} package${end.packages === 1 ? '' : 's'}`
    case 'failed':
      return `failed: ${end.why}`
    case 'released':
      return 'given back'
    case 'lost':
      return 'is no longer ours, dropped'
    case 'trouble':
      return `given back: ${troubleText(end.error)}`
  }
}
