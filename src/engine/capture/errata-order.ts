import { BinderyError } from '../../base/error.ts'
import { errataName } from '../../format/errata.ts'
import type { Errata } from '../../format/errata.ts'

/**
 * Which errata may follow which (doc/spec/errata.md). Numbers are given per release over all architectures, so that a gap
 * proves nothing: it is told, and it is the likely reason when a patch does not fit the sources.
 */

/** What an earlier capture has applied to the sources; the release is undefined where the patch does not name one. */
export type AppliedErrata = Pick<Errata, 'release' | 'number'>

/** The numbers below the highest of `given` that are neither applied nor given. Throws where the order is wrong. */
export function checkErrataOrder(applied: readonly AppliedErrata[], given: readonly Errata[]): readonly string[] {
  let last = newest(applied)
  for (const errata of given) {
    checkFollows(applied, last, errata)
    last = errata
  }
  return missingNumbers([...applied, ...given])
}

function newest(applied: readonly AppliedErrata[]): AppliedErrata | undefined {
  return applied.reduce<AppliedErrata | undefined>((last, one) => (last === undefined || one.number > last.number ? one : last), undefined)
}

function checkFollows(applied: readonly AppliedErrata[], last: AppliedErrata | undefined, errata: Errata): void {
  if (last === undefined) return
  const subject = errataName(errata)
  if (last.release !== undefined && errata.release !== undefined && last.release !== errata.release)
    throw new BinderyError('mix-and-match', `is for OpenBSD ${errata.release}, the one before it for ${last.release}`, { subject })
  if (errata.number > last.number) return
  if (applied.some(({ number }) => number === errata.number)) throw new BinderyError('exists', 'is applied already', { subject })
  if (errata.number === last.number) throw new BinderyError('exists', 'has the number of the one before', { subject })
  const hint = applied.includes(last) ? 'begin with sources that have no patch after it' : 'name the patches in the order of their numbers'
  throw new BinderyError('wrong-base', `must come before ${last.number}`, { subject, hint })
}

function missingNumbers(known: readonly AppliedErrata[]): readonly string[] {
  const numbers = new Set(known.map(({ number }) => number))
  const highest = Math.max(0, ...known.map(({ number }) => Number(number)))
  return Array.from({ length: highest }, (_, i) => String(i + 1).padStart(3, '0')).filter((number) => !numbers.has(number))
}
