import { storeSlot } from './area.ts'
import { readReceipt, readReceiptHeads } from './receipts.ts'
import { isOwnState } from '../../tree/scan.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { ReplacedFile } from '../../../port/processes.ts'
import type { Receipt } from './receipts.ts'

/** Files that went with what can still be taken back: something may run them, or have them mapped. */
export async function replacedFiles(disk: DiskReader, transactions?: ReadonlySet<number>): Promise<readonly ReplacedFile[]> {
  const found: ReplacedFile[] = []
  for (const { transaction } of await readReceiptHeads(disk)) {
    if (transactions === undefined || transactions.has(transaction))
      found.push(...(await replacedBy(disk, await readReceipt(disk, transaction))))
  }
  return found
}

/** The store holds the very file, so that it can be known by its inode; that of a rollback keeps nothing. */
async function replacedBy(disk: DiskReader, receipt: Receipt): Promise<readonly ReplacedFile[]> {
  const found: ReplacedFile[] = []
  for (const action of receipt.actions) {
    if ((action.kind !== 'swap' && action.kind !== 'drop') || action.old.kind !== 'file' || isOwnState(action.path)) continue
    const stat = await disk.lstat(storeSlot(receipt, action.slot))
    found.push({ path: action.path, inode: stat?.inode })
  }
  return found
}
