import { closeSync, openSync, readdirSync, readSync, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { oneChunk } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { decodeLease, encodeLease } from '../format/farm-work.ts'
import { logTo } from '../host/log-file.ts'
import { writeFileAtomically } from '../host/source.ts'
import { systemError } from '../host/system-error.ts'
import type { GrowingLog } from '../engine/farm/remote/send.ts'
import type { Lease } from '../format/farm-work.ts'

/**
 * What a builder works on, a folder for each lease: what it is (`lease.json`), all that was printed (`print.log`), what was built (`built`).
 * A folder goes with its lease, and stays where the builder is killed.
 */
export type LeaseFolder = {
  readonly path: string
  readonly built: string
  readonly logFile: string
}

export function leaseFolder(work: string, lease: Pick<Lease, 'id'>, slot: number): LeaseFolder {
  const path = join(work, `${lease.id}.${slot}`)
  return { path, built: join(path, 'built'), logFile: join(path, 'print.log') }
}

export async function writeLease({ path, built }: LeaseFolder, lease: Lease): Promise<void> {
  try {
    await mkdir(join(built, '.lock'), { recursive: true })
    await writeFileAtomically(join(path, 'lease.json'), oneChunk(encodeLease(lease)))
  } catch (cause) {
    throw systemError(cause, path)
  }
}

export function dropFolder({ path }: Pick<LeaseFolder, 'path'>): void {
  rmSync(path, { recursive: true, force: true })
}

/** Leases that a run before has left; what says none, or is of a slot that there is no more, goes. */
export function foundLeases(work: string, slots: number): readonly { readonly lease: Lease; readonly slot: number }[] {
  const found: { lease: Lease; slot: number }[] = []
  for (const name of readdirSync(work)) {
    const slot = Number(/^[0-9]+\.([1-9][0-9]*)$/.exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(slot)) continue
    const lease = readLease(join(work, name))
    if (lease === undefined || slot > slots || found.some((one) => one.slot === slot)) dropFolder({ path: join(work, name) })
    else found.push({ lease, slot })
  }
  return found
}

function readLease(folder: string): Lease | undefined {
  try {
    return decodeLease(new Uint8Array(readFileSync(join(folder, 'lease.json'))))
  } catch (cause) {
    const error = systemError(cause, folder)
    if (isBinderyError(error, 'not-found') || isBinderyError(error, 'bad-format')) return undefined
    throw error
  }
}

/** Added to by a run that goes on with a lease. */
export type PrintLog = GrowingLog & {
  write(bytes: Uint8Array): void
  readonly failed: AbortSignal
  close(): void
}

export function openPrintLog(file: string): PrintLog {
  const handle = opened(file)
  return {
    ...logTo(handle, file, statSync(file).size),
    read: async (start, end) => {
      const bytes = new Uint8Array(end - start)
      const count = readSync(handle, bytes, 0, bytes.length, start)
      if (count === bytes.length) return bytes
      throw new BinderyError('io', 'became shorter while it was read', { subject: file })
    },
    close: () => closeSync(handle),
  }
}

function opened(file: string): number {
  try {
    return openSync(file, 'a+')
  } catch (cause) {
    throw systemError(cause, file)
  }
}
