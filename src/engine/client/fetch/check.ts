import { formatChannel, formatDistName } from '../../../base/name.ts'
import { showSize } from '../../../base/show-size.ts'
import { neededList } from './obsolete.ts'
import { newestOf, routeOf, seemsToHaveBase } from './offer.ts'
import type { RebootClass, Update } from '../../../format/update.ts'
import type { Route } from '../../update/route.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

/** What `check` tells of a channel. */
export type Finding = {
  readonly channel: string
  readonly installed: string
  /** The same as `installed` when there is nothing newer. */
  readonly newest: string
  /** How many releases lie between. */
  readonly releases: number
  readonly route: 'current' | 'deltas' | 'full' | 'none'
  readonly steps: number
  /** Over the network, manifest included; without what `--basis installed` fetches of modified files. */
  readonly bytes: number
  readonly security: boolean
  readonly reboot: RebootClass
  readonly notices: readonly string[]
  readonly held: boolean
}

export async function findingOf({ disk }: Session, offer: Offer): Promise<Finding> {
  const { enrolled, installed, updates } = offer
  const newest = newestOf(offer)?.value
  const route = routeOf(offer, await seemsToHaveBase(disk, enrolled.channel, installed))
  const list = newest === undefined ? undefined : await neededList({ disk }, offer, newest)
  const records = updates.map((update) => update.value)
  return {
    channel: formatChannel(enrolled.channel),
    installed: formatDistName(installed.name),
    newest: formatDistName(newest?.release.name ?? installed.name),
    releases: updates.length,
    ...(newest === undefined ? { route: 'current' as const, steps: 0, bytes: 0 } : wayOf(route, list?.size ?? 0)),
    security: records.some((update) => update.security),
    reboot: strongest(records),
    notices: records.flatMap((update) => update.notices),
    held: offer.isHeld,
  }
}

function wayOf(route: Route, listSize: number): Pick<Finding, 'route' | 'steps' | 'bytes'> {
  if (route.kind === 'none') return { route: 'none', steps: 0, bytes: 0 }
  return { route: route.kind, steps: route.kind === 'deltas' ? route.steps.length : 0, bytes: route.bytes + listSize }
}

function strongest(updates: readonly Update[]): RebootClass {
  const classes: readonly RebootClass[] = ['required', 'advised', 'none']
  return classes.find((one) => updates.some(({ reboot }) => reboot === one)) ?? 'none'
}

/** `base/amd64: OLD -> NEW, 61 kB in 1 delta, security, reboot required`, then the notices, indented. */
export function describeFinding(finding: Finding): readonly string[] {
  const remarks = [
    describeWay(finding),
    ...(finding.releases > 1 ? [`${finding.releases} releases`] : []),
    ...(finding.security ? ['security'] : []),
    ...(finding.reboot === 'none' ? [] : [`reboot ${finding.reboot}`]),
    ...(finding.held ? ['held'] : []),
  ]
  const notices = finding.notices.flatMap((notice) => notice.trimEnd().split('\n'))
  return [
    `${finding.channel}: ${finding.installed} -> ${finding.newest}, ${remarks.join(', ')}`,
    ...notices.map((line) => `  ${printable(line)}`),
  ]
}

function describeWay({ route, steps, bytes }: Finding): string {
  switch (route) {
    case 'deltas':
      return `${showSize(bytes)} in ${steps === 1 ? '1 delta' : `${steps} deltas`}`
    case 'full':
      return `${showSize(bytes)} as a whole`
    case 'none':
      return 'no way to it'
    case 'current':
      return 'up to date'
  }
}

/** A signed text still has no business with the terminal's control codes. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?')
}
