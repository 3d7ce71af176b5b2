import { readFile, readdir, readlink, rename, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { hostExec } from './exec.ts'
import { systemError } from './system-error.ts'
import type { Lock, Locker } from '../port/lock.ts'

/**
 * The lock is a folder with one file per process that wants it, named by process id and chance, so that a dead
 * holder's file can be removed by anyone without racing for its name. A process first makes its own file and then
 * looks at the others: of two that overlap, the later one must see the earlier. When both see each other, both give
 * up, which is safe. (One lock file that is stolen by unlink can be taken twice.) A file is written under another name, so
 * that one that counts says all: an empty one would name a process only by a number that may be another's by now.
 */
export function hostLocker(folder: string): Locker {
  return { take: async (verb) => await take(folder, verb) }
}

type Holder = {
  readonly pid: number
  readonly host: string
  readonly started: string
  readonly verb: string
  /** Among which processes its number counts, where the system says so: those of a container are not the host's. */
  readonly space?: string | undefined
}

const maxHolderBytes = 1024
const unfinished = '.new'

async function take(folder: string, verb: string): Promise<Lock> {
  const own: Holder = { pid: process.pid, host: hostname(), started: (await startOf(process.pid)) ?? '-', verb, space: await ownSpace() }
  const name = `${own.pid}.${Math.random().toString(36).slice(2, 10)}`
  await writeHolder(join(folder, name), own)
  const lock = { release: async () => await letGo(folder, name) }
  try {
    const other = await firstLive(folder, name, own)
    if (other !== undefined) throw lockedBy(other, own, folder)
    return lock
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function writeHolder(file: string, { pid, host, started, verb, space }: Holder): Promise<void> {
  const aside = `${file}${unfinished}`
  try {
    const last = space === undefined ? '' : `space ${space}\n`
    const text = `bindery-lock 1\npid ${pid}\nhost ${host}\nstarted ${started}\nverb ${verb}\n${last}`
    await writeFile(aside, text, { flag: 'wx', mode: 0o600 })
    await rename(aside, file)
  } catch (cause) {
    // Where there is no folder and where nothing may be written, there is nothing to remove either.
    await unlink(aside).catch(() => {})
    throw lockError(file, cause)
  }
}

/** Of this process, files that the disk would not let it remove: they hold nothing, as those of the dead do not. */
const letGone = new Set<string>()

/** Whatever ends by this has ended, well or not, and must not come to have failed by a file that the next one sweeps away. */
async function letGo(folder: string, name: string): Promise<void> {
  try {
    await remove(join(folder, name))
  } catch {
    letGone.add(name)
  }
}

function lockError(file: string, cause: unknown): unknown {
  const told = systemError(cause, file)
  if (!(told instanceof BinderyError)) return told
  if (told.code === 'not-found') return new BinderyError('not-enrolled', 'nothing is enrolled here', { subject: file, cause })
  const hint = told.code === 'permission' ? 'this verb needs root' : undefined
  return new BinderyError(told.code, `cannot take the lock: ${told.message}`, { subject: file, hint, cause })
}

async function firstLive(folder: string, ownName: string, own: Holder): Promise<Holder | undefined> {
  for (const name of await readdir(folder)) {
    if (name === ownName) continue
    const file = join(folder, name)
    const isUnfinished = name.endsWith(unfinished)
    const holder = isUnfinished ? writerOf(name, own.host) : await readHolder(file)
    const isLive = !letGone.has(name) && holder !== undefined && (holder.host !== own.host || (await isAlive(holder, own)))
    if (!isLive) await remove(file)
    else if (!isUnfinished) return holder
  }
  return undefined
}

/** Who is just writing, or was killed while it did: it holds nothing, and its file stays as long as there is such a process. */
function writerOf(name: string, host: string): Holder {
  return { pid: Number(name.split('.')[0]), host, started: '-', verb: '-' }
}

/** Undefined for a file that does not say whose it is: what a power cut or a full disk left. */
async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).slice(0, maxHolderBytes)
    const value = (key: string): string | undefined => new RegExp(`^${key} (.*)\n`, 'm').exec(text)?.[1]
    const [pid, host, started, verb, space] = ['pid', 'host', 'started', 'verb', 'space'].map(value)
    if (pid === undefined || host === undefined || started === undefined || verb === undefined) return undefined
    return { pid: Number(pid), host, started, verb, space }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw lockError(file, cause)
  }
}

/**
 * A process id may have been given to another process since: its start tells them apart. In a container it is another process' than here: then
 * it can be gone for sure only with the start of the system.
 */
async function isAlive(holder: Holder, own: Holder): Promise<boolean> {
  if (holder.space !== undefined && own.space !== undefined && holder.space !== own.space) return bootOf(holder) === bootOf(own)
  if (!Number.isSafeInteger(holder.pid) || holder.pid <= 0) return false
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  const started = await startOf(holder.pid)
  return started !== dead && (started === undefined || holder.started === '-' || started === holder.started)
}

function bootOf({ started }: Holder): string {
  return started.slice(started.indexOf('@') + 1)
}

/** Of a process that has ended, and of which nobody has taken note yet. */
const dead = 'dead'

async function ownSpace(): Promise<string | undefined> {
  return await readlink('/proc/self/ns/pid').catch(() => undefined)
}

/** A text that another process of the same id would not have: ticks since which boot, or ps(1)'s start time. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const [stat, boot] = await Promise.all([readFile(`/proc/${pid}/stat`, 'latin1'), readFile('/proc/sys/kernel/random/boot_id', 'latin1')])
    // The second field is the program's name in parentheses and may hold anything; the start is the 20th after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? dead : `${fields[19] ?? '?'}@${boot.trim()}`
  } catch {
    return await startByPs(pid)
  }
}

async function startByPs(pid: number): Promise<string | undefined> {
  try {
    const { status, stdout } = await hostExec.run('ps', ['-o', 'lstart=', '-p', String(pid)])
    const text = Buffer.from(stdout).toString('latin1').trim().replaceAll(/\s+/g, '_')
    return status === 0 && text !== '' ? text : undefined
  } catch {
    return undefined
  }
}

function lockedBy(holder: Holder, own: Holder, folder: string): BinderyError {
  const [elsewhere, what] = placeOf(holder, own)
  const hint = what === '' ? undefined : `if that ${what} is gone, remove the files in ${folder}`
  return new BinderyError('locked', `'${holder.verb}' is running as process ${holder.pid}${elsewhere}`, { subject: folder, hint })
}

function placeOf(holder: Holder, own: Holder): readonly [where: string, what: string] {
  if (holder.host !== own.host) return [` on ${holder.host}`, 'host']
  return holder.space === undefined || holder.space === own.space ? ['', ''] : [' of another container', 'container']
}

async function remove(file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw lockError(file, cause)
  }
}
