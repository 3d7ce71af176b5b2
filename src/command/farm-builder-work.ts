import { join } from 'node:path'
import { utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { packageKey } from '../engine/farm/build/collect.ts'
import { tellingLines } from '../engine/farm/build/telling-lines.ts'
import { workOn } from '../engine/farm/remote/work.ts'
import { systemWait } from '../host/ambient.ts'
import { loadNow } from '../host/load.ts'
import { openSource } from '../host/source.ts'
import { endOf, openBatchLogs } from './farm-build-logs.ts'
import { readBuildSettings, sourcesEnvironment } from './farm-build-plan.ts'
import { buildInPlace } from './farm-build-run.ts'
import { dropFolder, leaseFolder, openPrintLog, writeLease } from './farm-builder-folder.ts'
import type { Made, WorkEnd } from '../engine/farm/build/lease-work.ts'
import type { Link } from '../engine/farm/remote/link.ts'

import type { Lease } from '../format/farm-work.ts'
import type { Context, Input } from './command.ts'
import type { LeaseFolder, PrintLog } from './farm-builder-folder.ts'

/** One lease on this machine: built by the engine of `farm build`, in a folder of its own. */
export type LeaseWork = {
  readonly context: Context
  /** With the flags of `farm build`. */
  readonly input: Input
  readonly link: Link
  /** Of the builder. */
  readonly work: string
  /** What this machine builds for. */
  readonly arch: string
  readonly lease: Lease
  readonly slot: number
  readonly signal: AbortSignal
}

export async function workOnLease(order: LeaseWork): Promise<WorkEnd> {
  const { work, lease, slot, link, signal } = order
  const folder = leaseFolder(work, lease, slot)
  await writeLease(folder, lease)
  const log = openPrintLog(folder.logFile)
  try {
    return await workOn({
      lease,
      link,
      wait: systemWait,
      build: async (stop) => await buildLease(order, folder, log, stop),
      log,
      openPackage: async (file) => await openSource(join(folder.built, packageKey(file))),
      lastLines: async () => await Promise.resolve(tellingLines(endOf(folder.logFile))),
      load: loadNow,
      signal,
    })
  } finally {
    log.close()
    dropFolder(folder)
  }
}

async function buildLease(order: LeaseWork, folder: LeaseFolder, log: PrintLog, signal: AbortSignal): Promise<Made> {
  const { lease } = order
  if (lease.arch !== order.arch) throw new BinderyError('not-supported', `builds for ${order.arch}, not for ${lease.arch}`)
  const plan = planOf(order, folder)
  const logs = openBatchLogs(plan)
  try {
    const caller = {
      // In the log, beside what the ports print.
      say: (line: string) => log.write(utf8(`bindery: ${line}\n`)),
      explain: (line: string) => log.write(utf8(`bindery: ${line}\n`)),
      passOn: (bytes: Uint8Array) => log.write(bytes),
      signal: AbortSignal.any([signal, log.failed]),
    }
    const { built, files, failed } = await buildInPlace(caller, plan, logs)
    return { packages: built.packages.filter(({ file }) => files.includes(file)), failed }
  } finally {
    logs.close()
  }
}

function planOf({ context, input, lease, slot }: LeaseWork, { built }: LeaseFolder): Parameters<typeof buildInPlace>[1] {
  const settings = readBuildSettings(context, forSlot(input, slot), { arch: lease.arch, output: built })
  const env = { ...sourcesEnvironment(lease.branch, lease.revision), ...settings.batch.env }
  return { ...settings, batch: { ...settings.batch, env }, list: lease.list, release: lease.release, keptBatches: 1 }
}

/** `%j` in a value is the number of the slot: builds at the same time do not share a tree. */
export function forSlot(input: Input, slot: number): Input {
  const filled = (text: string): string => text.replaceAll('%j', String(slot))
  return {
    ...input,
    value: (name) => {
      const given = input.value(name)
      return given === undefined ? undefined : filled(given)
    },
    list: (name) => input.list(name).map(filled),
    required: (name) => filled(input.required(name)),
  }
}
