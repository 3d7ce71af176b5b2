import { html } from '../html.ts'
import { age, isoTime, pager, section, table } from './parts.ts'
import type { FarmEvent } from '../../port/farm-catalog.ts'
import type { FleetPage, FleetQuery, Page, PageQuery } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'
import type { PageBody, PageContext } from './frame.ts'

export function fleetPage({ now }: PageContext, query: FleetQuery, fleet: FleetPage): PageBody {
  const rows = fleet.rows.map((one) => ({
    id: `machine-${one.machine}-${one.channel}`,
    cells: [
      html`<b>${one.machine}</b>`,
      html`<span class="where">${one.channel}</span>`,
      html`<code>${one.release}</code>`,
      age(one.at, now),
      html`${one.lastRun}${one.reboot !== 'none' && html` <span class="mark">reboot</span>`}`,
    ],
  }))
  const columns = [
    { label: 'Machine' },
    { label: 'Channel', kind: 'wide' as const },
    { label: 'Release' },
    { label: 'Reported', kind: 'num' as const },
    { label: 'Last run' },
  ]
  const main = html`<h1>Fleet</h1>
<p class="lead">What machines have said of themselves, each signed with the key of that machine.</p>
${section('releases', 'Releases in use', releases(fleet))}
${section('machines', 'Machines', html`${table('Machines', columns, rows, 'No machine has reported.')}${pager('/fleet', 'after', { after: query.after }, fleet.next)}`)}`
  return { title: 'Fleet', path: '/fleet', live: query.after === undefined, main }
}

function releases({ releases }: FleetPage): Html {
  const most = Math.max(1, ...releases.map(({ machines }) => machines))
  const rows = releases.map(({ channel, release, machines }) => ({
    id: `release-${release}`,
    cells: [
      html`<code>${release}</code><br><span class="where">${channel}</span>`,
      html`<meter min="0" max="${most}" value="${machines}" aria-label="${release}"></meter>`,
      html`<span class="num">${machines}</span>`,
    ],
  }))
  return table('Releases', [{ label: 'Release' }, { label: 'Share', kind: 'wide' }, { label: 'Machines', kind: 'num' }], rows, 'None yet.')
}

export function trailPage({ now }: PageContext, query: PageQuery, page: Page<FarmEvent>): PageBody {
  const rows = page.rows.map(({ id, at, actor, kind, subject, what }) => ({
    id: `event-${id}`,
    cells: [html`<b>${actor}</b>`, html`${aboutLink(kind, subject)} ${what}`, html`<span title="${isoTime(at)}">${age(at, now)}</span>`],
  }))
  const main = html`<h1>Trail</h1><p class="lead">Who did what, as far back as the farm keeps it.</p>
<div id="list">${table('Audit trail', [{ label: 'Who' }, { label: 'What' }, { label: 'Ago', kind: 'num' }], rows, 'Nothing has happened yet.')}
${pager('/trail', 'before', { before: query.before?.toString() }, page.next)}</div>`
  return { title: 'Trail', path: '/trail', live: query.before === undefined, main }
}

function aboutLink(kind: string, subject: string): Html {
  if (kind === 'build') return html`<a href="/builds/${encodeURIComponent(subject)}">build ${subject}</a>`
  return html`<span>${kind} ${subject}</span>`
}
