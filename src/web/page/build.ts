import { fromUtf8Lossy } from '../text.ts'
import { html } from '../html.ts'
import {
  action,
  age,
  isoTime,
  isProduct,
  madeOf,
  packageLink,
  progressOf,
  section,
  securityMark,
  size,
  spanOf,
  stateOf,
  table,
  telling,
} from './parts.ts'
import type { Attempt } from '../../port/farm-build.ts'
import type { BuildDetails, LogPart } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'
import type { PageBody, PageContext } from './frame.ts'

export function buildPage(context: PageContext, build: BuildDetails, log: LogPart | undefined): PageBody {
  const { now } = context
  const main = html`<div id="about"><h1>${packageLink(build.pkgpath)} <small>${build.branch} ${build.arch}</small></h1>
<p class="lead">${stateOf(build.state)}${securityMark(build.isSecurity)} for ${age(build.since, now)}${build.state === 'building' && html` ${progressOf(build, now)}`}</p>
${about(build, now)}
${actions(context, build)}</div>
${section('attempts', 'Tries', attempts(build.attempts, now))}
${section('made', isProduct(build.pkgpath) ? 'Release' : 'Packages', build.made.length === 0 ? expected(build) : madeOf(build.made))}
${log !== undefined && logSection(build, log)}
${section('trail', 'Trail', trail(build))}`
  return { title: `${build.pkgpath} ${build.branch} ${build.arch}`, path: `/builds/${build.id}`, live: true, main }
}

function expected({ pkgpath, packages }: BuildDetails): Html {
  if (isProduct(pkgpath)) return html`<p class="none">Not yet: it is to be <code>${packages.join(' ')}</code>.</p>`
  return html`<p class="none">None yet: ${packages.length} are expected.</p>`
}

function about({ cves, messages, packages, priority, notBefore, state }: BuildDetails, now: number): Html {
  return html`<dl class="about">
${cves.length > 0 && html`<dt>CVEs</dt><dd>${cves.join(', ')}</dd>`}
${messages.length > 0 && html`<dt>Because</dt><dd>${messages.map((message) => html`${message}<br>`)}</dd>`}
<dt>Builds</dt><dd>${packages.map((path) => html`<code>${path}</code> `)}</dd>
<dt>Priority</dt><dd>${priority}</dd>
${state === 'failed' && notBefore !== undefined && html`<dt>Tried again</dt><dd>${notBefore <= now ? 'now' : `in ${spanOf(notBefore - now)}`}</dd>`}
</dl>`
}

function actions(context: PageContext, { id, state, pkgpath }: BuildDetails): Html | undefined {
  const path = `/builds/${id}`
  const buttons = [
    (state === 'failed' || state === 'quarantined' || state === 'cancelled') && action(context, `${path}/retry`, 'Try again', pkgpath),
    state === 'waiting' && action(context, `${path}/prioritise`, 'Build next', pkgpath),
    ['waiting', 'building', 'built', 'failed', 'quarantined'].includes(state) && action(context, `${path}/cancel`, 'Cancel', pkgpath),
  ]
  return buttons.some((button) => button) ? html`<div class="actions">${buttons}</div>` : undefined
}

function attempts(tries: readonly Attempt[], now: number): Html {
  const rows = tries.toReversed().map((one) => ({
    id: `attempt-${one.id}`,
    cells: [
      html`${one.number} <span class="where">${one.builder}</span>`,
      html`${one.outcome ?? 'runs'}${one.why !== '' && html` <span class="dim">${one.why}</span>`}${telling(one.lines)}`,
      html`<span class="num">${spanOf((one.ended ?? now) - one.started)}</span>`,
      html`<time datetime="${new Date(one.started).toISOString()}">${isoTime(one.started)}</time>`,
    ],
  }))
  const columns = [
    { label: 'Try' },
    { label: 'Outcome' },
    { label: 'Took', kind: 'num' as const },
    { label: 'Began', kind: 'wide' as const },
  ]
  return table('Tries', columns, rows, 'No builder has taken it yet.')
}

function logSection({ id }: BuildDetails, log: LogPart): Html {
  const end = log.from + log.bytes.length
  const before = log.from > 0 ? html`the last ${size(log.bytes.length)} of ${size(log.size)} · ` : undefined
  const live = log.ended ? undefined : html` data-log="/builds/${id}/log/live" data-from="${end}"`
  return section(
    'log',
    'Log',
    html`<pre id="log-text" class="log" tabindex="0" aria-label="Log"${live}>${fromUtf8Lossy(log.bytes)}</pre>`,
    html`${before}<a href="/builds/${id}/log">as text</a>`,
  )
}

function trail({ events }: BuildDetails): Html {
  return html`<ol class="trail">${events.map(
    ({ at, actor, what }) => html`<li><time datetime="${new Date(at).toISOString()}">${isoTime(at)}</time> <b>${actor}</b> ${what}</li>`,
  )}</ol>`
}
