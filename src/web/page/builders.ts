import { html } from '../html.ts'
import { action, age, buildLink, progressOf, stateOf, table } from './parts.ts'
import type { BuilderRow } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'
import type { PageBody, PageContext } from './frame.ts'

/** Builders that say nothing for so long are gone. */
export const lostAfterMs = 300_000

export function buildersPage(context: PageContext, builders: readonly BuilderRow[]): PageBody {
  const { now } = context
  const rows = builders.map((builder) => ({
    id: `builder-${builder.name}`,
    cells: [
      html`<b>${builder.name}</b><br><span class="where">${[builder.arch, ...builder.releases, ...builder.tags].join(' ')}</span>`,
      html`${stateOf(builderState(builder, now))} <span class="dim">${builder.seen === undefined ? 'never seen' : html`seen ${age(builder.seen, now)} ago`}</span>`,
      work(builder, now),
      html`<span class="num">${builder.load === undefined ? '' : builder.load.toFixed(2)}</span>`,
      html`<span class="num">${builder.built} / ${builder.failed}</span>`,
      buttons(context, builder),
    ],
  }))
  const columns = [
    { label: 'Builder' },
    { label: 'State' },
    { label: 'At work on' },
    { label: 'Load', kind: 'wide' as const },
    { label: 'Built / failed today', kind: 'wide' as const },
    { label: 'Actions' },
  ]
  const shown = context.visitor?.csrf === undefined ? columns.slice(0, 5) : columns
  const main = html`<h1>Builders</h1><div id="list">${table(
    'Builders',
    shown,
    rows.map((row) => ({ ...row, cells: row.cells.slice(0, shown.length) })),
    'No builder is known.',
  )}</div>`
  return { title: 'Builders', path: '/builders', live: true, main }
}

function builderState(
  { paused, quarantined, seen, building }: BuilderRow,
  now: number,
): 'quarantined' | 'paused' | 'lost' | 'building' | 'ready' {
  if (quarantined) return 'quarantined'
  if (paused) return 'paused'
  if (seen !== undefined && now - seen > lostAfterMs) return 'lost'
  return building.length > 0 ? 'building' : 'ready'
}

function work({ building, jobs }: BuilderRow, now: number): Html {
  if (building.length === 0) return html`<span class="dim">nothing, ${jobs === 1 ? '1 place' : `${jobs} places`}</span>`
  return html`<ul class="plain">${building.map((build) => html`<li>${buildLink(build)} ${progressOf(build, now)}</li>`)}</ul>`
}

function buttons(context: PageContext, { name, paused, quarantined }: BuilderRow): Html {
  const path = `/builders/${encodeURIComponent(name)}`
  return html`<div class="actions">${paused ? action(context, `${path}/resume`, 'Resume', name) : action(context, `${path}/pause`, 'Pause', name)}${
    quarantined && action(context, `${path}/release`, 'Release', name)
  }</div>`
}
