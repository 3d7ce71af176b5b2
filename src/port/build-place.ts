import type { DiskReader } from './disk.ts'
import type { Sandbox } from './sandbox.ts'

/** Where ports are built: this system itself, or a sandbox over a tree with a ports tree in it. */
export type BuildPlace = Pick<Sandbox, 'remarks' | 'run' | 'close'> & {
  /** What the commands see, from their `/` on. */
  readonly files: DiskReader
}
