import { lstatSync, mkdirSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { toolError } from './disk-tools.ts'
import { hostDisk } from './disk.ts'
import { hostExec } from './exec.ts'
import { startInGroup } from './job-group.ts'
import { namespacesMissing, startInNamespaces } from './job-namespaces.ts'
import { hostMountsOfTree, isPartOfTree } from './mount-table.ts'
import { withoutNamespaces } from './sandbox-snapshot.ts'
import { jobRunner } from './sandbox-job.ts'
import { makeScratchFolder } from './scratch-folder.ts'
import { absolutePath, systemError } from './system-error.ts'
import type { Sandbox, SandboxOptions } from '../port/sandbox.ts'

/** Commands run outside, and install into a copy of the tree. */
export async function openDestdir(root: string, options: SandboxOptions): Promise<Sandbox> {
  const tree = realpathSync(root)
  const missing = await namespacesMissing()
  const scratch = makeScratchFolder(outsideOf(tree, options.scratch ?? tmpdir()))
  const copy = `${scratch.path}/root`
  try {
    await copyTree(tree, copy)
  } catch (error) {
    await scratch.close()
    throw error
  }
  const start = missing === undefined ? startInNamespaces : startInGroup
  const jobs = jobRunner((job) => start({ folder: job.folder ?? absolutePath('.'), env: { DESTDIR: copy } }, job))
  const disk = hostDisk(copy)
  let closing: Promise<void> | undefined
  return {
    kind: 'destdir',
    before: disk,
    after: disk,
    remarks: [
      ...(process.geteuid?.() === 0 ? [] : ['owners are those of the user who runs it: only root can copy them']),
      ...(missing === undefined ? [] : [withoutNamespaces(missing)]),
    ],
    outside: [],
    run: jobs.run,
    touched: async () => {
      if (lstatSync(copy, { throwIfNoEntry: false })?.isDirectory() === true) return undefined
      throw new BinderyError('command-failed', 'is no directory any more: the command has removed it', { subject: 'DESTDIR' })
    },
    close: async () => await (closing ??= jobs.close().then(scratch.close)),
  }
}

function outsideOf(tree: string, folder: string): string {
  const real = realFolder(folder)
  if (!isPartOfTree(tree, real)) return real
  throw new BinderyError('not-supported', 'a copy of a tree cannot be made inside of it', {
    subject: folder,
    hint: 'name a folder outside with --scratch',
  })
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder)
  } catch (error) {
    throw systemError(error, folder)
  }
}

/** The file systems of the tree, and nothing else that is mounted there. */
async function copyTree(tree: string, copy: string): Promise<void> {
  // On the BSDs cp(1) would tear hard links apart.
  const [program, options] = process.platform === 'linux' ? (['cp', ['-ax']] as const) : (['pax', ['-rwX', '-pe']] as const)
  mkdirSync(copy)
  for (const point of hostMountsOfTree(tree).inside) {
    const name = Buffer.from(point, 'latin1').toString()
    const cwd = join(tree, name)
    const result = await hostExec.run(program, [...options, '.', join(copy, name)], { apart: true, cwd })
    if (result.status !== 0) throw toolError(program, result, cwd)
  }
}
