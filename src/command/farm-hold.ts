import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hostLocker } from '../host/lock.ts'
import { openFarmAt } from './farm-open.ts'
import type { Farm } from '../host/farm/open.ts'
import type { Hold } from '../host/farm/only-one.ts'
import type { FarmConfig } from '../format/farm-config.ts'
import type { Context } from './command.ts'

export type HeldFarm = { readonly farm: Farm; readonly hold: Hold }

type Holding = { readonly folder: string; readonly config: FarmConfig; readonly verb: string }

/** One process at a time looks after a farm: neither its folder nor its database is another's meanwhile. */
export async function withHeldFarm<T>(
  context: Context,
  { folder, config, verb }: Holding,
  use: (held: HeldFarm) => Promise<T>,
): Promise<T> {
  await mkdir(join(folder, 'run.lock'), { recursive: true })
  const lock = await hostLocker(join(folder, 'run.lock')).take(verb)
  try {
    const farm = await openFarmAt(context, folder, verb, config)
    try {
      const hold = await farm.engine.hold()
      try {
        return await use({ farm, hold })
      } finally {
        await hold.release()
      }
    } finally {
      await farm.close()
    }
  } finally {
    await lock.release()
  }
}
