import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { systemError } from './system-error.ts'
import type { Exec } from '../port/exec.ts'
import type { OpenbsdSystem } from '../port/openbsd-system.ts'

/** What is said instead of asking the machine: for a folder that stands for one, on any system. */
export type SystemFacts = { readonly kernVersion?: string | undefined; readonly arch?: string | undefined }

const database = 'var/db/pkg'
const maxSmallFile = 1 << 20
const maxModule = 16 << 20

export function hostOpenbsd(root: string, exec: Exec, facts: SystemFacts): OpenbsdSystem {
  return {
    kernVersion: async () => facts.kernVersion ?? (await told(exec, '/sbin/sysctl', ['-n', 'kern.version'], '--kern-version')),
    arch: async () => facts.arch ?? (await told(exec, '/usr/bin/arch', ['-s'], '--arch')),
    installUrl: () => {
      const bytes = contentOf(join(root, 'etc/installurl'), maxSmallFile)
      return bytes === undefined ? undefined : latin1(bytes).trim()
    },
    packageFolders: () => foldersOf(join(root, database)),
    packagesState: () => stateOf(join(root, database)),
    packingListHead: headReader(join(root, database)),
    quirksModule: () => contentOf(join(root, 'usr/local/libdata/perl5/site_perl/OpenBSD/Quirks.pm'), maxModule),
    signifyKey: (name) => (/^[A-Za-z0-9._+-]+$/.test(name) ? contentOf(join(root, 'etc/signify', `${name}.pub`), maxSmallFile) : undefined),
  }
}

async function told(exec: Exec, program: string, args: readonly string[], option: string): Promise<string> {
  const hint = `${option} says it where this is not the machine itself`
  try {
    const { status, stdout } = await exec.run(program, args)
    if (status === 0) return latin1(stdout).trim()
  } catch (cause) {
    throw new BinderyError('not-found', 'cannot be run', { subject: program, hint, cause })
  }
  throw new BinderyError('not-found', `does not tell ${args.join(' ')}`, { subject: program, hint })
}

function foldersOf(path: string): readonly string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true, encoding: 'latin1' })
    const folders = entries.filter((entry) => entry.isDirectory() || (entry.isSymbolicLink() && isFolder(join(path, entry.name))))
    return folders.map(({ name }) => name).sort()
  } catch (error) {
    throw systemError(error, path)
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** The time of the last change of an inode cannot be set back. */
function stateOf(packages: string): string {
  const lines = foldersOf(packages).map((folder) => {
    const status = statSync(`${packages}/${folder}/+CONTENTS`, { throwIfNoEntry: false })
    return status === undefined ? folder : `${folder} ${status.ino} ${status.size} ${status.ctimeMs}`
  })
  return lines.join('\n')
}

/** One buffer for all: what is handed out is good until the next one is asked for. */
function headReader(packages: string): OpenbsdSystem['packingListHead'] {
  let room = Buffer.alloc(0)
  return (folder, bytes) => {
    if (room.length < bytes) room = Buffer.allocUnsafe(bytes)
    // Not join(), which takes longer than the reading.
    const file = `${packages}/${folder}/+CONTENTS`
    try {
      return room.subarray(0, readHead(file, room, bytes))
    } catch (error) {
      throw systemError(error, file)
    }
  }
}

function readHead(file: string, room: Buffer, bytes: number): number {
  const descriptor = openSync(file, 'r')
  try {
    let size = 0
    for (let read = -1; read !== 0 && size < bytes; size += read) read = readSync(descriptor, room, size, bytes - size, null)
    return size
  } finally {
    closeSync(descriptor)
  }
}

function contentOf(file: string, limit: number): Uint8Array | undefined {
  try {
    if (statSync(file).size > limit) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: file })
    return new Uint8Array(readFileSync(file))
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined
    throw systemError(error, file)
  }
}
