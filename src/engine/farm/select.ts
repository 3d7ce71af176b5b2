import { archNames } from './arch.ts'
import { knownPorts, ownerOf } from './owner.ts'
import type { ListedPackage, PortsList } from '../../port/ports-list.ts'
import type { SourceChange } from '../../base/source-change.ts'
import type { Owner, Unowned } from './owner.ts'

/**
 * What is to be built after some files of the ports tree changed: every port that owns one of them, with every flavor
 * and subpackage that sqlports lists and the architecture can have.
 */
export type Selection = {
  /** In byte order of their pkgpaths. */
  readonly ports: readonly SelectedPort[]
  readonly others: readonly { readonly path: string; readonly why: Unowned | 'removed' }[]
}

export type SelectedPort = {
  readonly pkgpath: string
  readonly paths: readonly string[]
  /** `guessed`: not in the list of ports, so that only its pkgpath is known. */
  readonly how: Extract<Owner, { kind: 'ports' }>['how']
  /** Fullpkgpaths, in byte order. */
  readonly packages: readonly string[]
  readonly left: readonly { readonly fullpkgpath: string; readonly why: string }[]
}

/** `changes` are relative to the ports tree. `arch` undefined: whatever any architecture can have. */
export function selectPorts(changes: readonly SourceChange[], list: PortsList, arch: string | undefined): Selection {
  const known = knownPorts(list.ports.keys())
  const found = new Map<string, { how: SelectedPort['how']; changes: SourceChange[] }>()
  const others: Selection['others'][number][] = []
  for (const change of changes) {
    const owner = ownerOf(change.path, known)
    if (owner.kind === 'none') others.push({ path: change.path, why: owner.why })
    else for (const pkgpath of owner.pkgpaths) noteChange(found, pkgpath, owner.how, change)
  }
  const ports = [...found].filter(([, { how, changes: its }]) => !isGone(how, its))
  const gone = [...found].filter(([, { how, changes: its }]) => isGone(how, its))
  for (const [, { changes: its }] of gone) for (const { path } of its) others.push({ path, why: 'removed' })
  return {
    ports: ports
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([pkgpath, { how, changes: its }]) => ({
        pkgpath,
        paths: its.map(({ path }) => path),
        how,
        ...packagesFor(list.ports.get(pkgpath) ?? [unlisted(pkgpath)], arch),
      })),
    others,
  }
}

type Found = Map<string, { how: SelectedPort['how']; changes: SourceChange[] }>

function noteChange(found: Found, pkgpath: string, how: SelectedPort['how'], change: SourceChange): void {
  const entry = found.get(pkgpath)
  if (entry === undefined) found.set(pkgpath, { how, changes: [change] })
  else entry.changes.push(change)
}

/** A port that the list does not know, and of which every change takes a file away. */
function isGone(how: SelectedPort['how'], changes: readonly SourceChange[]): boolean {
  return how === 'guessed' && changes.every(({ kind }) => kind === 'removed')
}

function unlisted(pkgpath: string): ListedPackage {
  return { fullpkgpath: pkgpath, onlyFor: undefined, notFor: [], broken: [] }
}

function packagesFor(all: readonly ListedPackage[], arch: string | undefined): Pick<SelectedPort, 'packages' | 'left'> {
  const judged = all.map((one) => ({ fullpkgpath: one.fullpkgpath, why: whyNot(one, arch) }))
  return {
    packages: judged
      .filter(({ why }) => why === undefined)
      .map(({ fullpkgpath }) => fullpkgpath)
      .toSorted(),
    left: judged.flatMap(({ fullpkgpath, why }) => (why === undefined ? [] : [{ fullpkgpath, why }])),
  }
}

/** As bsd.port.mk(5) says of BROKEN, ONLY_FOR_ARCHS and NOT_FOR_ARCHS. */
function whyNot({ onlyFor, notFor, broken }: ListedPackage, arch: string | undefined): string | undefined {
  const everywhere = broken.find((one) => one.arch === undefined)
  if (everywhere !== undefined) return `broken: ${everywhere.why}`
  if (arch === undefined) return undefined
  const names = archNames(arch)
  const here = broken.find((one) => one.arch !== undefined && names.includes(one.arch))
  if (here !== undefined) return `broken on ${here.arch as string}: ${here.why}`
  if (onlyFor !== undefined && !onlyFor.some((name) => names.includes(name))) return `only for ${onlyFor.join(' ')}`
  if (notFor.some((name) => names.includes(name))) return `not for ${arch}`
  return undefined
}
