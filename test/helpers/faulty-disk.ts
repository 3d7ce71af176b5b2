import { BinderyError } from '../../src/base/error.ts'
import type { ByteStream } from '../../src/base/bytes.ts'
import type { ErrorCode } from '../../src/base/error.ts'
import type { Disk, DiskWriter } from '../../src/port/disk.ts'

/**
 * What goes wrong, and at which of the changing calls (from 1). `fail`: that one call fails with `code` and changes
 * nothing. `crash`: the machine stops there, `before` the call, `after` it, or `midway` (a file that is being written
 * holds a part; other calls as `before`); every later call of any sort stops, too, until the disk is wrapped anew.
 */
export type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'fail'; readonly at: number; readonly code: ErrorCode }
  | { readonly kind: 'crash'; readonly at: number; readonly when: 'before' | 'midway' | 'after' }

/** Thrown from the moment of a crash on; no BinderyError, so that no code under test can take it for a failure. */
export class Crash extends Error {
  override readonly name = 'Crash'
}

export type FaultyDisk = {
  readonly disk: Disk
  /** Names of the changing calls so far, with their first path: the length of a run without faults is the number of faults to try. */
  readonly calls: readonly string[]
}

const writers = [
  'create',
  'append',
  'truncate',
  'clone',
  'mkdir',
  'symlink',
  'link',
  'mknod',
  'rename',
  'unlink',
  'rmdir',
  'chmod',
  'chown',
  'setTimes',
  'setXattrs',
  'setFlags',
  'sync',
] as const satisfies readonly (keyof DiskWriter)[]

export function faultyDisk(inner: Disk, fault: Fault): FaultyDisk {
  const calls: string[] = []
  let crashed = false
  const stop = (): never => {
    crashed = true
    throw new Crash(`crashed at ${calls.length}: ${calls.at(-1) ?? ''}`)
  }
  const changing =
    (name: (typeof writers)[number]) =>
    async (...args: readonly unknown[]): Promise<unknown> => {
      if (crashed) stop()
      calls.push(`${name} ${name === 'setTimes' ? '' : firstPath(args[0])}`.trimEnd())
      const call = inner[name] as (...args: readonly unknown[]) => Promise<unknown>
      if (fault.kind === 'none' || calls.length !== fault.at) return await call(...args)
      if (fault.kind === 'fail') throw new BinderyError(fault.code, 'a fault of the test', { subject: firstPath(args[0]) })
      if (fault.when === 'after') await call(...args)
      if (fault.when === 'midway' && (name === 'create' || name === 'append'))
        await inner.append(args[0] as never, half(args[1] as ByteStream))
      return stop()
    }
  const reading =
    (name: keyof Disk) =>
    (...args: readonly unknown[]): unknown =>
      crashed ? stop() : (inner[name] as (...args: readonly unknown[]) => unknown)(...args)
  const names = Object.keys(inner) as (keyof Disk)[]
  const wrapped = names.map((name) => [
    name,
    (writers as readonly string[]).includes(name) ? changing(name as (typeof writers)[number]) : reading(name),
  ])
  return { disk: Object.fromEntries(wrapped) as Disk, calls }
}

function firstPath(arg: unknown): string {
  return typeof arg === 'string' ? arg : ((arg as Parameters<DiskWriter['setTimes']>[0])[0]?.path ?? '.')
}

/** The first half of the first chunk. */
async function* half(content: ByteStream): ByteStream {
  for await (const chunk of content) {
    yield chunk.subarray(0, chunk.length >> 1)
    return
  }
}
