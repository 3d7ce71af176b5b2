import { PgBoss } from 'pg-boss'
import type { Engine } from './engine.ts'

/**
 * The queue's own schema beside the catalog's. A claim that shows no sign of life for `leaseSeconds` goes to another builder; how long a whole
 * build takes is nobody's business here, so that the time limit of pg-boss is set aside.
 */
export type BossOptions = { readonly leaseSeconds: number; readonly onError: (error: unknown) => void }

export async function startBoss(engine: Engine, { onError }: BossOptions): Promise<PgBoss> {
  const boss = new PgBoss({
    db: engine.queueDb,
    backend: engine.kind,
    schema: 'farm_queue',
    schedule: false,
    // The controller sweeps when it wants to know.
    supervise: false,
    monitorIntervalSeconds: 10,
    maintenanceIntervalSeconds: 3600,
    registerInstance: false,
    openTelemetry: { enabled: false },
    reindex: false,
    monitorVacuum: false,
  })
  boss.on('error', onError)
  await boss.start()
  return boss
}

const years = 365 * 24 * 3600

/** Of one branch on one architecture: each build is in it once. */
export async function openQueue(boss: PgBoss, name: string, { leaseSeconds }: Pick<BossOptions, 'leaseSeconds'>): Promise<void> {
  await boss.createQueue(name, {
    policy: 'exclusive',
    // Whether it is tried again is decided by the catalog; here only lost claims count.
    retryLimit: 1_000_000,
    retryDelay: 0,
    heartbeatSeconds: leaseSeconds,
    retentionSeconds: 10 * years,
    deleteAfterSeconds: 3600,
  })
}

/** Beyond the limit that pg-boss sets for queues. */
export const neverExpires: { readonly expireInSeconds: number } = { expireInSeconds: 10 * years }

export function queueName(branch: string, arch: string): string {
  return `build/${branch}/${arch}`
}
