import { showSize } from '../../base/show-size.ts'
import { html } from '../html.ts'
import { deltaGraph } from './delta-graph.ts'
import { isoTime, section, securityMark, size, table } from './parts.ts'
import type { ChannelAccount, ReleaseAccount } from '../../engine/repo/channel-account.ts'
import type { Html } from '../html.ts'
import type { PageBody } from './frame.ts'

export function releasesPage(channels: readonly ChannelAccount[]): PageBody {
  const main = html`<h1>Releases</h1>
<p class="lead">From the signed metadata of the repository. A step is the cheapest way from the release before.</p>
${channels.length === 0 ? html`<p class="none">No channel has begun.</p>` : channels.map(channelSection)}`
  return { title: 'Releases', path: '/releases', live: false, main }
}

function channelSection(account: ChannelAccount): Html {
  const { channel, releases, expires } = account
  const columns = [
    { label: 'Release' },
    { label: 'Whole', kind: 'num' as const },
    { label: 'Step', kind: 'num' as const },
    { label: 'Saved', kind: 'num' as const },
    { label: 'Deltas from', kind: 'wide' as const },
  ]
  const rows = releases.toReversed().map((release) => ({ id: `release-${release.name}`, cells: cellsOf(release) }))
  return section(
    `channel-${channel.replaceAll('/', '-')}`,
    channel,
    html`<p>${savings(releases)}</p>${deltaGraph(account)}${table(`Releases of ${channel}`, columns, rows, 'No release yet.')}`,
    html`metadata good until ${isoTime(expires)}`,
  )
}

function cellsOf({ name, security, full, step, deltas }: ReleaseAccount): readonly (Html | string)[] {
  return [
    html`<code>${name}</code>${securityMark(security)}`,
    size(full),
    step === undefined ? '' : size(step),
    step === undefined ? '' : html`<span class="num">${percentSaved(full, step)}</span>`,
    html`<ul class="plain">${deltas.map(({ from, size: bytes }) => html`<li><code>${from}</code> ${size(bytes)}</li>`)}</ul>`,
  ]
}

function percentSaved(full: number, step: number): string {
  return full === 0 ? '' : `${(100 - (100 * step) / full).toFixed(1)} %`
}

function savings(releases: readonly ReleaseAccount[]): string {
  const steps = releases.filter(({ step }) => step !== undefined)
  if (steps.length === 0) return 'Nobody can have come by deltas yet.'
  const whole = steps.reduce((sum, { full }) => sum + full, 0)
  const taken = steps.reduce((sum, { step }) => sum + (step ?? 0), 0)
  return `A machine that took all ${steps.length} steps has fetched ${showSize(taken)} instead of ${showSize(whole)}: ${percentSaved(whole, taken)} saved.`
}
