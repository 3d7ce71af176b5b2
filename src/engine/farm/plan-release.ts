import { BinderyError } from '../../base/error.ts'
import { formatDistName, isDistName } from '../../base/name.ts'
import { keyOf, planOf, priorities, subjectOf } from './plan.ts'
import { securityOf } from './security.ts'
import type { PlannedUpdate, SourcePlan } from '../../port/farm-catalog.ts'
import type { Sources } from './plan.ts'

/** What a look at the sources of a line of releases found. */
export type ReleaseSources = Omit<Sources, 'list' | 'cves'> & {
  readonly product: string
  /** What it comes on: `7.6`. */
  readonly release: string
  /** Higher with each change that is added: the number of the last erratum, or how many commits there are. */
  readonly level: number
}

/** All that has changed since the release is one build an architecture. It is named here, so that a second try has the name of the first. */
export function planRelease(sources: ReleaseSources): SourcePlan {
  return planOf(sources, sources.changes.length === 0 ? [] : [updateOf(sources)])
}

function updateOf(sources: ReleaseSources): PlannedUpdate {
  const { product, changes, commits, archs } = sources
  const paths = new Set(changes.map(({ path }) => path))
  const security = securityOf(paths, commits, [])
  const priority = security === undefined ? priorities.usual : priorities.security
  return {
    pkgpath: product,
    key: keyOf({ pkgpath: product, paths, changes, commits }),
    isSecurity: security !== undefined,
    cves: security?.cves ?? [],
    messages: commits.map(({ message }) => subjectOf(message)),
    builds: archs.map((arch) => ({ arch, packages: [nameOf(sources, arch)], priority })),
  }
}

function nameOf({ product, release, level, commits }: ReleaseSources, arch: string): string {
  const newest = commits.reduce((last, { seconds }) => Math.max(last, seconds), 0)
  const date = new Date(newest * 1000).toISOString().slice(0, 10).replaceAll('-', '')
  const name = { product, revision: `${release}p${level}`, date, arch }
  if (!isDistName(name)) throw new BinderyError('bad-format', `'${formatDistName(name)}' is no name of a release`)
  return formatDistName(name)
}
