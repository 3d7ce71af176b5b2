import { closeSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isBinderyError } from '../base/error.ts'
import { builtKey, decodeBuilt } from '../format/built.ts'
import { portLogs } from '../engine/farm/build/port-logs.ts'
import { tellingLines } from '../engine/farm/build/telling-lines.ts'
import { openLog } from '../host/log-file.ts'
import { systemError } from '../host/system-error.ts'
import type { LogFile } from '../host/log-file.ts'

/** The logs of one batch: all that was printed, and each port's part of it. Those of earlier batches stay, and go by their number. */
export type BatchLogs = {
  /** All that is printed. */
  readonly file: string
  /** Aborted where a log cannot be written. */
  readonly failed: AbortSignal
  add(bytes: Uint8Array): void
  current(): string | undefined
  /** Of a port, below the folder; empty where it printed nothing. */
  of(pkgpath: string): { readonly log: string; readonly lines: readonly string[] }
  close(): void
}

export type LogPlan = { readonly output: string; readonly list: readonly string[]; readonly keptBatches: number }

export function openBatchLogs({ output, list, keptBatches }: LogPlan): BatchLogs {
  const number = newBatch(output, keptBatches)
  const folder = join(output, 'log', String(number))
  const file = join(folder, 'build.log')
  const whole = openLog(file)
  const ports = new Map<string, LogFile>()
  const fileOf = (pkgpath: string): string => join(folder, `${pkgpath}.log`)
  const failed = new AbortController()
  const parts = portLogs(new Set(list), (pkgpath, bytes) => {
    try {
      const log = ports.get(pkgpath) ?? openPort(fileOf(pkgpath))
      ports.set(pkgpath, log)
      log.write(bytes)
    } catch (cause) {
      // Whoever prints cannot be told.
      failed.abort(systemError(cause, fileOf(pkgpath)))
    }
  })
  return {
    file,
    failed: AbortSignal.any([whole.failed, failed.signal]),
    add: (bytes) => {
      whole.write(bytes)
      parts.add(bytes)
    },
    current: parts.current,
    of: (pkgpath) => {
      const isThere = ports.has(pkgpath)
      return { log: isThere ? `log/${number}/${pkgpath}.log` : '', lines: isThere ? tellingLines(endOf(fileOf(pkgpath))) : [] }
    },
    close: () => {
      parts.end()
      for (const log of [whole, ...ports.values()]) log.close()
    },
  }
}

function openPort(file: string): LogFile {
  mkdirSync(dirname(file), { recursive: true })
  return openLog(file)
}

function newBatch(output: string, keptBatches: number): number {
  const folder = join(output, 'log')
  try {
    const number = rotate(output, keptBatches)
    mkdirSync(join(folder, String(number)), { recursive: true })
    return number
  } catch (cause) {
    throw systemError(cause, folder)
  }
}

/** The number of the batch to come. Older ones go, but for those that a package or a failure in the manifest was told by. */
function rotate(output: string, keptBatches: number): number {
  mkdirSync(join(output, 'log'), { recursive: true })
  const numbers = readdirSync(join(output, 'log'))
    .filter((name) => /^[1-9][0-9]{0,8}$/.test(name))
    .map(Number)
    .toSorted((a, b) => b - a)
  const needed = batchesOfManifest(output)
  for (const number of numbers.slice(keptBatches)) {
    if (!needed.has(number)) rmSync(join(output, 'log', String(number)), { recursive: true, force: true })
  }
  return (numbers[0] ?? 0) + 1
}

function batchesOfManifest(output: string): ReadonlySet<number> {
  try {
    const { packages, failed } = decodeBuilt(new Uint8Array(readFileSync(join(output, builtKey))))
    return new Set([...packages, ...failed].map(({ log }) => Number(/^log\/(\d+)\//.exec(log)?.[1] ?? 0)))
  } catch (error) {
    // A damaged manifest is told when it is read for what it says.
    if (isBinderyError(error) || (error instanceof Error && 'code' in error && error.code === 'ENOENT')) return new Set()
    throw error
  }
}

/** What tells stands near the end of even the longest. */
const mostRead = 8 << 20

export function endOf(file: string): string {
  const { size } = statSync(file)
  const handle = openSync(file, 'r')
  try {
    const bytes = new Uint8Array(Math.min(size, mostRead))
    const count = readSync(handle, bytes, 0, bytes.length, size - bytes.length)
    return Buffer.from(bytes.subarray(0, count)).toString('utf8')
  } finally {
    closeSync(handle)
  }
}
