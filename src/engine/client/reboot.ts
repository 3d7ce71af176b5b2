import { toldOf } from '../../base/error.ts'
import { strongestReboot } from '../../format/update.ts'
import { decodeReboot, encodeReboot, maxRebootBytes } from '../../format/reboot-state.ts'
import { readStateFile, statePaths, writeStateFile } from './state.ts'
import type { Journal } from '../../format/journal.ts'
import type { RebootClass } from '../../format/update.ts'
import type { RebootNeed } from '../../format/reboot-state.ts'
import type { Boot } from '../../port/boot.ts'
import type { Disk, DiskReader } from '../../port/disk.ts'

/** For which channels the machine should start again: what `list` and `check` show until it has. */
export async function pendingReboots(disk: DiskReader, boot: Boot): Promise<readonly RebootNeed[]> {
  const needs = await readNeeds(disk)
  const now = needs.length === 0 ? undefined : await boot.id()
  return needs.filter((need) => need.boot === now && need.old !== need.new)
}

async function readNeeds(disk: DiskReader): Promise<readonly RebootNeed[]> {
  const bytes = await readStateFile(disk, statePaths.reboot, maxRebootBytes)
  try {
    return bytes === undefined ? [] : decodeReboot(bytes)
  } catch (error) {
    throw toldOf(error, `/${statePaths.reboot}`, 'damaged: remove it; what waits for a reboot is then not shown')
  }
}

/**
 * What a transaction changes about that. The machine runs what was installed when it started: going back to that ends the need,
 * going back after it has started with the new release makes one. Done twice it is done once.
 */
export async function recordReboot(disk: Disk, { releases, reboot }: Journal, boot: string): Promise<void> {
  const needs = await readNeeds(disk)
  const next = new Map(needs.map((need) => [need.role, need]))
  for (const { role, old, new: installed } of releases) {
    const kind = reboot.find((one) => one.role === role)?.class ?? 'none'
    const known = next.get(role)
    const isOfThisStart = known?.boot === boot
    if (isOfThisStart) next.set(role, { ...known, new: installed, class: strongest(known.class, kind) })
    else if (kind === 'reboot' || kind === 'careful') next.set(role, { role, old, new: installed, class: kind, boot })
  }
  const after = encodeReboot([...next.values()])
  if (Buffer.compare(after, encodeReboot(needs)) !== 0) await writeStateFile(disk, statePaths.reboot, after, 0o644)
}

function strongest(known: RebootNeed['class'], more: RebootClass): RebootNeed['class'] {
  return strongestReboot([known, more]) === 'careful' ? 'careful' : 'reboot'
}
