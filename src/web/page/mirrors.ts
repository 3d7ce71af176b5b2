import { html } from '../html.ts'
import { age, section, spanOf, stateOf, table, where } from './parts.ts'
import type { Sighting } from '../../port/farm-catalog.ts'
import type { PublicationRow, Page } from '../../port/farm-view.ts'
import type { PageBody, PageContext } from './frame.ts'

export function mirrorsPage({ now }: PageContext, sightings: readonly Sighting[], publications: Page<PublicationRow>): PageBody {
  const rows = sightings.map((one) => ({
    id: `mirror-${one.mirror}-${one.branch}-${one.arch}`,
    cells: [
      html`<span class="url">${one.mirror}</span><br>${where(one)}`,
      html`${stateOf(one.state)} <span class="dim">${mirrorText(one)}</span>`,
      age(one.first, now),
      age(one.last, now),
    ],
  }))
  const columns = [
    { label: 'Mirror' },
    { label: 'State' },
    { label: 'For', kind: 'wide' as const },
    { label: 'Seen', kind: 'num' as const },
  ]
  const published = publications.rows.map((one) => ({
    id: `publication-${one.id}`,
    cells: [where(one), html`<code>${one.digest.slice(0, 12)}</code>`, html`<span class="num">${one.packages}</span>`, age(one.at, now)],
  }))
  const main = html`<h1>Mirrors</h1>
<p class="lead">Judged by what their users see: the date of the index, and whether every file that it names is there.</p>
${section('sightings', 'Seen', table('Mirrors', columns, rows, 'No mirror is watched.'))}
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
  return { title: 'Mirrors', path: '/mirrors', live: true, main, feed: '/published.atom' }
}

const worst: readonly Sighting['state'][] = ['torn', 'failed', 'missing', 'other', 'behind', 'current']

/** Of each mirror, the set that is worst off. */
export function worstSightings(sightings: readonly Sighting[]): readonly Sighting[] {
  const byMirror = new Map<string, Sighting>()
  for (const one of sightings) {
    const known = byMirror.get(one.mirror)
    if (known === undefined || isWorse(one, known)) byMirror.set(one.mirror, one)
  }
  return [...byMirror.values()]
}

function isWorse(a: Sighting, b: Sighting): boolean {
  return a.state === b.state ? (a.lagSeconds ?? 0) > (b.lagSeconds ?? 0) : worst.indexOf(a.state) < worst.indexOf(b.state)
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
