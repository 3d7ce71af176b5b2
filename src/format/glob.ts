import { BinderyError } from '../base/error.ts'
import { pathFromText } from '../base/path.ts'
import type { RelPath } from '../base/path.ts'

/**
 * A pattern of absolute paths: `*` and `?` stay within a name, `**` as a whole name is any number of them, `[…]` is one
 * of a set, `{a,b}` one of several words. Nothing below a path matches with it.
 */
export type Glob = { readonly text: string; matches(path: RelPath): boolean }

/** What one pattern may stand for at most, after its braces. */
const maxWords = 256

/** Undefined for what is no pattern of an absolute path. */
export function glob(text: string): Glob | undefined {
  const once = onceGroups()
  const bodies = (expand(text) ?? []).map((word) => (word.startsWith('/') ? bodyOf(word.slice(1), once) : undefined))
  const regex = bodies.length === 0 || bodies.includes(undefined) ? undefined : regexOf(`^(?:${bodies.join('|')})$`)
  return regex && { text, matches: (path) => regex.test(path) }
}

/** Of a pattern that stands in our own source. */
export function knownGlob(text: string): Glob {
  const pattern = glob(text)
  if (pattern === undefined) throw new BinderyError('usage', `'${text}' is no pattern`)
  return pattern
}

/** Undefined where the range of a set goes backwards. */
function regexOf(body: string): RegExp | undefined {
  try {
    return new RegExp(body, 's')
  } catch {
    return undefined
  }
}

/**
 * Makes a group of which the first fit is the last. What stands between two stars may fit where it first does; looking for a
 * better place, star after star, a path that does not match would take for ever.
 */
export type Once = (body: string) => string

export function onceGroups(): Once {
  let count = 0
  return (body) => {
    const name = `g${++count}`
    return `(?=(?<${name}>${body}))\\k<${name}>`
  }
}

/** `a{b,c/d}` into `ab` and `ac/d`; undefined where a brace is open, or within another, or there are too many. */
function expand(text: string): readonly string[] | undefined {
  const match = /^([^{}]*)\{([^{}]*)\}(.*)$/s.exec(text)
  if (match === null) return /[{}]/.test(text) ? undefined : [text]
  const [, before, words, after] = match as unknown as [string, string, string, string]
  const rest = expand(after)
  const all = rest === undefined ? [] : words.split(',').flatMap((word) => rest.map((end) => `${before}${word}${end}`))
  return all.length > 0 && all.length <= maxWords ? all : undefined
}

function bodyOf(pattern: string, once: Once): string | undefined {
  // Patterns are bytes, like the paths.
  const path = pathFromText(pattern)
  if (path === undefined) return undefined
  const names = path.split('/')
  /** Of the names between one `**` and the next. */
  const pieces = ['']
  for (const [i, name] of names.entries()) {
    const one = name === '**' ? '' : nameBody(name, once)
    if (one === undefined) return undefined
    if (name === '**') pieces.push('')
    else pieces.push(`${pieces.pop() ?? ''}${one}${i < names.length - 1 ? '/' : ''}`)
  }
  const [first = '', ...rest] = pieces
  const last = rest.pop()
  if (last === undefined) return first
  return [first, ...rest.map((piece) => once(`(?:[^/]+/)*?${piece}`)), last === '' ? '.+' : `(?:[^/]+/)*${last}`].join('')
}

function nameBody(name: string, once: Once): string | undefined {
  const pieces = ['']
  for (let rest = name; rest !== '';) {
    const token = /^(?:\*+|\?|\[!?[^\]]+\]|[^*?[\]])/.exec(rest)?.[0]
    if (token === undefined) return undefined
    if (token.startsWith('*')) pieces.push('')
    else pieces.push(`${pieces.pop() ?? ''}${tokenBody(token)}`)
    rest = rest.slice(token.length)
  }
  return starred(pieces, once)
}

/** A name: bodies of fixed lengths, with a star between each and the next. */
export function starred(pieces: readonly string[], once: Once): string {
  const [first = '', ...rest] = pieces
  const last = rest.pop()
  return last === undefined ? first : [first, ...rest.map((piece) => once(`[^/]*?${piece}`)), `[^/]*${last}`].join('')
}

function tokenBody(token: string): string {
  if (token === '?') return '[^/]'
  if (token.startsWith('[')) return setBody(token.slice(1, -1))
  return literal(token)
}

function setBody(set: string): string {
  const isNot = set.startsWith('!')
  const members = (isNot ? set.slice(1) : set).replaceAll(/[\\\]^[]/g, '\\$&')
  // A range may reach over the slash.
  return isNot ? `[^/${members}]` : `(?!/)[${members}]`
}

export function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
