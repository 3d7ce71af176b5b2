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
  const bodies = (expand(text) ?? []).map((word) => (word.startsWith('/') ? bodyOf(word.slice(1)) : undefined))
  if (bodies.length === 0 || bodies.includes(undefined)) return undefined
  const regex = new RegExp(`^(?:${bodies.join('|')})$`, 's')
  return { text, matches: (path) => regex.test(path) }
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

function bodyOf(pattern: string): string | undefined {
  // Patterns are bytes, like the paths.
  const path = pathFromText(pattern)
  if (path === undefined) return undefined
  const names = path.split('/')
  let body = ''
  for (const [i, name] of names.entries()) {
    const isLast = i === names.length - 1
    if (name === '**') {
      body += isLast ? '.+' : '(?:[^/]+/)*'
      continue
    }
    const one = nameBody(name)
    if (one === undefined) return undefined
    body += isLast ? one : `${one}/`
  }
  return body
}

function nameBody(name: string): string | undefined {
  let body = ''
  for (let rest = name; rest !== '';) {
    const token = /^(?:\*+|\?|\[!?[^\]]+\]|[^*?[\]])/.exec(rest)?.[0]
    if (token === undefined) return undefined
    body += tokenBody(token)
    rest = rest.slice(token.length)
  }
  return body
}

function tokenBody(token: string): string {
  if (token.startsWith('*')) return '[^/]*'
  if (token === '?') return '[^/]'
  if (token.startsWith('[')) return setBody(token.slice(1, -1))
  return literal(token)
}

function setBody(set: string): string {
  const isNot = set.startsWith('!')
  const members = (isNot ? set.slice(1) : set).replaceAll(/[\\\]^[]/g, '\\$&')
  return isNot ? `[^/${members}]` : `[${members}]`
}

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
