import { pipeline } from './pipeline.ts'
import { priorities } from './plan.ts'
import { afterFailure } from './retry.ts'
import type { FarmRules, Retry } from '../../port/farm-build.ts'
import type { RetryPolicy } from './retry.ts'

export function farmRules(retries: RetryPolicy): FarmRules {
  const again = (failures: number): Retry => afterFailure(failures, retries)
  return { ...pipeline, afterFailure: again, mostLosses: retries.losses, urgentPriority: priorities.security }
}
