import { hostDisk } from './disk.ts'
import { startInGroup } from './job-group.ts'
import { namespacesMissing, startInNamespaces } from './job-namespaces.ts'
import { hostSandboxes } from './sandbox.ts'
import { jobRunner } from './sandbox-job.ts'
import { withoutNamespaces } from './sandbox-snapshot.ts'
import type { BuildPlace } from '../port/build-place.ts'
import type { SandboxKind } from '../port/sandbox.ts'

/** This system: the commands see what we see, and everything that they start ends with them. */
export async function openSystem(folder: string): Promise<BuildPlace> {
  const missing = await namespacesMissing()
  const start = missing === undefined ? startInNamespaces : startInGroup
  const jobs = jobRunner((job) => start({ folder: job.folder ?? folder }, job))
  return { files: hostDisk('/'), remarks: missing === undefined ? [] : [withoutNamespaces(missing)], run: jobs.run, close: jobs.close }
}

/** A tree with all that a build needs; an overlay forgets what the build did to it. */
export async function openTree(kind: Exclude<SandboxKind, 'destdir'>, root: string, scratch: string | undefined): Promise<BuildPlace> {
  const sandbox = await hostSandboxes.open(kind, root, scratch === undefined ? {} : { scratch })
  return { files: sandbox.after, remarks: sandbox.remarks, run: sandbox.run, close: sandbox.close }
}
