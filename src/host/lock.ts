import { open, readFile, readdir, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { hostExec } from './exec.ts'
import type { Lock, Locker } from '../port/lock.ts'

/**
 * The lock is a folder with one file per process that wants it, named by process id and chance, so that a dead
 * holder's file can be removed by anyone without racing for its name. A process first makes its own file and then
 * looks at the others: of two that overlap, the later one must see the earlier. When both see each other, both give
 * up, which is safe. (One lock file that is stolen by unlink can be taken twice.)
 */
export function hostLocker(folder: string): Locker {
  return { take: async (verb) => await take(folder, verb) }
}

type Holder = { readonly pid: number; readonly host: string; readonly started: string; readonly verb: string }

const maxHolderBytes = 1024

async function take(folder: string, verb: string): Promise<Lock> {
  const own: Holder = { pid: process.pid, host: hostname(), started: (await startOf(process.pid)) ?? '-', verb }
  const name = `${own.pid}.${Math.random().toString(36).slice(2, 10)}`
  await writeHolder(join(folder, name), own)
  const lock = { release: async () => await remove(join(folder, name)) }
  try {
    const other = await firstLive(folder, name, own.host)
    if (other !== undefined) throw lockedBy(other, folder)
    return lock
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function writeHolder(file: string, { pid, host, started, verb }: Holder): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(`bindery-lock 1\npid ${pid}\nhost ${host}\nstarted ${started}\nverb ${verb}\n`)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw lockError(file, cause)
  }
}

function lockError(file: string, cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EACCES' || code === 'EPERM') {
    return new BinderyError('permission', 'cannot take the lock', { subject: file, hint: 'this verb needs root', cause })
  }
  if (code === 'ENOENT') return new BinderyError('not-enrolled', 'nothing is enrolled here', { subject: file, cause })
  if (code === 'EROFS') return new BinderyError('read-only', 'the file system is mounted read-only', { subject: file, cause })
  if (code === 'ENOSPC') return new BinderyError('no-space', 'no space for the lock', { subject: file, cause })
  return new BinderyError('io', 'cannot take the lock', { subject: file, cause })
}

async function firstLive(folder: string, own: string, host: string): Promise<Holder | undefined> {
  for (const name of await readdir(folder)) {
    if (name === own) continue
    const holder = await readHolder(join(folder, name))
    if (holder === undefined) continue
    if (holder.host !== host || (await isAlive(holder))) return holder
    await remove(join(folder, name))
  }
  return undefined
}

/** A file that is not yet written out belongs to a process that is just taking the lock: its name says which. */
async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).slice(0, maxHolderBytes)
    const value = (key: string): string | undefined => new RegExp(`^${key} (.*)$`, 'm').exec(text)?.[1]
    const pid = Number(value('pid') ?? file.slice(file.lastIndexOf('/') + 1).split('.')[0])
    return { pid, host: value('host') ?? hostname(), started: value('started') ?? '-', verb: value('verb') ?? 'bindery' }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw lockError(file, cause)
  }
}

/** A process id may have been given to another process since: its start tells them apart. */
async function isAlive(holder: Holder): Promise<boolean> {
  if (!Number.isSafeInteger(holder.pid) || holder.pid <= 0) return false
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  const started = await startOf(holder.pid)
  return started === undefined || holder.started === '-' || started === holder.started
}

/** A text that another process of the same id would not have: ticks since which boot, or ps(1)'s start time. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const [stat, boot] = await Promise.all([readFile(`/proc/${pid}/stat`, 'latin1'), readFile('/proc/sys/kernel/random/boot_id', 'latin1')])
    // The second field is the program's name in parentheses and may hold anything; the start is the 20th after it.
    return `${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '?'}@${boot.trim()}`
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

function lockedBy(holder: Holder, folder: string): BinderyError {
  const elsewhere = holder.host === hostname() ? '' : ` on ${holder.host}`
  const hint = elsewhere === '' ? undefined : `if that host is gone, remove the files in ${folder}`
  return new BinderyError('locked', `'${holder.verb}' is running as process ${holder.pid}${elsewhere}`, { subject: folder, hint })
}

async function remove(file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw lockError(file, cause)
  }
}
