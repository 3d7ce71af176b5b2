import type { Clock, Progress } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { HttpClient } from '../../../port/http.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'
import type { Refresh } from '../../repo/look-first.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { MirrorOrder } from './mirror-order.ts'
import type { Throttle } from './throttle.ts'

/** The world of one client verb. */
export type Session = {
  /** The root that is updated; the state lies below it. */
  readonly disk: Disk
  readonly http: HttpClient
  /** The trust workflow; as root, behind one who looks first. */
  readonly refresh: Refresh
  readonly throttle: Throttle
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
  /** Makes the root writable where bindery.conf says how; called before whatever changes it. */
  readonly beforeCommit: () => Promise<void>
  /** What this machine draws by (machine-id.ts); undefined where nobody has given it one yet, and we may not. */
  readonly machineId: () => Promise<string | undefined>
}
