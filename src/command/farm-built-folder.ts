import { join } from 'node:path'
import { takeIn } from '../engine/farm/build/take-in.ts'
import { folderStore, makeFolder } from '../host/folder-store.ts'
import { hostLocker } from '../host/lock.ts'
import type { TakenIn } from '../engine/farm/build/take-in.ts'

/** Where what was built of a branch for an architecture is collected. */
export function builtFolder(farm: string, branch: string, arch: string): string {
  return join(farm, 'built', branch, arch)
}

const turns = new Map<string, Promise<void>>()

/** Packages into such a folder: one build after the other in this process, and none while another process writes there. */
export async function takeInto(output: string, taken: TakenIn): Promise<void> {
  await makeFolder(join(output, '.lock'))
  const before = turns.get(output) ?? Promise.resolve()
  const turn = before.then(async () => await takeLocked(output, taken))
  turns.set(
    output,
    turn.catch(() => {}),
  )
  await turn
}

async function takeLocked(output: string, taken: TakenIn): Promise<void> {
  const lock = await hostLocker(join(output, '.lock')).take('farm run')
  try {
    await takeIn(folderStore(output), taken)
  } finally {
    await lock.release()
  }
}
