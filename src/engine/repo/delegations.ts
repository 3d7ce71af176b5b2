import { sha256 } from '../../base/digest.ts'
import { utf8 } from '../../base/bytes.ts'
import { fitsWildcards } from '../../base/wildcards.ts'
import type { DelegatedRole, TargetFile, Targets } from '../../format/tuf.ts'
import type { Authority } from './verify-signatures.ts'

/** The search for a target through delegations (TUF 5.6.7) and what a delegation covers (4.5). */

/** Reads and verifies the metadata of `role` on behalf of a role that delegates to it. */
export type LoadRole = (role: string, authority: Authority) => Promise<Targets>

export type Found = { readonly role: string; readonly file: TargetFile }

/**
 * Pre-order and depth first from the top-level targets, each role once, at most `limit` roles. A role that cannot be
 * had or verified ends the search with its error: an attacker who withholds a role must not make a less trusted one
 * speak for the target.
 */
export async function searchTarget(path: string, top: Targets, load: LoadRole, limit: number): Promise<Found | undefined> {
  const visited = new Set<string>()
  let open: readonly Step[] = [{ role: 'targets', authority: undefined }]
  for (let step = open[0]; step !== undefined; step = open[0]) {
    open = open.slice(1)
    // 5.6.7.1: cycles, and graphs that would never end.
    if (visited.has(step.role)) continue
    if (visited.size >= limit) return undefined
    visited.add(step.role)
    const targets = step.authority === undefined ? top : await load(step.role, step.authority)
    const file = targets.targets.get(path)
    if (file !== undefined) return { role: step.role, file }
    const { steps, terminating } = stepsFrom(step.role, targets, path)
    open = terminating ? steps : [...steps, ...open]
  }
  return undefined
}

/** Each step carries the delegation that led to it: a role that two others delegate to is verified for each. */
type Step = { readonly role: string; readonly authority: Authority | undefined }

/** 5.6.7.2: in order of appearance, up to the first terminating delegation that covers the path. */
function stepsFrom(delegator: string, targets: Targets, path: string): { readonly steps: readonly Step[]; readonly terminating: boolean } {
  const covering = (targets.delegations?.roles ?? []).filter((role) => covers(role, path))
  const last = covering.findIndex((role) => role.terminating)
  const followed = last < 0 ? covering : covering.slice(0, last + 1)
  return {
    steps: followed.map((role) => ({ role: role.name, authority: delegatedAuthority(delegator, targets, role) })),
    terminating: last >= 0,
  }
}

export function delegatedAuthority(delegator: string, targets: Targets, role: DelegatedRole): Authority {
  return { role, keys: targets.delegations?.keys ?? new Map(), of: `${delegator} ${targets.version}` }
}

/** Whether a delegation trusts its role with `path`. */
export function covers({ scope }: Pick<DelegatedRole, 'scope'>, path: string): boolean {
  if (scope.kind === 'paths') return scope.patterns.some((pattern) => matchesPath(pattern, path))
  const digest = sha256(utf8(path))
  return scope.prefixes.some((prefix) => digest.startsWith(prefix))
}

/** glob(7) by components: no wildcard matches a `/`. */
export function matchesPath(pattern: string, path: string): boolean {
  const patterns = pattern.split('/')
  const names = path.split('/')
  return patterns.length === names.length && patterns.every((part, i) => fitsWildcards(part, names[i] as string))
}
