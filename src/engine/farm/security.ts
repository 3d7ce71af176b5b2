import type { Commit } from '../../base/source-change.ts'

/**
 * Whether a change of a port closes a hole, by what its commits say and by a list of CVEs that somebody keeps. A commit that
 * merely sounds like it counts too: it is shown, and built first, and no harm is done.
 */
export type Security = { readonly cves: readonly string[]; readonly because: readonly string[] }

const cve = /\bCVE-\d{4}-\d{4,}\b/gi
const words =
  /\b(?:security|vulnerabilit(?:y|ies)|exploit\w*|use[- ]after[- ]free|(?:buffer|heap|stack|integer) overflow|out[- ]of[- ]bounds|privilege escalation|(?:GHSA|OSV|ZDI)-[\w-]+)\b/i

/** Undefined where nothing speaks for it. `listed` are the CVEs of this port out of a list. */
export function securityOf(paths: ReadonlySet<string>, commits: readonly Commit[], listed: readonly string[]): Security | undefined {
  const its = commits.filter((commit) => commit.paths.some((path) => paths.has(path)))
  const named = its.flatMap(({ message }) => message.match(cve) ?? []).map((id) => id.toUpperCase())
  const telling = its.filter(({ message }) => message.search(cve) >= 0 || words.test(message)).map(({ message }) => subjectOf(message))
  const cves = [...new Set([...named, ...listed])].toSorted()
  return cves.length === 0 && telling.length === 0 ? undefined : { cves, because: [...new Set(telling)] }
}

function subjectOf(message: string): string {
  return message.trim().split('\n')[0]?.slice(0, 200) ?? ''
}
