import { collectBytes, hex, latin1 } from '../../base/bytes.ts'
import { isBinderyError } from '../../base/error.ts'
import { decodeLines, encodeLines } from '../../format/lines.ts'
import { readStateFile, statePaths, writeStateFile } from './state.ts'
import type { RelPath } from '../../base/path.ts'
import type { LinesFormat } from '../../format/lines.ts'
import type { Random } from '../../port/ambient.ts'
import type { Disk, DiskReader } from '../../port/disk.ts'

/**
 * By what machines differ when all of them shall not do the same at the same time: `/etc/machine-id` where the system has one,
 * else one that is made once. It is hashed and never leaves the machine; two machines with the same one draw alike, no more.
 */
export async function machineId(disk: Disk, random: Random, access: 'read' | 'write'): Promise<string | undefined> {
  const known = (await idOfSystem(disk)) ?? (await idOfState(disk))
  if (known !== undefined || access === 'read') return known
  const made = hex(random.bytes(16))
  await writeStateFile(disk, statePaths.machineId, encodeLines(format, [{ key: 'id', value: made }]), 0o644)
  return made
}

const systemFile = 'etc/machine-id' as RelPath
const maxBytes = 4096
const format: LinesFormat = { firstLine: 'bindery-machine-id 1', maxBytes, maxLines: 1 }

/** An image has an empty one, or `uninitialized`, until its first start. */
async function idOfSystem(disk: DiskReader): Promise<string | undefined> {
  if ((await disk.lstat(systemFile))?.kind !== 'file') return undefined
  const text = latin1((await collectBytes(disk.read(systemFile), maxBytes)) ?? new Uint8Array(0)).trim()
  return isId(text) ? text : undefined
}

/** A damaged one is made anew: nothing was promised by it. */
async function idOfState(disk: DiskReader): Promise<string | undefined> {
  try {
    const [line] = decodeLines(format, (await readStateFile(disk, statePaths.machineId, maxBytes)) ?? new Uint8Array(0))
    return line !== undefined && isId(line.value) ? line.value : undefined
  } catch (error) {
    if (isBinderyError(error)) return undefined
    throw error
  }
}

function isId(text: string): boolean {
  return /^[0-9a-f]{32}$/i.test(text)
}
