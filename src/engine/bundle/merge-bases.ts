import { collectBytes } from '../../base/bytes.ts'
import { isAccounts, isConfiguration, namedConfiguration } from '../client/apply/configuration.ts'
import { checked } from '../client/apply/contents.ts'
import { maxMergeBytes } from '../client/apply/merges.ts'
import { sameContent } from '../client/apply/nodes.ts'
import { openDist } from '../dist/read.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { FileEntry } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Update } from '../../format/update.ts'
import type { Trees } from './former.ts'

/** Old contents of configuration that the step changes: a machine that has changed it, too, needs them to merge. */
export type MergeBases = {
  /** The number of its old content, by path. */
  readonly numbers: ReadonlyMap<RelPath, number>
  /** Those of accounts, which are merged by entry. */
  readonly byEntry: ReadonlySet<RelPath>
  /** Each once, by number. */
  readonly contents: readonly Uint8Array[]
}

export const noBases: MergeBases = { numbers: new Map(), byEntry: new Set(), contents: [] }

/** All that is brought along for this; what comes after it, in byte order, is not merged by a bundle. */
const maxBasesBytes = 4 << 20

/** A file that a client would merge, if somebody had changed it. */
export type Mergeable = FileEntry & { readonly isByEntry: boolean }

export function mergeable({ base, next }: Trees, records: readonly Update[]): readonly Mergeable[] {
  const config = { configProtect: namedConfiguration(records) }
  const found: Mergeable[] = []
  let total = 0
  for (const [path, old] of [...base.nodes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const wanted = next.nodes.get(path)
    if (old.kind !== 'file' || wanted?.kind !== 'file' || sameContent(old, wanted)) continue
    const isByEntry = !isConfiguration(config, path)
    if (isByEntry && !isAccounts(path)) continue
    if (base.groups.has(path) || next.groups.has(path) || Math.max(old.size, wanted.size) > maxMergeBytes) continue
    if (total + old.size > maxBasesBytes) break
    total += old.size
    found.push({ ...old, isByEntry })
  }
  return found
}

/** `oldDist`: the uncompressed tar of the old release. What is no text has no number. */
export async function readBases(oldDist: ByteStream, files: readonly Mergeable[]): Promise<MergeBases> {
  const wanted = new Map(files.map((file) => [file.path, file]))
  const numbers = new Map<RelPath, number>()
  const contents: Uint8Array[] = []
  const known = new Map<Sha256, number>()
  for await (const { header, content } of (await openDist(oldDist)).parts) {
    const file = wanted.get(header.path)
    if (file === undefined) continue
    const bytes = (await collectBytes(checked(content, file.path, file), file.size)) as Uint8Array
    if (!bytes.includes(0)) {
      const number = known.get(file.sha256) ?? contents.push(bytes) - 1
      known.set(file.sha256, number)
      numbers.set(file.path, number)
    }
    wanted.delete(header.path)
    if (wanted.size === 0) break
  }
  return { numbers, byEntry: new Set(files.flatMap(({ path, isByEntry }) => (isByEntry ? [path] : []))), contents }
}
