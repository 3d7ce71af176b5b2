import { escapeMarkup } from './html.ts'

export type Feed = {
  readonly title: string
  /** Scheme and host, without a slash. */
  readonly base: string
  readonly path: string
  /** Newest first. */
  readonly entries: readonly FeedEntry[]
}

export type FeedEntry = {
  /** The same for ever, unlike any other. */
  readonly id: string
  readonly title: string
  readonly at: number
  readonly path: string
  readonly text: string
}

/** RFC 4287. */
export function atomFeed({ title, base, path, entries }: Feed): string {
  const updated = entries.reduce((newest, { at }) => Math.max(newest, at), 0)
  return `<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<title>${escapeMarkup(title)}</title>
<id>${escapeMarkup(base + path)}</id>
<link rel="self" href="${escapeMarkup(base + path)}"/>
<link rel="alternate" href="${escapeMarkup(base)}/"/>
<author><name>bindery</name></author>
<updated>${new Date(updated).toISOString()}</updated>
${entries.map((entry) => entryOf(base, entry)).join('')}</feed>
`
}

function entryOf(base: string, { id, title, at, path, text }: FeedEntry): string {
  return `<entry>
<title>${escapeMarkup(title)}</title>
<id>${escapeMarkup(`${base}/${id}`)}</id>
<link href="${escapeMarkup(base + encodeURI(path))}"/>
<updated>${new Date(at).toISOString()}</updated>
<content type="text">${escapeMarkup(text)}</content>
</entry>
`
}
