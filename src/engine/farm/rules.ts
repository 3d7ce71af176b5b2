import { pipeline } from './pipeline.ts'
import { priorities } from './plan.ts'
import { afterFailure } from './retry.ts'
import type { FarmRules } from '../../port/farm-build.ts'
import type { RetryPolicy } from './retry.ts'

export function farmRules(retries: RetryPolicy): FarmRules {
  return { ...pipeline, afterFailure: (failures) => afterFailure(failures, retries), urgentPriority: priorities.security }
}
