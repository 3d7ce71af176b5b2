import { isBinderyError } from '../../../base/error.ts'
import { isPlainPackageName, readInstalledName, splitFromRight } from '../../../format/openbsd/package-name.ts'
import { maxPackingListHead, readUpdateInfo, readUpdateInfoSoFar } from '../../../format/openbsd/update-info.ts'
import { obsdpkgupSignature } from '../../../format/openbsd/update-signature.ts'
import type { SplitName } from '../../../format/openbsd/package-name.ts'
import type { UpdateInfo } from '../../../format/openbsd/update-info.ts'
import type { OpenbsdSystem } from '../../../port/openbsd-system.ts'

export type InstalledPackage = SplitName & {
  /** The name of its folder. */
  readonly name: string
  readonly pkgpath: string
  /** obsdpkgup's. */
  readonly signature: string
  readonly isBranch: boolean
  readonly info: UpdateInfo
}

export type Installed = {
  /** Sorted by stem, then as their folders are. */
  readonly packages: readonly InstalledPackage[]
  /** Packages whose installation broke off. */
  readonly interrupted: readonly string[]
  /** One line each, for those that cannot be judged. */
  readonly problems: readonly string[]
}

export function readInstalled(system: OpenbsdSystem): Installed {
  const packages: InstalledPackage[] = []
  const interrupted: string[] = []
  const problems: string[] = []
  for (const folder of system.packageFolders()) {
    const { kind, name } = readInstalledName(folder)
    if (kind === 'interrupted') interrupted.push(name)
    if (kind !== 'package') continue
    const read = readPackage(system, folder)
    if (typeof read === 'string') problems.push(read)
    else packages.push(read)
  }
  // Stable, so that versions of one stem stay in the order of their folders.
  return { packages: packages.sort((a, b) => (a.stem < b.stem ? -1 : a.stem > b.stem ? 1 : 0)), interrupted, problems }
}

/** Or why it cannot be read: one package that is broken never hides the others. */
function readPackage(system: OpenbsdSystem, folder: string): InstalledPackage | string {
  const split = splitFromRight(folder)
  if (split === undefined) return `couldn't find version in pkg: ${JSON.stringify(folder)}`
  if (!isPlainPackageName(folder)) return `${JSON.stringify(folder)} is no name of a package`
  try {
    const info = readHead(system, folder)
    if (info.pkgpath === undefined) return `${folder}: +CONTENTS has no pkgpath`
    const signature = obsdpkgupSignature(info)
    return { ...split, name: folder, pkgpath: info.pkgpath, signature, isBranch: info.options.includes('is-branch'), info }
  } catch (error) {
    if (!isBinderyError(error)) throw error
    return `${folder}: +CONTENTS ${error.message}`
  }
}

/** Most heads are shorter. */
const firstRead = 4 << 10

function readHead(system: OpenbsdSystem, folder: string): UpdateInfo {
  for (let size = firstRead; ; size *= 8) {
    const bytes = system.packingListHead(folder, size)
    if (bytes.length < size || size > maxPackingListHead) return readUpdateInfo(bytes)
    const head = readUpdateInfoSoFar(bytes)
    if (head.kind === 'whole') return head.info
  }
}
