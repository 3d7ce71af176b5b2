import { html } from '../html.ts'
import { lostAfterMs } from './builders.ts'
import { mirrorText, worstSightings } from './mirrors.ts'
import { action, age, buildLink, progressOf, section, securityMark, stateOf, table, telling, where, whyOf } from './parts.ts'
import { updateTable } from './update-table.ts'
import type { BuildState } from '../../port/farm-build.ts'
import type { BuildRow, Overview } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'
import type { PageBody, PageContext } from './frame.ts'

/** One look: what wants a person, what builds, what failed, and how far everything else is. */
export function overviewPage(context: PageContext, overview: Overview): PageBody {
  const { now, site } = context
  const main = html`<h1 class="unseen">Overview</h1>
${pipelineStrip(overview)}
${needsYou(overview, now)}
<div class="columns"><div>
${building(overview, now)}
${failures(overview, now)}
${newUpdates(overview, now)}
</div><div>
${queue(overview, now)}
${handovers(overview, now)}
${publications(overview, now)}
${mirrors(overview, now)}
${branches(context, overview)}
</div></div>`
  return { title: site.title, path: '/', live: true, main, feed: '/published.atom' }
}

const strip: readonly { readonly state: BuildState; readonly label: string }[] = [
  { state: 'waiting', label: 'waiting' },
  { state: 'building', label: 'building' },
  { state: 'built', label: 'built' },
  { state: 'handed-over', label: 'at the signer' },
  { state: 'signed', label: 'signed' },
]

const broken: readonly { readonly state: BuildState; readonly label: string }[] = [
  { state: 'failed', label: 'failed' },
  { state: 'quarantined', label: 'quarantined' },
]

function pipelineStrip(overview: Overview): Html {
  const item = ({ state, label }: { readonly state: BuildState; readonly label: string }, count: number): Html =>
    html`<li class="s-${state}${count === 0 && ' zero'}"><a href="/builds?state=${state}"><b>${count}</b> ${label}</a></li>`
  return html`<ol id="strip" class="strip" aria-label="Builds by state">${strip.map((one) => item(one, countOf(overview, one.state)))}${item(
    { state: 'published', label: 'published today' },
    overview.publishedToday,
  )}${broken.map((one) => item(one, countOf(overview, one.state)))}</ol>`
}

function countOf({ counts }: Overview, state: BuildState): number {
  return counts.reduce((sum, one) => sum + (one.state === state ? one.count : 0), 0)
}

function needsYou(overview: Overview, now: number): Html {
  const wants = [
    ...signaturesDue(overview, now),
    ...brokenBuilds(overview),
    ...unreadSources(overview, now),
    ...sleepingBuilders(overview, now),
    ...missingBuilders(overview),
    ...mirrorTroubles(overview),
    ...pauses(overview),
  ]
  const content =
    wants.length === 0
      ? html`<p class="calm">Nothing waits for a person.</p>`
      : html`<ul>${wants.map((want) => html`<li>${want}</li>`)}</ul>`
  return html`<section id="needs" class="needs${wants.length === 0 && ' none'}" aria-label="What waits for a person">${content}</section>`
}

function signaturesDue({ handovers }: Overview, now: number): Html[] {
  const due = handovers.filter(({ state }) => state === 'requested')
  const oldest = due.reduce<number | undefined>((least, { made }) => (least === undefined || made < least ? made : least), undefined)
  if (oldest === undefined) return []
  const many = due.length === 1 ? 'A request waits' : `${due.length} requests wait`
  return [html`<a href="#handovers">${many} for a signature</a>, the oldest for ${age(oldest, now)}.`]
}

function brokenBuilds(overview: Overview): Html[] {
  const count = countOf(overview, 'quarantined')
  if (count === 0) return []
  return [
    html`<a href="/builds?state=quarantined">${count === 1 ? '1 build is' : `${count} builds are`} quarantined</a>: failed too often to be tried again.`,
  ]
}

function unreadSources({ branches }: Overview, now: number): Html[] {
  return branches.flatMap(({ name, failure }) =>
    failure === undefined
      ? []
      : [html`<a href="#branches">The sources of ${name}</a> cannot be read, for ${age(failure.since, now)} by now: ${failure.why}`],
  )
}

function sleepingBuilders({ builders }: Overview, now: number): Html[] {
  const lost = builders.filter(({ paused, seen }) => !paused && seen !== undefined && now - seen > lostAfterMs)
  const held = builders.filter(({ quarantined }) => quarantined)
  return [
    ...lost.map(({ name, seen }) => html`<a href="/builders">Builder ${name}</a> was last heard of ${age(seen ?? now, now)} ago.`),
    ...held.map(({ name }) => html`<a href="/builders">Builder ${name}</a> is quarantined.`),
  ]
}

function missingBuilders({ counts, builders }: Overview): Html[] {
  const able = new Set(builders.filter(({ paused, quarantined }) => !paused && !quarantined).map(({ arch }) => arch))
  const archs = new Set(counts.filter(({ state, arch }) => state === 'waiting' && !able.has(arch)).map(({ arch }) => arch))
  return [...archs].map(
    (arch) =>
      html`<a href="/builds?state=waiting&amp;arch=${encodeURIComponent(arch)}">Builds for ${arch}</a> wait, and no builder of it is ready.`,
  )
}

/** A network that is away takes hundreds of mirrors with it, and must not hide what else there is. */
const mostTroubles = 3

function mirrorTroubles({ sightings }: Overview): Html[] {
  const troubled = worstSightings(sightings).filter(({ state }) => state !== 'current' && state !== 'behind')
  const more = troubled.length - mostTroubles
  return [
    ...troubled.slice(0, mostTroubles).map((one) => html`<a href="/mirrors">Mirror ${one.mirror}</a>: ${mirrorText(one)}.`),
    ...(more > 0 ? [html`<a href="/mirrors">${more} more mirrors</a> have troubles.`] : []),
  ]
}

function pauses({ branches }: Overview): Html[] {
  return branches.filter(({ paused }) => paused).map(({ name }) => html`Branch ${name} is paused.`)
}

function building({ building, builders }: Overview, now: number): Html {
  const rows = building.map((build) => ({
    id: `building-${build.id}`,
    cells: [
      html`${buildLink(build)}${securityMark(build.isSecurity)}<br>${where(build)}`,
      html`<span class="where">${build.attempt?.builder ?? ''}</span>`,
      progressOf(build, now),
    ],
  }))
  const columns = [{ label: 'Port' }, { label: 'Builder', kind: 'wide' as const }, { label: 'Time' }]
  const ready = builders.filter(({ paused, quarantined }) => !paused && !quarantined).length
  return section(
    'building',
    'Building',
    table('Builds that run', columns, rows, 'Nothing is being built.'),
    `${ready} builders at work or ready`,
  )
}

function failures({ failures }: Overview, now: number): Html {
  const list = failures.map(
    (build) =>
      html`<li id="failure-${build.id}"><p>${stateOf(build.state)} ${buildLink(build)}${securityMark(build.isSecurity)} ${where(build)}
<span class="dim">${age(build.since, now)} ago, ${whyOf(build.attempt)}${againText(build, now)}</span></p>${telling(build.attempt?.lines ?? [])}</li>`,
  )
  const content = list.length === 0 ? html`<p class="none">Nothing has failed.</p>` : html`<ul class="failures">${list}</ul>`
  return section('failures', 'Failures', content, html`<a href="/failures.atom">Atom</a>`)
}

function againText({ state, notBefore }: BuildRow, now: number): string {
  if (state !== 'failed' || notBefore === undefined) return ''
  return notBefore <= now ? ', tried again now' : `, tried again in ${Math.ceil((notBefore - now) / 60_000)} min`
}

function newUpdates({ updates }: Overview, now: number): Html {
  return section('updates', 'New', updateTable(updates, now), html`<a href="/updates">all</a>`)
}

function queue({ queue, oldestWaiting }: Overview, now: number): Html {
  const rows = queue.map((build) => ({
    id: `queue-${build.id}`,
    cells: [html`${buildLink(build)}${securityMark(build.isSecurity)}`, where(build), age(build.since, now)],
  }))
  const aside = oldestWaiting === undefined ? undefined : html`the oldest for ${age(oldestWaiting, now)}`
  const columns = [{ label: 'Port' }, { label: 'For' }, { label: 'Since', kind: 'num' as const }]
  return section('queue', 'Next', table('Builds that wait', columns, rows, 'The queue is empty.'), aside)
}

function handovers({ handovers }: Overview, now: number): Html {
  const rows = handovers.map((one) => ({
    id: `handover-${one.id}`,
    cells: [
      html`${where(one)}<br><span class="dim">${one.packages.length} packages, request <code>${one.digest.slice(0, 12)}</code></span>`,
      one.state === 'requested' ? 'waits for the signer' : one.state,
      age(one.signed ?? one.made, now),
    ],
  }))
  const columns = [{ label: 'Set' }, { label: 'State' }, { label: 'Since', kind: 'num' as const }]
  return section('handovers', 'To be signed', table('Requests', columns, rows, 'No signature is due.'))
}

function publications({ publications }: Overview, now: number): Html {
  const rows = publications.map((one) => ({
    id: `publication-${one.id}`,
    cells: [where(one), html`<span class="num">${one.packages}</span>`, age(one.at, now)],
  }))
  const columns = [{ label: 'Set' }, { label: 'Packages', kind: 'num' as const }, { label: 'Age', kind: 'num' as const }]
  return section(
    'published',
    'Published',
    table('What users get', columns, rows, 'Nothing was published yet.'),
    html`<a href="/published.atom">Atom</a>`,
  )
}

const mostMirrors = 10

function mirrors({ sightings }: Overview, now: number): Html {
  const all = worstSightings(sightings)
  const rows = all.slice(0, mostMirrors).map((one) => ({
    id: `mirror-${one.mirror}`,
    cells: [
      html`<span class="url">${one.mirror}</span>`,
      html`${stateOf(one.state)} <span class="dim">${mirrorText(one)}</span>`,
      age(one.last, now),
    ],
  }))
  const columns = [{ label: 'Mirror' }, { label: 'State' }, { label: 'Seen', kind: 'num' as const }]
  return section(
    'mirrors',
    'Mirrors',
    table('Mirrors', columns, rows, 'No mirror is watched.'),
    html`<a href="/mirrors">${all.length > mostMirrors ? `all ${all.length}` : 'all'}</a>`,
  )
}

function branches(context: PageContext, { branches }: Overview): Html {
  const rows = branches.map(({ name, release, archs, paused, failure }) => {
    const path = `/branches/${encodeURIComponent(name)}`
    const button = paused ? action(context, `${path}/resume`, 'Resume', name) : action(context, `${path}/pause`, 'Pause', name)
    return {
      id: `branch-${name}`,
      cells: [
        html`<b>${name}</b> <span class="dim">release ${release}</span>`,
        html`<span class="where">${archs.join(' ')}</span>`,
        html`${failure !== undefined && stateOf('unread')}${paused && stateOf('paused')}${button}`,
      ],
    }
  })
  return section(
    'branches',
    'Branches',
    table('Branches', [{ label: 'Branch' }, { label: 'For' }, { label: 'State', kind: 'num' }], rows, 'farm.toml has none.'),
  )
}
