import { pipeline } from '../engine/farm/pipeline.ts'
import { afterFailure, usualRetries } from '../engine/farm/retry.ts'
import { farmPlace, openFarm } from '../host/farm/open.ts'
import type { Farm } from '../host/farm/open.ts'
import type { Context } from './command.ts'

const leaseSeconds = 120

/** The farm in a folder, or, where DATABASE_URL says so, the one in a PostgreSQL whose folder this is. */
export async function openFarmAt(context: Pick<Context, 'environment' | 'say'>, folder: string, verb: string): Promise<Farm> {
  const rules = { ...pipeline, afterFailure: (failures: number) => afterFailure(failures, usualRetries) }
  const onError = (error: unknown): void => context.say(error instanceof Error ? error.message : String(error))
  return await openFarm(farmPlace(folder, context.environment['DATABASE_URL']), { rules, leaseSeconds, verb, onError })
}
