import { showSize } from '../../base/show-size.ts'
import { html } from '../html.ts'
import { csrfField } from './frame.ts'
import type { BuildState } from '../../port/farm-build.ts'
import type { AttemptSummary, BuildRow, MadePackage } from '../../port/farm-view.ts'
import type { Html, HtmlValue } from '../html.ts'
import type { PageContext } from './frame.ts'

/** Pieces that several pages have. */

/** Colour and shape say it again, the word says it. */
export function stateOf(
  state: BuildState | 'paused' | 'unread' | 'lost' | 'ready' | 'current' | 'behind' | 'torn' | 'missing' | 'other',
): Html {
  return html`<span class="state s-${state}">${state}</span>`
}

export function spanOf(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}

export function isoTime(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ')
}

/** How long ago, exactly where the pointer rests. The script lets it grow. */
export function age(at: number, now: number): Html {
  return html`<time datetime="${new Date(at).toISOString()}" title="${isoTime(at)}" data-since="${at}">${spanOf(now - at)}</time>`
}

export function size(bytes: number): Html {
  return html`<span class="num">${showSize(bytes)}</span>`
}

export function packageLink(pkgpath: string): Html {
  return html`<a href="/packages/${pathSegments(pkgpath)}">${breakable(pkgpath)}</a>`
}

/** A long path goes on in the next line after a slash. */
function breakable(pkgpath: string): HtmlValue {
  return pkgpath.split('/').map((part, i) => html`${i > 0 && html`/<wbr>`}${part}`)
}

function pathSegments(pkgpath: string): string {
  return pkgpath.split('/').map(encodeURIComponent).join('/')
}

export function buildLink({ id, pkgpath }: { readonly id: number; readonly pkgpath: string }): Html {
  return html`<a href="/builds/${id}">${breakable(pkgpath)}</a>${isProduct(pkgpath) && html` <span class="dim">release</span>`}`
}

/** What releases are made of has no category, as ports have. */
export function isProduct(pkgpath: string): boolean {
  return !pkgpath.includes('/')
}

export function securityMark(isSecurity: boolean): Html | undefined {
  return isSecurity ? html` <span class="mark">security</span>` : undefined
}

export function where({ branch, arch }: { readonly branch: string; readonly arch: string }): Html {
  return html`<span class="where">${branch} ${arch}</span>`
}

/** Where a build is, beside how long such builds take. */
export function progressOf({ attempt, usualMs, pkgpath }: BuildRow, now: number): Html | undefined {
  if (attempt === undefined) return undefined
  const spent = now - attempt.started
  const usual = usualMs === undefined ? undefined : html` <span class="dim">of about ${spanOf(usualMs)}</span>`
  const bar =
    usualMs === undefined
      ? undefined
      : html`<progress aria-label="${pkgpath}" max="${usualMs}" value="${Math.min(spent, usualMs)}" data-started="${attempt.started}"></progress>`
  return html`${bar}<span class="num">${age(attempt.started, now)}${usual}</span>`
}

export function telling(lines: readonly string[]): Html | undefined {
  return lines.length === 0
    ? undefined
    : html`<pre class="telling" tabindex="0" aria-label="Telling lines of the log">${lines.join('\n')}</pre>`
}

export function whyOf(attempt: AttemptSummary | undefined): string {
  return attempt === undefined || attempt.why === '' ? 'failed' : attempt.why
}

export function madeOf(made: readonly MadePackage[]): Html {
  return html`<ul class="plain">${made.map((one) => html`<li><code>${one.file}</code> ${size(one.size)}</li>`)}</ul>`
}

/** A heading with what stands below it; `id` lets the live page find it again. */
export function section(id: string, title: HtmlValue, content: HtmlValue, aside?: HtmlValue): Html {
  return html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}${aside !== undefined && html` <small>${aside}</small>`}</h2>${content}</section>`
}

export type Column = { readonly label: string; readonly kind?: 'num' | 'wide' }
export type Row = { readonly id: string; readonly cells: readonly HtmlValue[]; readonly className?: string }

/** Columns of kind `wide` are left out on a narrow screen: what they say must stand elsewhere, too. */
export function table(caption: string, columns: readonly Column[], rows: readonly Row[], none: string): Html {
  if (rows.length === 0) return html`<p class="none">${none}</p>`
  const kind = (i: number): HtmlValue => columns[i]?.kind !== undefined && html` class="${columns[i].kind}"`
  return html`<table><caption class="unseen">${caption}</caption>
<thead><tr>${columns.map(({ label }, i) => html`<th scope="col"${kind(i)}>${label}</th>`)}</tr></thead>
<tbody>${rows.map(
    ({ id, cells, className }) =>
      html`<tr id="${id}"${className !== undefined && html` class="${className}"`}>${cells.map((cell, i) =>
        i === 0 ? html`<th scope="row">${cell}</th>` : html`<td${kind(i)}>${cell}</td>`,
      )}</tr>`,
  )}</tbody></table>`
}

/** A button that changes something; nothing for whoever may not. */
export function action({ visitor }: PageContext, path: string, label: string, about: string, fields?: HtmlValue): Html | undefined {
  if (visitor?.csrf === undefined) return undefined
  return html`<form method="post" action="${path}">${csrfField(visitor)}${fields}<button>${label}<span class="unseen"> ${about}</span></button></form>`
}

/** `key` is the name under which the page that follows is asked for. */
export function pager(
  path: string,
  key: string,
  query: Readonly<Record<string, string | undefined>>,
  next: number | string | undefined,
): Html | undefined {
  const isFirst = query[key] === undefined
  if (next === undefined && isFirst) return undefined
  const link = (place: string | undefined): string => {
    const given = Object.entries({ ...query, [key]: place }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    )
    return given.length === 0 ? path : `${path}?${new URLSearchParams(Object.fromEntries(given)).toString()}`
  }
  return html`<nav class="pager" aria-label="Pages of the list">${!isFirst && html`<a href="${link(undefined)}">First page</a>`}
${next !== undefined && html`<a rel="next" href="${link(String(next))}">Next page</a>`}</nav>`
}

/** A choice in the form of a filter. */
export function select(name: string, label: string, values: readonly string[], chosen: string | undefined): Html {
  const option = (value: string): Html => html`<option${value === chosen && html` selected`}>${value}</option>`
  return html`<label>${label} <select name="${name}"><option value="">any</option>${values.map(option)}</select></label>`
}
