import { html } from '../html.ts'
import { age, pager, section, select, spanOf, stateOf, table, where } from './parts.ts'
import type { Sighting } from '../../port/farm-catalog.ts'
import type { PublicationRow, Page } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'
import type { PageBody, PageContext } from './frame.ts'

/** What is asked for of the list of mirrors; `from` counts rows, the worst first. */
export type MirrorQuery = { readonly mirror?: string | undefined; readonly state?: string | undefined; readonly from?: number | undefined }

type MirrorsInput = {
  readonly query: MirrorQuery
  readonly sightings: readonly Sighting[]
  readonly publications: Page<PublicationRow>
}

export function mirrorsPage({ now }: PageContext, { query, sightings, publications }: MirrorsInput): PageBody {
  const published = publications.rows.map((one) => ({
    id: `publication-${one.id}`,
    cells: [where(one), html`<code>${one.digest.slice(0, 12)}</code>`, html`<span class="num">${one.packages}</span>`, age(one.at, now)],
  }))
  const main = html`<h1>Mirrors</h1>
<p class="lead">Judged by what their users see: the date of the index, and whether every file that it names is there.</p>
${section('sightings', 'Seen', seen(sightings, query, now))}
${section(
  'published',
  'Published',
  table(
    'Publications',
    [{ label: 'Set' }, { label: 'SHA256.sig', kind: 'wide' }, { label: 'Packages', kind: 'num' }, { label: 'Age', kind: 'num' }],
    published,
    'Nothing was published yet.',
  ),
)}`
  return { title: 'Mirrors', path: '/mirrors', live: query.from === undefined, main, feed: '/published.atom' }
}

const rowsOfPage = 100

function seen(sightings: readonly Sighting[], query: MirrorQuery, now: number): Html {
  const { mirror, state, from = 0 } = query
  const asked = sightings.filter((one) => (mirror ?? one.mirror) === one.mirror && (state ?? one.state) === one.state)
  const shown = asked.toSorted(byTrouble).slice(from, from + rowsOfPage)
  const next = from + rowsOfPage < asked.length ? from + rowsOfPage : undefined
  const given = { mirror, state, from: query.from?.toString() }
  return html`${sightings.length > rowsOfPage && filter(sightings, query)}
${table(
  'Mirrors',
  [{ label: 'Mirror' }, { label: 'State' }, { label: 'For', kind: 'wide' }, { label: 'Seen', kind: 'num' }],
  shown.map((one) => ({
    id: `mirror-${one.mirror}-${one.branch}-${one.arch}`,
    cells: [
      html`<span class="url">${one.mirror}</span><br>${where(one)}`,
      html`${stateOf(one.state)} <span class="dim">${mirrorText(one)}</span>`,
      age(one.first, now),
      age(one.last, now),
    ],
  })),
  sightings.length === 0 ? 'No mirror is watched.' : 'There is no such mirror.',
)}
${pager('/mirrors', 'from', given, next)}`
}

/** Where there are more than fit a page; how many are in each state, above all. */
function filter(sightings: readonly Sighting[], { mirror, state }: MirrorQuery): Html {
  const counts = worst.map((name) => [name, sightings.filter((one) => one.state === name).length] as const).filter(([, count]) => count > 0)
  return html`<p class="dim">${counts.map(([name, count], i) => html`${i > 0 && ', '}${count} ${name}`)}</p>
<form class="filter" method="get" action="/mirrors" role="search" aria-label="Filter">
${select(
  'state',
  'State',
  counts.map(([name]) => name),
  state,
)}
<label>Mirror <input name="mirror" value="${mirror ?? ''}"></label>
<button>Show</button></form>`
}

const worst: readonly Sighting['state'][] = ['torn', 'failed', 'missing', 'other', 'behind', 'current']

/** Of each mirror, the set that is worst off; the worst mirrors first. */
export function worstSightings(sightings: readonly Sighting[]): readonly Sighting[] {
  const byMirror = new Map<string, Sighting>()
  for (const one of sightings) {
    const known = byMirror.get(one.mirror)
    if (known === undefined || byTrouble(one, known) < 0) byMirror.set(one.mirror, one)
  }
  return [...byMirror.values()].toSorted(byTrouble)
}

function byTrouble(a: Sighting, b: Sighting): number {
  return worst.indexOf(a.state) - worst.indexOf(b.state) || (b.lagSeconds ?? 0) - (a.lagSeconds ?? 0)
}

export function mirrorText({ state, lagSeconds, files, why }: Sighting): string {
  switch (state) {
    case 'current':
      return ''
    case 'missing':
      return 'has no index.txt'
    case 'failed':
      return why
    case 'other':
      return 'another index of the same time'
    case 'behind':
      return `by ${spanOf((lagSeconds ?? 0) * 1000)}`
    case 'torn': {
      const more = files.length > 1 ? ` and ${files.length - 1} more` : ''
      return `${files[0] ?? 'a file'}${more} ${files.length > 1 ? 'are' : 'is'} not what the index says`
    }
  }
}
