/** One `bytes=a-b`, `bytes=a-` or `bytes=-n` of a Range header (RFC 9110, 14.2); anything else means the whole. */
export function parseRange(
  header: string | undefined,
  size: number,
): 'whole' | 'unsatisfiable' | { readonly start: number; readonly end: number } {
  const match = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole'
  const [first, last] = [match[1] as string, match[2] as string]
  if (first === '') return last === '0' || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - Number(last)), end: size }
  const start = Number(first)
  const end = last === '' ? size : Math.min(size, Number(last) + 1)
  if (last !== '' && Number(last) < start) return 'whole'
  return start >= size ? 'unsatisfiable' : { start, end }
}
