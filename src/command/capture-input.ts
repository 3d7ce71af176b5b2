import { withoutTrailing } from '../base/trailing.ts'
import { openCapture } from '../engine/capture/folder.ts'
import { folderStore } from '../host/folder-store.ts'
import type { Capture } from '../engine/capture/folder.ts'

/** A capture that a user names. */
export async function openCaptureFolder(folder: string): Promise<Capture> {
  return await openCapture(folderStore(folder), withoutTrailing(folder, '/') || folder.slice(0, 1))
}
