import { channelRole, formatChannel, formatDistName } from '../../../base/name.ts'
import { showSize } from '../../../base/show-size.ts'
import { showText } from '../../../base/show-text.ts'
import { neededList } from './obsolete.ts'
import { prospectsOf } from './prospects.ts'
import { newestOf, routeOf, seemsToHaveBase } from './offer.ts'
import { strongestReboot } from '../../../format/update.ts'
import type { RebootClass } from '../../../format/update.ts'
import type { RebootNeed } from '../../../format/reboot-state.ts'
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
  /** What is installed already and waits for a reboot: the class of that. */
  readonly pendingReboot: Extract<RebootClass, 'none' | 'reboot' | 'careful'>
  /** What the updates are called, and where more is said about them. */
  readonly about: readonly { readonly title?: string; readonly url?: string }[]
  readonly notices: readonly string[]
  readonly held: boolean
  /** Of the installed release, as the channel says it now. */
  readonly endOfLife?: string
  readonly withdrawn?: true
  /** Why the newest release is not installed: what it needs of another channel, and what is there instead. */
  readonly waits?: string
}

export async function findingOf({ disk }: Session, offer: Offer, pending: readonly RebootNeed[]): Promise<Finding> {
  const { enrolled, installed, updates } = offer
  const newest = newestOf(offer)?.value
  const route = routeOf(offer, await seemsToHaveBase(disk, enrolled.channel, installed))
  const list = newest === undefined ? undefined : await neededList({ disk }, offer, newest)
  const { endOfLife, withdrawn } = await prospectsOf(disk, offer)
  const records = updates.map((update) => update.value)
  return {
    channel: formatChannel(enrolled.channel),
    installed: formatDistName(installed.name),
    newest: formatDistName(newest?.release.name ?? installed.name),
    releases: updates.length,
    ...(newest === undefined ? { route: 'current' as const, steps: 0, bytes: 0 } : wayOf(route, list?.size ?? 0)),
    security: records.some((update) => update.security),
    reboot: strongestReboot(records.map((update) => update.reboot)),
    pendingReboot: pending.find(({ role }) => role === channelRole(enrolled.channel))?.class ?? 'none',
    about: records.flatMap(({ title, url }) =>
      title === undefined && url === undefined
        ? []
        : [{ ...(title === undefined ? {} : { title }), ...(url === undefined ? {} : { url }) }],
    ),
    notices: records.flatMap((update) => update.notices),
    held: offer.isHeld,
    ...(endOfLife === undefined ? {} : { endOfLife }),
    ...(withdrawn === undefined ? {} : { withdrawn }),
  }
}

function wayOf(route: Route, listSize: number): Pick<Finding, 'route' | 'steps' | 'bytes'> {
  if (route.kind === 'none') return { route: 'none', steps: 0, bytes: 0 }
  return { route: route.kind, steps: route.kind === 'deltas' ? route.steps.length : 0, bytes: route.bytes + listSize }
}

const rebootRemarks = { none: '', restart: 'restart of services', reboot: 'reboot', careful: 'reboot with care' } as const

/** `base/amd64: OLD -> NEW, 61 kB in 1 delta, security, reboot`, then the notices, indented. */
export function describeFinding(finding: Finding): readonly string[] {
  const remarks = [
    describeWay(finding),
    ...(finding.releases > 1 ? [`${finding.releases} releases`] : []),
    ...(finding.security ? ['security'] : []),
    ...(finding.reboot === 'none' ? [] : [rebootRemarks[finding.reboot]]),
    ...(finding.held ? ['held'] : []),
  ]
  const about = finding.about.map(({ title, url }) => [title, url].filter((text) => text !== undefined).join(', '))
  const notices = [...about, ...finding.notices].flatMap((notice) => notice.trimEnd().split('\n'))
  return [
    `${finding.channel}: ${finding.installed} -> ${finding.newest}, ${remarks.join(', ')}`,
    ...(finding.waits === undefined ? [] : [`  waits: ${finding.waits}`]),
    ...notices.map((line) => `  ${showText(line)}`),
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
