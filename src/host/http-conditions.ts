/** The conditions and ranges of RFC 9110 (sections 13 and 14), for one representation with a strong entity tag. */

export type Representation = {
  readonly etag: string
  /** Whole seconds since the epoch, as HTTP dates are. */
  readonly modified: number
  readonly size: number
}

export type Ask = { readonly method: string; readonly headers: Readonly<Record<string, string | undefined>> }

export type Verdict =
  | { readonly kind: 'whole' }
  | { readonly kind: 'not-modified' }
  /** Bytes [start, end). */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

export function judge(ask: Ask, file: Representation): Verdict {
  if (isCurrent(ask, file)) return { kind: 'not-modified' }
  const range = ask.headers['range']
  // Ranges are defined for GET alone; a condition that fails means that the client wants the whole of the new file.
  if (ask.method !== 'GET' || range === undefined || !ifRangeHolds(ask.headers['if-range'], file)) return { kind: 'whole' }
  return parseRange(range, file.size)
}

function isCurrent({ headers }: Ask, file: Representation): boolean {
  const tags = headers['if-none-match']
  // 13.1.3: If-Modified-Since counts only where there is no If-None-Match.
  if (tags !== undefined) return tags.trim() === '*' || tags.split(',').some((tag) => tag.trim().replace(/^W\//, '') === file.etag)
  const since = headers['if-modified-since']
  return since !== undefined && file.modified * 1000 <= Date.parse(since)
}

/** 13.1.5: an entity tag must match strongly, a date exactly. */
function ifRangeHolds(condition: string | undefined, file: Representation): boolean {
  if (condition === undefined) return true
  if (condition.startsWith('"')) return condition.trim() === file.etag
  return !condition.startsWith('W/') && Date.parse(condition) === file.modified * 1000
}

/** One byte range; several of them, other units and nonsense are passed over (14.2), and the whole is sent. */
function parseRange(range: string, size: number): Verdict {
  const match = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(range.replaceAll(' ', ''))
  if (match === null) return { kind: 'whole' }
  const [, first, last] = match as unknown as [string, string, string]
  if (first === '') {
    if (last === '') return { kind: 'whole' }
    const length = Math.min(Number(last), size)
    return length === 0 ? { kind: 'unsatisfiable' } : { kind: 'part', start: size - length, end: size }
  }
  if (last !== '' && Number(last) < Number(first)) return { kind: 'whole' }
  if (Number(first) >= size) return { kind: 'unsatisfiable' }
  return { kind: 'part', start: Number(first), end: last === '' ? size : Math.min(Number(last) + 1, size) }
}
