import { BinderyError } from '../base/error.ts'
import { isDate } from './date.ts'
import type { Json, JsonObject } from './strict-json.ts'

/**
 * What a channel's role says of a release beside its record, as the `custom` of that target (doc/spec/repo.md): it can be said
 * anew as long as the release is there, and who does not know a member passes it over.
 */
export type Listing = {
  /** Position in the channel's line of releases, from 1. */
  readonly sequence: number
  /** The day after which there are no more updates. */
  readonly endOfLife?: string
  readonly rollout?: Rollout
  /** Nobody is to come to this release any more. */
  readonly withdrawn?: true
}

/** Which part of the machines a release is offered to: `percent` of them, or from so many on up to all of them between two times. */
export type Rollout = { readonly percent: number; readonly ramp?: Ramp }
/** In seconds since the epoch. */
export type Ramp = { readonly begin: number; readonly end: number }

/** Undefined for what is no release of a channel; `bad-format`, about the target at `path`, for what nobody writes. */
export function decodeListing(path: string, custom: JsonObject | undefined): Listing | undefined {
  const wrong = (member: string): BinderyError =>
    new BinderyError('bad-format', `is listed with a '${member}' that is none`, { subject: path })
  const sequence = custom?.['sequence']
  if (custom === undefined || !isWhole(sequence) || sequence < 1) return undefined
  const { endOfLife, rollout, withdrawn } = custom
  if (endOfLife !== undefined && (typeof endOfLife !== 'string' || !isDate(endOfLife))) throw wrong('endOfLife')
  if (withdrawn !== undefined && withdrawn !== true) throw wrong('withdrawn')
  const part = rollout === undefined ? undefined : rolloutOf(rollout)
  if (rollout !== undefined && part === undefined) throw wrong('rollout')
  return {
    sequence,
    ...(endOfLife === undefined ? {} : { endOfLife }),
    ...(part === undefined ? {} : { rollout: part }),
    ...(withdrawn === undefined ? {} : { withdrawn }),
  }
}

function rolloutOf(rollout: Json): Rollout | undefined {
  const { percent, begin, end } = (rollout ?? {}) as JsonObject
  if (!isWhole(percent) || percent > 100) return undefined
  if (begin === undefined && end === undefined) return { percent }
  return isWhole(begin) && isWhole(end) && end > begin ? { percent, ramp: { begin, end } } : undefined
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** `before`: with members that we do not know, which stay. */
export function encodeListing({ sequence, endOfLife, rollout, withdrawn }: Listing, before: JsonObject = {}): JsonObject {
  const { endOfLife: _, rollout: __, withdrawn: ___, ...unknown } = before
  return {
    ...unknown,
    sequence,
    ...(endOfLife === undefined ? {} : { endOfLife }),
    ...(rollout === undefined ? {} : { rollout: { percent: rollout.percent, ...rollout.ramp } }),
    ...(withdrawn === undefined ? {} : { withdrawn }),
  }
}

/** From 0 to 1: the part of the machines that a release is offered to at that time. */
export function shareAt({ percent, ramp }: Rollout, milliseconds: number): number {
  const start = percent / 100
  if (ramp === undefined) return start
  const passed = (milliseconds / 1000 - ramp.begin) / (ramp.end - ramp.begin)
  return start + (1 - start) * Math.min(1, Math.max(0, passed))
}

/** For people: `10 %, all until 2026-12-06`. */
export function describeListing({ endOfLife, rollout, withdrawn }: Omit<Listing, 'sequence'>): readonly string[] {
  const until = rollout?.ramp === undefined ? '' : `, all until ${new Date(rollout.ramp.end * 1000).toISOString().slice(0, 16)}Z`
  return [
    ...(withdrawn === undefined ? [] : ['withdrawn: offered to nobody']),
    ...(rollout === undefined ? [] : [`offered to ${rollout.percent} % of the machines${until}`]),
    ...(endOfLife === undefined ? [] : [`end of life: ${endOfLife}`]),
  ]
}
