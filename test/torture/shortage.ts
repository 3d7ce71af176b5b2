import { join } from 'node:path'
import { installWith, makeSpaceSite } from './space.ts'
import { tryPoints } from './machines.ts'
import type { Options, Row } from './machines.ts'
import type { Room, SpaceSite } from './space.ts'

/** Installs at every hundredth of the room that they need, from none to a twentieth more than enough; then at few inodes. */
export async function tortureSpace(options: Options): Promise<readonly Row[]> {
  if (options.only?.includes('install') === false) return []
  const site = await makeSpaceSite(join(options.work, 'space'))
  const needs: Room[] = []
  const share = (i: number): Partial<Room> => ({ bytes: Math.round((site.peak.bytes * i) / 100) })
  const rows = [
    await tryPoints(options, 'install, per cent of the room that it takes', pointsOf(options, site, 106, share, needs)),
    await tryPoints(
      options,
      'install, inodes left',
      pointsOf(options, site, site.peak.inodes + 10, (inodes) => ({ inodes }), needs),
    ),
  ]
  return [...rows, needRow(options, site, needs)]
}

function pointsOf(
  options: Options,
  site: SpaceSite,
  count: number,
  roomAt: (i: number) => Partial<Room>,
  needs: Partial<Room>[],
): Parameters<typeof tryPoints>[2] {
  return Array.from({ length: count }, (_, i) => ({
    name: String(i),
    faults: async () => {
      const { isDone, faults, need } = await installWith(site, roomAt(i))
      needs.push(need)
      if (isDone && i < count - 11) options.tell(`    done with ${i}`)
      return faults
    },
  }))
}

/** What is printed as needed is what was taken, or at most a twentieth more or less. */
function needRow({ tell }: Options, { peak }: SpaceSite, needs: readonly Partial<Room>[]): Row {
  const ratios = needs.flatMap(({ bytes, inodes }) => [
    ...(bytes === undefined ? [] : [bytes / peak.bytes]),
    ...(inodes === undefined ? [] : [inodes / peak.inodes]),
  ])
  const bad = ratios.filter((ratio) => Math.abs(ratio - 1) > 0.05).length
  tell(
    `printed need: ${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)} of ${peak.bytes} bytes and ${peak.inodes} inodes taken`,
  )
  return { what: 'install, the printed need beside what it takes', points: needs.length, tried: ratios.length, bad, minutes: 0 }
}
