import { hex } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeReport } from '../../format/report.ts'
import { publicKeyLine } from '../../format/signify.ts'
import { verifyMessageAside } from '../repo/verify-message.ts'
import type { VersionReport } from '../../format/report.ts'

/** What the reports in a folder say of the machines that left them (doc/spec/report.md). */
export type Fleet = {
  /** By name. */
  readonly machines: readonly FleetMachine[]
  /** What is no report, or is not what its machine has signed. */
  readonly refused: readonly RefusedReport[]
}

export type FleetMachine = Pick<VersionReport, 'machine' | 'last' | 'reboot' | 'releases'> & {
  readonly file: string
  readonly keynum: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly remarks: readonly string[]
}

export type RefusedReport = { readonly file: string; readonly why: string }

export type ReportFile = { readonly file: string; readonly bytes: Uint8Array | BinderyError }

type Read = { readonly file: string; readonly key: string; readonly report: VersionReport }

/** Signatures are verified beside the reading. */
export async function readFleet(files: AsyncIterable<ReportFile>, now: number): Promise<Fleet> {
  const reading: Promise<Read | RefusedReport>[] = []
  for await (const file of files) reading.push(readOne(file))
  const all = await Promise.all(reading)
  const reads = all.flatMap((one) => ('report' in one ? [one] : []))
  const refused = all.flatMap((one) => ('report' in one ? [] : [one]))
  return { machines: machinesOf(newestOnly(reads), now), refused }
}

async function readOne({ file, bytes }: ReportFile): Promise<Read | RefusedReport> {
  try {
    if (bytes instanceof BinderyError) throw bytes
    const { report, signed } = decodeReport(bytes)
    await verifyMessageAside(report.key, signed.signature, signed.message)
    return { file, key: publicKeyLine(report.key), report }
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    return { file, why: error.message }
  }
}

/** A machine under one key counts once, however its files are called. */
function newestOnly(reads: readonly Read[]): readonly Read[] {
  const newest = new Map<string, Read>()
  for (const read of reads) {
    const id = `${read.report.machine} ${read.key}`
    const known = newest.get(id)
    if (known === undefined || known.report.time < read.report.time) newest.set(id, read)
  }
  return [...newest.values()]
}

function machinesOf(reads: readonly Read[], now: number): readonly FleetMachine[] {
  const keysOf = counted(reads.map(({ report }) => report.machine))
  const namesOf = counted(reads.map(({ key }) => key))
  return reads
    .map(
      ({
        file,
        key,
        report: {
          machine,
          key: { keynum },
          time,
          last,
          reboot,
          releases,
        },
      }) => {
        const others = { keys: (keysOf.get(machine) ?? 1) - 1, names: (namesOf.get(key) ?? 1) - 1 }
        const at = time * 1000
        return { machine, file, keynum: hex(keynum), at, last, reboot, releases, remarks: remarksOf(others, at > now + hour) }
      },
    )
    .toSorted((a, b) => compare(a.machine, b.machine) || compare(a.keynum, b.keynum))
}

const hour = 3_600_000

function remarksOf({ keys, names }: { readonly keys: number; readonly names: number }, isFuture: boolean): readonly string[] {
  return [
    ...(keys === 0 ? [] : [`${keys + 1} keys report under this name`]),
    ...(names === 0 ? [] : [`its key reports under ${names + 1} names`]),
    ...(isFuture ? ['is of the future'] : []),
  ]
}

function counted(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
