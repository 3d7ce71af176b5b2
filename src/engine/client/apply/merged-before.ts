import { BinderyError } from '../../../base/error.ts'
import { listReceipts, readReceipt } from './receipts.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { RelPath } from '../../../base/path.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { Receipt } from './receipts.ts'

/** Contents that installs have merged, by path, as far as there are receipts of them: no release has these. */
export async function mergedBefore(disk: DiskReader): Promise<ReadonlyMap<RelPath, ReadonlySet<Sha256>>> {
  const merged = new Map<RelPath, Set<Sha256>>()
  for (const transaction of await listReceipts(disk)) {
    for (const [path, digest] of mergesOf(await readIntact(disk, transaction)))
      merged.set(path, (merged.get(path) ?? new Set()).add(digest))
  }
  return merged
}

/** What a damaged one could explain is then told without an explanation. */
async function readIntact(disk: DiskReader, transaction: number): Promise<Receipt | undefined> {
  try {
    return await readReceipt(disk, transaction)
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    return undefined
  }
}

function mergesOf(receipt: Receipt | undefined): readonly (readonly [RelPath, Sha256])[] {
  const paths = new Set(receipt?.kept.flatMap(({ path, reason }) => (reason === 'merged' ? [path] : [])))
  return (receipt?.actions ?? []).flatMap((action) =>
    action.kind === 'swap' && action.new.kind === 'file' && paths.has(action.path) ? [[action.path, action.new.sha256] as const] : [],
  )
}
