import { BinderyError } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { describeNeed, isWithinNeed } from '../../../format/need.ts'
import type { Channel, DistName } from '../../../base/name.ts'
import type { Need } from '../../../format/need.ts'

/** Releases of several channels that can be installed together. Pure: who asked for what, and what is held, is decided before. */

/** The releases that a channel may come to: the installed one first, and alone where it is to stay. */
export type Line = {
  readonly channel: Channel
  /** Sequences and revisions mean something within one repository only. */
  readonly repository: string
  readonly releases: readonly [Candidate, ...Candidate[]]
}

export type Candidate = { readonly name: DistName; readonly sequence: number; readonly needs: readonly Need[] }

/** One for each line, in their order. */
export type Fitting = readonly Candidate[]

type Chosen = { readonly line: Line; readonly release: Candidate }

/** So many looks at one release beside the others are no matter of a second, and no honest repository asks for more. */
const mostLooks = 200_000

/**
 * The newest that fit each other: what the first line can have counts most, then the second. What is installed always fits, since
 * this step does not change it.
 */
export function chooseFitting(lines: readonly Line[], most: number = mostLooks): Fitting {
  let looks = 0
  const complete = (chosen: readonly Chosen[]): Fitting | undefined => {
    const line = lines[chosen.length]
    if (line === undefined) return chosen.map(({ release }) => release)
    for (const release of line.releases.toReversed()) {
      if (++looks > most)
        throw new BinderyError('over-limit', 'the releases need each other in too many ways', { hint: 'name one channel' })
      const next = [...chosen, { line, release }]
      if (unmetAmong(lines, next, next.length - 1) !== undefined) continue
      const found = complete(next)
      if (found !== undefined) return found
    }
    return undefined
  }
  return complete([]) as Fitting
}

/** A need that is not met, by whom, and what is in its way. */
export type Unmet = { readonly by: DistName; readonly need: Need; readonly instead: Instead }

export type Instead =
  | { readonly kind: 'not-followed' }
  | { readonly kind: 'elsewhere' }
  /** `isInstalled` where it is to stay; otherwise it is the release that would come. */
  | { readonly kind: 'release'; readonly name: DistName; readonly isInstalled: boolean }

/** The first need between the one at `at` and the rest of the chosen ones, in either direction. */
function unmetAmong(lines: readonly Line[], chosen: readonly Chosen[], at: number): Unmet | undefined {
  const one = chosen[at] as Chosen
  return [one, ...chosen].reduce<Unmet | undefined>((found, needer) => found ?? unmetOf(lines, chosen, needer, one), undefined)
}

/** Of the needs of `needer`, those about the channel of `about`; where the two are one, all. */
function unmetOf(lines: readonly Line[], chosen: readonly Chosen[], needer: Chosen, about: Chosen): Unmet | undefined {
  for (const need of needer.release.needs) {
    if (needer !== about && formatChannel(need.channel) !== formatChannel(about.line.channel)) continue
    const instead = inTheWay(lines, chosen, needer, need)
    if (instead !== undefined) return { by: needer.release.name, need, instead }
  }
  return undefined
}

function inTheWay(lines: readonly Line[], chosen: readonly Chosen[], needer: Chosen, need: Need): Instead | undefined {
  const line = lines.find(({ channel }) => formatChannel(channel) === formatChannel(need.channel))
  const isUnmoved = ({ line: of, release }: Chosen): boolean => release === of.releases[0]
  if (line === undefined || line.repository !== needer.line.repository) {
    // What is installed already is no matter of this step.
    if (need.optional || isUnmoved(needer)) return undefined
    return { kind: line === undefined ? 'not-followed' : 'elsewhere' }
  }
  const needed = chosen.find((one) => one.line === line)
  if (needed === undefined || isWithinNeed(need, needed.release.sequence) || (isUnmoved(needer) && isUnmoved(needed))) return undefined
  return { kind: 'release', name: needed.release.name, isInstalled: isUnmoved(needed) }
}

/** Why a line does not come to its newest release, beside what the others come to; undefined where it does. */
export function whyNot(lines: readonly Line[], fitting: Fitting, at: number): Unmet | undefined {
  const chosen = lines.map((line, i) => ({ line, release: (i === at ? line.releases.at(-1) : fitting[i]) as Candidate }))
  return unmetAmong(lines, chosen, at)
}

/** Which of the lines that move belong together: at no moment may one of them have come without the others. */
export function fittingGroups(lines: readonly Line[], fitting: Fitting): readonly (readonly number[])[] {
  const moving = lines.flatMap(({ releases }, i) => (fitting[i] === releases[0] ? [] : [i]))
  const needsOf = (i: number): readonly Need[] => [...(lines[i] as Line).releases[0].needs, ...(fitting[i] as Candidate).needs]
  const areTied = (a: number, b: number): boolean =>
    [[a, b] as const, [b, a] as const].some(([from, to]) =>
      needsOf(from).some(({ channel }) => formatChannel(channel) === formatChannel((lines[to] as Line).channel)),
    )
  const groups: number[][] = []
  for (const i of moving) {
    const tied = groups.filter((group) => group.some((other) => areTied(i, other)))
    const joined = [...tied.flat(), i].sort((a, b) => a - b)
    groups.splice(0, Infinity, ...groups.filter((group) => !tied.includes(group)), joined)
  }
  return groups.sort(([a = 0], [b = 0]) => a - b)
}

/** `needs kernel-GENERIC/amd64 from 7.6p2 on, which is not followed here`. */
export function describeUnmet({ by, need, instead }: Unmet): string {
  return `${formatDistName(by)} needs ${describeNeed(need)}, ${whatInstead(instead)}`
}

function whatInstead(instead: Instead): string {
  switch (instead.kind) {
    case 'not-followed':
      return 'which is not followed here'
    case 'elsewhere':
      return 'which is followed from another repository'
    case 'release':
      return `and ${formatDistName(instead.name)} ${instead.isInstalled ? 'stays' : 'would come'}`
  }
}
