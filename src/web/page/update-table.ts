import { html } from '../html.ts'
import { age, packageLink, securityMark, stateOf, table } from './parts.ts'
import type { UpdateRow } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'

export function updateTable(updates: readonly UpdateRow[], now: number): Html {
  const rows = updates.map((update) => ({
    id: `update-${update.id}`,
    cells: [
      html`${packageLink(update.pkgpath)}${securityMark(update.isSecurity)}<br /><span class="dim">${update.messages[0] ?? ''}</span>`,
      html`<span class="where">${update.branch}</span>`,
      buildStatesOf(update),
      age(update.seen, now),
    ],
  }))
  const columns = [
    { label: 'Port' },
    { label: 'Branch', kind: 'wide' as const },
    { label: 'Builds' },
    { label: 'Seen', kind: 'num' as const },
  ]
  return table('Ports that changed', columns, rows, 'No change was seen yet.')
}

export function buildStatesOf({ builds }: UpdateRow): Html {
  return html`<ul class="states">
    ${builds.map(({ id, arch, state }) => html`<li><a href="/builds/${id}">${arch}</a> ${stateOf(state)}</li>`)}
  </ul>`
}
