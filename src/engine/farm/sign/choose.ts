import type { BuiltPackage } from '../../../format/built.ts'
import type { HandedPackage } from '../../../format/handover.ts'
import type { Sha256 } from '../../../base/digest.ts'

/** What of the built packages is to be signed, seen from the last set that was. */
export type LastSet = {
  /** By file. */
  readonly pkgpaths: ReadonlyMap<string, string>
  /** Of one of its files. */
  readonly payloadOf: (file: string) => Promise<Sha256>
}

export type Choice = {
  readonly built: BuiltPackage
  readonly payload: () => Promise<Sha256>
  readonly security: readonly string[] | undefined
}

/** Undefined for what is signed and published already, with these contents. A package takes the place of those of its pkgpath. */
export async function handedPackage({ built, payload, security }: Choice, last: LastSet): Promise<HandedPackage | undefined> {
  const { file, pkgpath, size, sha256, signature } = built
  const facts = { file, pkgpath, size, sha256, signature, security }
  if (last.pkgpaths.has(file)) {
    if ((await last.payloadOf(file)) === (await payload())) return undefined
    return { ...facts, state: 'changed', replaces: [] }
  }
  const replaces = [...last.pkgpaths].filter(([, path]) => path === pkgpath).map(([name]) => name)
  return { ...facts, state: replaces.length > 0 ? 'update' : 'new', replaces: replaces.toSorted() }
}
