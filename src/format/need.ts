import { BinderyError } from '../base/error.ts'
import { channelOf, formatChannel, parseChannel } from '../base/name.ts'
import { asBoolean, asList, asObject, asText, asWhole } from './record-json.ts'
import type { Channel, DistName } from '../base/name.ts'
import type { Json, JsonObject } from './record-json.ts'

/** What a release needs of another channel of the same repository (doc/spec/update.md): which of its releases have to be installed. */
export type Need = {
  readonly channel: Channel
  /** A root that does not follow that channel can do without. */
  readonly optional: boolean
  /** The first release that will do, and the last one; without them any. */
  readonly from?: NeededRelease
  readonly to?: NeededRelease
}

/** The position in the channel decides; the revision is for people. */
export type NeededRelease = { readonly sequence: number; readonly revision: string }

export const maxNeeds = 32
const maxSequence = 1_000_000_000
const maxText = 512
const revisionPattern = /^[A-Za-z0-9][A-Za-z0-9._+]{0,63}$/

export function jsonOfNeeds(needs: readonly Need[]): Json {
  return needs.map(({ channel, ...need }): JsonObject => ({ channel: formatChannel(channel), ...need }))
}

/** Throws `bad-format`, `over-limit`. */
export function decodeNeeds(value: Json | undefined, release: DistName): readonly Need[] {
  const needs = asList(value, 'needs', maxNeeds).map((need) => needOf(asObject(need, 'a need')))
  const names = needs.map(({ channel }) => formatChannel(channel))
  if (new Set(names).size !== names.length) throw new BinderyError('bad-format', 'needs has two of one channel')
  if (names.includes(formatChannel(channelOf(release)))) throw new BinderyError('bad-format', 'needs has the channel of the release itself')
  return needs
}

function needOf(need: JsonObject): Need {
  const [from, to] = [neededOf(need['from'], 'from'), neededOf(need['to'], 'to')]
  if (from !== undefined && to !== undefined && from.sequence > to.sequence)
    throw new BinderyError('bad-format', 'a need ends before it begins')
  return {
    channel: channelNamed(asText(need['channel'], 'the channel of a need', maxText)),
    optional: asBoolean(need['optional'], 'optional'),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  }
}

function neededOf(value: Json | undefined, what: string): NeededRelease | undefined {
  if (value === undefined) return undefined
  const release = asObject(value, what)
  const revision = asText(release['revision'], `the revision of ${what}`, maxText)
  if (!revisionPattern.test(revision)) throw new BinderyError('bad-format', `the revision of ${what} is none`)
  return { sequence: asWhole(release['sequence'], `the sequence of ${what}`, 1, maxSequence), revision }
}

function channelNamed(text: string): Channel {
  try {
    return parseChannel(text)
  } catch (cause) {
    throw new BinderyError('bad-format', `'${text}' is no channel`, { cause })
  }
}

/** `kernel-GENERIC/amd64 from 7.5p3 on`. */
export function describeNeed({ channel, from, to }: Need): string {
  const name = formatChannel(channel)
  if (from === undefined) return to === undefined ? name : `${name} up to ${to.revision}`
  if (to === undefined) return `${name} from ${from.revision} on`
  return from.sequence === to.sequence ? `${name} ${from.revision}` : `${name} from ${from.revision} to ${to.revision}`
}

export function isWithinNeed({ from, to }: Need, sequence: number): boolean {
  return (from?.sequence ?? 1) <= sequence && sequence <= (to?.sequence ?? maxSequence)
}

/** One word for each part, in a line of a state file. */
export function encodeNeed({ channel, optional, from, to }: Need): string {
  return [formatChannel(channel), optional ? 'optional' : 'required', wordOf(from), wordOf(to)].join(' ')
}

function wordOf(release: NeededRelease | undefined): string {
  return release === undefined ? '-' : `${release.sequence}:${release.revision}`
}

/** Throws `bad-format`. */
export function decodeNeed(line: string): Need {
  const [channel = '', kind, from = '', to = '', ...rest] = line.split(' ')
  if (rest.length > 0 || (kind !== 'optional' && kind !== 'required')) throw new BinderyError('bad-format', `'${line}' is no need`)
  return needOf({ channel, optional: kind === 'optional', from: releaseJson(from), to: releaseJson(to) })
}

function releaseJson(word: string): JsonObject | undefined {
  if (word === '-') return undefined
  const [, sequence, revision] = /^([1-9][0-9]{0,9}):(.+)$/.exec(word) ?? []
  if (sequence === undefined || revision === undefined) throw new BinderyError('bad-format', `'${word}' is no release`)
  return { sequence: Number(sequence), revision }
}
