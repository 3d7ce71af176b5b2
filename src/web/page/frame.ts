import { html } from '../html.ts'
import type { Html } from '../html.ts'

/** What is the same on all pages of one server. */
export type Site = {
  readonly title: string
  readonly hasFarm: boolean
  readonly hasRepository: boolean
}

/** Who looks: `csrf` goes into each form of this session, and is absent where nothing may be done. */
export type Visitor = { readonly name: string; readonly csrf: string | undefined } | undefined

export type PageContext = {
  readonly site: Site
  readonly visitor: Visitor
  /** Milliseconds since the epoch. */
  readonly now: number
}

export type PageBody = {
  readonly title: string
  /** As in the navigation, to be marked there. */
  readonly path: string
  /** Whether the page shows anew what changes. */
  readonly live: boolean
  readonly main: Html
  /** Path of an Atom feed of what stands here. */
  readonly feed?: string
}

export function renderPage(context: PageContext, body: PageBody): string {
  const { site } = context
  const title = body.title === site.title ? site.title : `${body.title} · ${site.title}`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/style.css">
${body.feed !== undefined && html`<link rel="alternate" type="application/atom+xml" href="${body.feed}">`}
<script src="/assets/live.js" type="module"></script>
</head>
<body data-now="${context.now}"${body.live && html` data-live="/live"`}>
<a class="skip" href="#main">Skip to the content</a>
<header>
<nav aria-label="Pages"><a class="brand" href="/">${site.title}</a>${itemsOf(site).map((item) => navLink(item, body.path))}</nav>
<div class="who">${body.live && html`<span id="live" role="status"></span>`}${who(context, body.path)}</div>
</header>
<main id="main" tabindex="-1">
${body.main}
</main>
<footer><p>Times are UTC where the pointer rests on them. ${jsonLink(body.path)}${body.feed !== undefined && html` · <a href="${body.feed}">Atom</a>`}</p></footer>
</body>
</html>
`.text
}

type NavItem = { readonly path: string; readonly label: string }

function itemsOf({ hasFarm, hasRepository }: Site): readonly NavItem[] {
  const farm = [
    { path: '/builds', label: 'Builds' },
    { path: '/updates', label: 'Updates' },
    { path: '/security', label: 'Security' },
    { path: '/builders', label: 'Builders' },
    { path: '/mirrors', label: 'Mirrors' },
    { path: '/fleet', label: 'Fleet' },
    { path: '/trail', label: 'Trail' },
  ]
  return [...(hasFarm ? farm : []), ...(hasRepository ? [{ path: '/releases', label: 'Releases' }] : [])]
}

function navLink({ path, label }: NavItem, current: string): Html {
  const isHere = current === path || current.startsWith(`${path}/`)
  return html`<a href="${path}"${isHere && html` aria-current="page"`}>${label}</a>`
}

function who({ visitor, site }: PageContext, path: string): Html | undefined {
  if (!site.hasFarm || path === '/login') return undefined
  if (visitor === undefined) return html`<a href="/login?to=${encodeURIComponent(path)}">Log in</a>`
  return html`<form method="post" action="/logout">${csrfField(visitor)}<span>${visitor.name}</span> <button class="plain">Log out</button></form>`
}

export function csrfField(visitor: Visitor): Html {
  return html`<input type="hidden" name="csrf" value="${visitor?.csrf ?? ''}">`
}

function jsonLink(path: string): Html {
  return html`<a href="${path === '/' ? '/index' : path}.json">JSON</a>`
}
