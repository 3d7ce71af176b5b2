import { html } from '../html.ts'
import { age, packageLink, securityMark, stateOf, table } from './parts.ts'
import type { BuildState } from '../../port/farm-build.ts'
import type { UpdateRow } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'

export function updateTable(updates: readonly UpdateRow[], now: number): Html {
  const rows = updates.map((update) => ({
    id: `update-${update.id}`,
    cells: [
      html`${packageLink(update.pkgpath)}${securityMark(update.isSecurity && update.cves.length === 0)} <span class="where">${update.branch}</span><br>${update.cves.map((cve) => html`<span class="mark">${cve}</span> `)}<span class="dim">${update.messages.join('; ')}</span>`,
      buildStatesOf(update),
      age(update.seen, now),
    ],
  }))
  const columns = [{ label: 'Port' }, { label: 'Builds' }, { label: 'Seen', kind: 'num' as const }]
  return table('Ports that changed', columns, rows, 'No change was seen yet.')
}

/** Architectures by the state that they are in. */
function buildStatesOf({ builds }: UpdateRow): Html {
  const states = [...new Set(builds.map(({ state }) => state))]
  const archs = (state: BuildState): readonly Html[] =>
    builds.filter((build) => build.state === state).map(({ id, arch }) => html` <a class="where" href="/builds/${id}">${arch}</a>`)
  return html`<ul class="states">${states.map((state) => html`<li>${stateOf(state)}${archs(state)}</li>`)}</ul>`
}
