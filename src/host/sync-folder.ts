import { open } from 'node:fs/promises'

/** Names made, renamed or removed in a directory are durable when this returns. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
