import type { Clock, Progress } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { HttpClient } from '../../../port/http.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { MirrorOrder } from './mirror-order.ts'

/** The world of one client verb. */
export type Session = {
  /** The root that is updated; the state lies below it. */
  readonly disk: Disk
  readonly http: HttpClient
  readonly clock: Clock
  readonly recovery: RecoveryProgram
  readonly config: ClientConfig
  readonly mirrors: MirrorOrder
  readonly progress: Progress
  /** One line that a person should see, for instance that a mirror was bad. */
  readonly say: (line: string) => void
  /** The same for those who want to know all. */
  readonly explain: (line: string) => void
  readonly signal: AbortSignal
  /** Someone who may not write the state (`check` without root): nothing that is learned is kept. */
  readonly access: 'write' | 'read'
}
