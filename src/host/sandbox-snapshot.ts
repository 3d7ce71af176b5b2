import { realpathSync } from 'node:fs'
import { hostDisk } from './disk.ts'
import { startInGroup } from './job-group.ts'
import { namespacesMissing, startInNamespaces } from './job-namespaces.ts'
import { hostMountsOfTree } from './mount-table.ts'
import { jobRunner } from './sandbox-job.ts'
import type { Sandbox } from '../port/sandbox.ts'

/** The tree itself as the world of the commands, by chroot. */
export async function openSnapshot(root: string): Promise<Sandbox> {
  const tree = realpathSync(root)
  const missing = await namespacesMissing()
  const start = missing === undefined ? startInNamespaces : startInGroup
  const jobs = jobRunner((job) => start({ root: tree, folder: job.folder ?? '/' }, job))
  const disk = hostDisk(tree)
  return {
    kind: 'snapshot',
    before: disk,
    after: disk,
    remarks: missing === undefined ? [] : [withoutNamespaces(missing)],
    outside: hostMountsOfTree(tree).outside,
    run: jobs.run,
    touched: async () => undefined,
    close: jobs.close,
  }
}

export function withoutNamespaces(missing: string): string {
  return `commands have the network and the host name of this system, and their daemons may stay: ${missing}`
}
