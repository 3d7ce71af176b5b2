import { html } from '../html.ts'
import { durationChart } from './duration-chart.ts'
import {
  age,
  buildLink,
  isoTime,
  madeOf,
  pager,
  progressOf,
  section,
  securityMark,
  select,
  spanOf,
  stateOf,
  table,
  where,
} from './parts.ts'
import { updateTable } from './update-table.ts'
import type { BuildState } from '../../port/farm-build.ts'
import type { BuildQuery, BuildRow, BuiltRow, BranchRow, Page, PageQuery, UpdateRow } from '../../port/farm-view.ts'
import type { HtmlValue } from '../html.ts'
import type { PageBody, PageContext } from './frame.ts'
import type { Row } from './parts.ts'

type BuildsInput = {
  readonly query: BuildQuery
  readonly states: readonly BuildState[]
  readonly branches: readonly BranchRow[]
  readonly page: Page<BuildRow>
}

export function buildsPage({ now }: PageContext, { query, states, branches, page }: BuildsInput): PageBody {
  const given = { state: query.state, branch: query.branch, arch: query.arch, before: query.before?.toString() }
  const archs = [...new Set(branches.flatMap((branch) => branch.archs))]
  const main = html`<h1>Builds</h1>
<form class="filter" method="get" action="/builds" role="search" aria-label="Filter">
${select('state', 'State', states, query.state)}
${select(
  'branch',
  'Branch',
  branches.map(({ name }) => name),
  query.branch,
)}
${select('arch', 'Architecture', archs, query.arch)}
<button>Show</button></form>
<div id="list">${table(
    'Builds',
    buildColumns,
    page.rows.map((build) => buildRow(build, now)),
    'There is no such build.',
  )}
${pager('/builds', 'before', given, page.next)}</div>`
  return { title: 'Builds', path: '/builds', live: query.before === undefined, main, feed: '/failures.atom' }
}

const buildColumns = [
  { label: 'Port' },
  { label: 'State' },
  { label: 'Builder', kind: 'wide' as const },
  { label: 'Took', kind: 'wide' as const },
  { label: 'Since', kind: 'num' as const },
]

function buildRow(build: BuildRow, now: number): Row {
  return {
    id: `build-${build.id}`,
    cells: [
      html`${buildLink(build)}${securityMark(build.isSecurity)}<br>${where(build)}`,
      stateOf(build.state),
      html`<span class="where">${build.attempt?.builder ?? ''}</span>`,
      took(build, now),
      age(build.since, now),
    ],
  }
}

function took(build: BuildRow, now: number): HtmlValue {
  if (build.state === 'building') return progressOf(build, now)
  const { attempt } = build
  return attempt?.ended === undefined ? '' : html`<span class="num">${spanOf(attempt.ended - attempt.started)}</span>`
}

export function packagePage({ now }: PageContext, pkgpath: string, query: PageQuery, page: Page<BuiltRow>): PageBody {
  const rows = page.rows.map((build) => ({
    id: `build-${build.id}`,
    cells: [
      html`<a href="/builds/${build.id}">${isoTime(build.since).slice(0, 10)}</a><br>${where(build)}`,
      html`${stateOf(build.state)}${securityMark(build.isSecurity)}`,
      madeOf(build.made),
      took(build, now),
      html`<span class="num">${build.attempt?.number ?? 0}</span>`,
    ],
  }))
  const columns = [
    { label: 'Build' },
    { label: 'State' },
    { label: 'Packages', kind: 'wide' as const },
    { label: 'Took', kind: 'num' as const },
    { label: 'Tries', kind: 'num' as const },
  ]
  const path = `/packages/${pkgpath}`
  const main = html`<h1>${pkgpath}</h1>
${section('time', 'Time to build', durationChart(page.rows))}
${section('history', 'History', html`${table(`Builds of ${pkgpath}`, columns, rows, 'It was never built here.')}${pager(path, 'before', { before: query.before?.toString() }, page.next)}`)}`
  return { title: pkgpath, path, live: query.before === undefined, main }
}

export function updatesPage({ now }: PageContext, query: PageQuery & { readonly security: boolean }, page: Page<UpdateRow>): PageBody {
  const path = query.security ? '/security' : '/updates'
  const title = query.security ? 'Security updates' : 'Updates'
  const lead = query.security
    ? 'Ports whose commits or whose list of CVEs say that they close a hole. They are built first.'
    : 'Ports that changed on a branch, and how far their builds are.'
  const main = html`<h1>${title}</h1><p class="lead">${lead}</p>
<div id="list">${updateTable(page.rows, now)}${pager(path, 'before', { before: query.before?.toString() }, page.next)}</div>`
  return { title, path, live: query.before === undefined, main, feed: `${path}.atom` }
}
