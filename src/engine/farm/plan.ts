import { sha256 } from '../../base/digest.ts'
import { fromLatin1 } from '../../base/bytes.ts'
import { statesBefore } from './pipeline.ts'
import { securityOf } from './security.ts'
import { selectPorts } from './select.ts'
import type { Commit, Revision, SourceChange } from '../../base/source-change.ts'
import type { BuildState } from '../../port/farm-build.ts'
import type { KnownUpdate, PlannedUpdate, SourcePlan } from '../../port/farm-catalog.ts'
import type { PortsList } from '../../port/ports-list.ts'
import type { SelectedPort } from './select.ts'

/** What one look at the sources of a branch found, and what is known of the branch. */
export type Sources = {
  readonly branch: string
  readonly from: string
  readonly to: string
  readonly revision: Revision
  readonly archs: readonly string[]
  readonly changes: readonly SourceChange[]
  readonly commits: readonly Commit[]
  readonly list: PortsList
  /** CVEs by pkgpath, where somebody keeps a list of them. */
  readonly cves: ReadonlyMap<string, readonly string[]>
  readonly known: readonly KnownUpdate[]
}

export const priorities: { readonly security: number; readonly usual: number } = { security: 100, usual: 0 }

/**
 * What is to be built, and what no longer is. A port whose changed files and their commits are those of its newest update is known, and only
 * architectures that it has no build for are new: the same sources planned again come to nothing.
 */
export function planBuilds(sources: Sources): SourcePlan {
  return planOf(
    sources,
    [...selectByPort(sources).values()].map((port) => plannedUpdate(sources, port)),
  )
}

type Looked = Pick<Sources, 'branch' | 'from' | 'to' | 'revision' | 'known'>

/** All updates that the sources come to, against those that are known. */
export function planOf({ branch, from, to, revision, known }: Looked, updates: readonly PlannedUpdate[]): SourcePlan {
  const newest = new Map(updates.map(({ pkgpath, key }) => [pkgpath, key]))
  const before = new Map(known.map((one) => [one.pkgpath, one]))
  const past = known.filter(({ pkgpath, key }) => newest.get(pkgpath) !== key)
  return {
    branch,
    digest: sha256(fromLatin1(updates.map(({ pkgpath, key }) => `${key} ${pkgpath}\n`).join(''))),
    from,
    to,
    revision,
    updates: updates.flatMap((update) => newOf(update, before.get(update.pkgpath))),
    superseded: {
      builds: past.flatMap(({ builds }) => builds.filter(({ state }) => supersedable.includes(state)).map(({ id }) => id)),
      from: supersedable,
    },
  }
}

/** What is built already is not held back by what comes after it: users have the one fix while the next is being built. */
const supersedable: readonly BuildState[] = statesBefore('superseded').filter(
  (state) => state !== 'built' && state !== 'handed-over' && state !== 'signed',
)

type Port = { readonly pkgpath: string; readonly paths: readonly string[]; readonly packages: ReadonlyMap<string, readonly string[]> }

/** In byte order, with the packages of each architecture. */
function selectByPort({ changes, list, archs }: Sources): ReadonlyMap<string, Port> {
  const ports = new Map<string, { pkgpath: string; paths: readonly string[]; packages: Map<string, readonly string[]> }>()
  for (const arch of archs)
    for (const { pkgpath, paths, packages } of selectPorts(changes, list, arch).ports) {
      const port = ports.get(pkgpath) ?? { pkgpath, paths, packages: new Map<string, readonly string[]>() }
      ports.set(pkgpath, port)
      if (packages.length > 0) port.packages.set(arch, packages)
    }
  return ports
}

function plannedUpdate({ changes, commits, cves }: Sources, { pkgpath, paths, packages }: Port): PlannedUpdate {
  const its = new Set(paths)
  const about = commits.filter((commit) => commit.paths.some((path) => its.has(path)))
  const security = securityOf(its, commits, cves.get(pkgpath) ?? [])
  const priority = security === undefined ? priorities.usual : priorities.security
  return {
    pkgpath,
    key: keyOf({ pkgpath, paths: its, changes, commits: about }),
    isSecurity: security !== undefined,
    cves: security?.cves ?? [],
    messages: about.map(({ message }) => subjectOf(message)),
    builds: [...packages].map(([arch, list]) => ({ arch, packages: list, priority })),
  }
}

type Named = {
  readonly pkgpath: SelectedPort['pkgpath']
  readonly paths: ReadonlySet<string>
  readonly changes: readonly SourceChange[]
  readonly commits: readonly Commit[]
}

/** What names the work. */
export function keyOf({ pkgpath, paths, changes, commits }: Named): string {
  const lines = [
    ...changes.filter(({ path }) => paths.has(path)).map(({ kind, path }) => `${kind} ${path}`),
    ...commits.map(({ id }) => `commit ${id}`),
  ]
  return sha256(fromLatin1([`port ${pkgpath}`, ...lines.toSorted()].join('\n')))
}

export function subjectOf(message: string): string {
  return message.trim().split('\n')[0]?.slice(0, 200) ?? ''
}

/** Nothing where all of it is known. */
function newOf(update: PlannedUpdate, known: KnownUpdate | undefined): readonly PlannedUpdate[] {
  if (known?.key !== update.key) return [update]
  const there = new Set(known.builds.map(({ arch }) => arch))
  const builds = update.builds.filter(({ arch }) => !there.has(arch))
  return builds.length === 0 ? [] : [{ ...update, builds }]
}
