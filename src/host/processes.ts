import { readFile, readdir, readlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { latin1 } from '../base/bytes.ts'
import { isBinderyError } from '../base/error.ts'
import type { Exec } from '../port/exec.ts'
import type { RelPath } from '../base/path.ts'
import type { Processes, ReplacedFile, StaleProcess, StaleReport } from '../port/processes.ts'

/** `proc` is where Linux tells of its processes. */
export type ProcessSystem = { readonly platform: string; readonly root: string; readonly proc: string; readonly exec: Exec }

/** Asks for the current directory when it is needed: it may be gone, and most verbs do not look at processes. */
export function hostProcesses(root: string, exec: Exec): Processes {
  return {
    usersOf: async (files) =>
      await systemProcesses({ platform: process.platform, root: resolve(root), proc: '/proc', exec }).usersOf(files),
  }
}

export function systemProcesses(system: ProcessSystem): Processes {
  return {
    usersOf: async (files) => {
      if (files.length === 0) return { processes: [] }
      return system.platform === 'linux' ? await usersByMaps(system, files) : await usersByFstat(system, files)
    },
  }
}

/** As it is seen from outside of a chroot. */
function absolute(root: string, path: RelPath): string {
  return `${root === '/' ? '' : root}/${path}`
}

// --- Linux: proc(5)

async function usersByMaps({ proc, root }: ProcessSystem, files: readonly ReplacedFile[]): Promise<StaleReport> {
  const gone = new Map(files.map((file) => [absolute(root, file.path), file]))
  const processes: StaleProcess[] = []
  let hidden = 0
  for (const pid of (await readdir(proc))
    .filter((name) => /^[1-9][0-9]*$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)) {
    const maps = await readIfSeen(`${proc}/${pid}/maps`)
    if (maps === hiddenFromUs) hidden++
    const used = maps === undefined || maps === hiddenFromUs ? [] : filesInMaps(maps, gone)
    if (used.length > 0) processes.push({ pid, program: await programOf(`${proc}/${pid}`), files: used })
  }
  return {
    processes,
    ...(hidden === 0
      ? {}
      : { unseen: `${hidden} of the processes could not be looked at${process.getuid?.() === 0 ? '' : ', which needs root'}` }),
  }
}

const hiddenFromUs = Symbol('hidden')

/** Undefined for a process that has ended. */
async function readIfSeen(file: string): Promise<string | typeof hiddenFromUs | undefined> {
  try {
    return await readFile(file, 'latin1')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return code === 'EACCES' || code === 'EPERM' ? hiddenFromUs : undefined
  }
}

/** `address perms offset dev inode path`; the path of a file that has lost its name ends with ` (deleted)`, and a line feed in it is `\012`. */
export function filesInMaps(maps: string, gone: ReadonlyMap<string, ReplacedFile>): readonly RelPath[] {
  const used = new Set<RelPath>()
  for (const line of maps.split('\n')) {
    const [, inode, text] = /^\S+ \S+ \S+ \S+ (\d+) +(\/.*)$/.exec(line) ?? []
    if (text === undefined) continue
    const isDeleted = text.endsWith(' (deleted)')
    const file = gone.get((isDeleted ? text.slice(0, -' (deleted)'.length) : text).replaceAll('\\012', '\n'))
    if (file !== undefined && (isDeleted || BigInt(inode as string) === file.inode)) used.add(file.path)
  }
  return [...used]
}

async function programOf(folder: string): Promise<string> {
  try {
    return (await readlink(`${folder}/exe`, 'latin1')).replace(/ \(deleted\)$/, '')
  } catch {
    const name = await readIfSeen(`${folder}/comm`)
    return typeof name === 'string' ? name.trim() : '?'
  }
}

// --- the BSDs: fstat(1)

async function usersByFstat({ exec, root }: ProcessSystem, files: readonly ReplacedFile[]): Promise<StaleReport> {
  // FreeBSD's lists mapped files, too, when it is told to.
  const table = (await fstat(exec, ['-m'])) ?? (await fstat(exec, []))
  if (table === undefined) return { processes: [], unseen: 'fstat(1) cannot be run' }
  const processes = processesInFstat(table, root, files)
  return / mmap /.test(table) ? { processes } : { processes, unseen: 'only programs are found here, not the libraries that they use' }
}

async function fstat(exec: Exec, args: readonly string[]): Promise<string | undefined> {
  try {
    const { status, stdout } = await exec.run('/usr/bin/fstat', args)
    return status === 0 ? latin1(stdout) : undefined
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

/** `USER CMD PID FD MOUNT INUM MODE …`, with `text` as FD for the program and `mmap` for what is mapped. */
export function processesInFstat(table: string, root: string, files: readonly ReplacedFile[]): readonly StaleProcess[] {
  const lines = linesOf(table)
  const mounts = new Set(lines.map(({ mount }) => mount))
  const byPlace = Map.groupBy(files, ({ path, inode }) => `${mountOf(mounts, absolute(root, path))} ${inode}`)
  const found = new Map<number, { readonly program: string; readonly files: Set<RelPath> }>()
  for (const { program, pid, mount, inode } of lines) {
    for (const { path } of byPlace.get(`${mount} ${inode}`) ?? []) {
      const known = found.get(pid) ?? { program, files: new Set<RelPath>() }
      known.files.add(path)
      found.set(pid, known)
    }
  }
  return [...found].map(([pid, one]) => ({ pid, program: one.program, files: [...one.files] })).sort((a, b) => a.pid - b.pid)
}

type FstatLine = { readonly program: string; readonly pid: number; readonly mount: string; readonly inode: string }

function linesOf(table: string): readonly FstatLine[] {
  return table.split('\n').flatMap((line) => {
    const found = /\s(\d+)\s+(?:text|mmap)\s+(\/\S*)\s+(\d+)\s/.exec(line)
    // Its user, and its name, which may hold blanks.
    const [, program] = /^\S+\s+(\S.*)$/s.exec(line.slice(0, found?.index).trim()) ?? []
    if (found === null || program === undefined) return []
    const [, pid, mount, inode] = found as unknown as [string, string, string, string]
    return [{ program, pid: Number(pid), mount, inode }]
  })
}

/** The deepest of those that something runs from: where nothing does, nothing is found either. */
function mountOf(mounts: ReadonlySet<string>, path: string): string | undefined {
  let found: string | undefined
  for (const mount of mounts) {
    if (path.startsWith(mount.endsWith('/') ? mount : `${mount}/`) && mount.length > (found?.length ?? 0)) found = mount
  }
  return found
}
