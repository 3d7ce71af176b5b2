import { isPlainPackageName, splitFromRight, stemFromRight } from '../../../format/openbsd/package-name.ts'
import { updateSignature } from '../../../format/openbsd/update-signature.ts'
import type { UpdateInfo } from '../../../format/openbsd/update-info.ts'
import type { Candidate, Evidence } from './candidate.ts'

/** What one index offers. */
export type Listing = {
  /** Of the quirks package that it was made beside; undefined where it is that package's own. */
  readonly quirksDate: string | undefined
  readonly candidates: readonly Candidate[]
  /** Files whose entries are broken. */
  readonly broken: readonly string[]
}

/** Whether packages of this stem are of interest. */
export type Wanted = (stem: string) => boolean

/** For readers of indexes, which know files. */
export function wantsFile(wanted: Wanted): (file: string) => boolean {
  return (file) => {
    // The suffix begins with a dot, which would be a version behind a dash alone.
    const stem = stemFromRight(file)
    // One without a version is told of.
    return stem === undefined || wanted(stem)
  }
}

export type More = Pick<Candidate, 'pkgpath' | 'evidence'> & Partial<Pick<Candidate, 'formerPaths' | 'size' | 'depends'>>

/** Undefined for what is no name that may be printed, or has no version. */
export function candidateOf(file: string, more: More): Candidate | undefined {
  const name = file.endsWith('.tgz') ? file.slice(0, -'.tgz'.length) : file
  const split = isPlainPackageName(name) ? splitFromRight(name) : undefined
  return split === undefined ? undefined : { ...split, name, formerPaths: [], size: undefined, depends: undefined, ...more }
}

/** What pkg_add compares. */
export function keyed(info: UpdateInfo): More {
  const evidence: Evidence = { kind: 'keyed', signature: updateSignature(info, () => '') }
  return { pkgpath: info.pkgpath, evidence, formerPaths: info.formerPaths, depends: info.depends.map(({ default: name }) => name) }
}
