import { BinderyError } from '../../../base/error.ts'
import { updateDbPackages } from '../../../format/openbsd/update-db.ts'
import { readUpdateInfo } from '../../../format/openbsd/update-info.ts'
import { candidateOf, keyed, wantsFile } from './listing.ts'
import type { UpdateDbPackage } from '../../../format/openbsd/update-db.ts'
import type { Candidate } from './candidate.ts'
import type { Listing, Wanted } from './listing.ts'

/** pkg_add's own, out of the quirks package. */
export function listUpdateDb(database: Uint8Array, wanted: Wanted): Listing {
  const broken: string[] = []
  const candidates: Candidate[] = []
  for (const one of updateDbPackages(database, (name) => wantsFile(wanted)(`${name}.tgz`))) {
    const candidate = candidateOfUpdateDb(one)
    if (candidate === undefined) broken.push(one.name)
    else candidates.push(candidate)
  }
  return { quirksDate: undefined, candidates, broken }
}

function candidateOfUpdateDb({ name, lines }: UpdateDbPackage): Candidate | undefined {
  const hash = lines.length === 1 ? /^@option always-update (\S+)$/.exec(lines[0] as string)?.[1] : undefined
  if (hash !== undefined) return candidateOf(name, { pkgpath: undefined, evidence: { kind: 'hash', hash } })
  try {
    const info = readUpdateInfo(Buffer.from(`${lines.join('\n')}\n`, 'latin1'))
    return candidateOf(name, keyed(info))
  } catch (error) {
    if (error instanceof BinderyError) return undefined
    throw error
  }
}
