import { matchesAny } from '../../../format/conf.ts'
import { isOwnState } from '../../tree/scan.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { NodeScope } from './nodes.ts'

/** What a plan may see and set here: what the system can do, less what bindery.conf and our own state exclude. */
export async function planScope(disk: DiskReader, config: Pick<ClientConfig, 'ignore'>): Promise<NodeScope> {
  const { xattrs, flags } = await disk.capabilities()
  return { xattrs, flags, excluded: (path) => isOwnState(path) || matchesAny(config.ignore, path) }
}
