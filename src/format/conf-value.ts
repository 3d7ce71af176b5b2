import { BinderyError } from '../base/error.ts'
import { parseChannel } from '../base/name.ts'
import { pathFromText } from '../base/path.ts'
import { isRepositoryUrl } from './enrolled.ts'
import { literal, onceGroups, starred } from './glob.ts'
import { isCommand } from './post-step.ts'
import { isMachineName } from './machine-name.ts'
import type { RelPath } from '../base/path.ts'
import type { Basis } from './enrolled.ts'

/** What a value of bindery.conf(5) may be. Each throws `usage`. */

/** An address that is asked for metadata and blobs. The lowest number is asked first. */
export type Mirror = { readonly url: string; readonly priority: number }

const usualPriority = 50
/** Of the addresses that `enroll` was given. */
export const enrolledPriority = 100

export function mirrorOf(text: string): Mirror {
  const [url = '', priority, ...more] = text.split(/\s+/)
  if (more.length > 0) throw new BinderyError('usage', `'${text}' is more than an address and a number`)
  return { url: repositoryUrl(url), priority: priority === undefined ? usualPriority : wholeNumber(priority, 0, 1000) }
}

export function showMirror({ url, priority }: Mirror): string {
  return priority === usualPriority ? url : `${url} ${priority}`
}

/** An operand or a line of the configuration as a repository's address: a missing last `/` is added. */
export function repositoryUrl(text: string): string {
  const url = URL.parse(text)
  const href = url === null ? text : url.href.endsWith('/') ? url.href : `${url.href}/`
  if (!isRepositoryUrl(href)) {
    throw new BinderyError('usage', `'${text}' is no repository URL`, { hint: 'http, https or file, without password, query or fragment' })
  }
  return href
}

/** A proxy's address, or `none`: whatever the environment says, connect directly. */
export function proxyOf(text: string): string {
  if (text === 'none') return text
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (url?.protocol !== 'http:' || url.hostname === '' || /\s/.test(text))
    throw new BinderyError('usage', `'${text}' is no address of an http proxy`, {
      hint: 'for instance: proxy http://proxy.example.org:3128',
    })
  return url.href
}

/** For people to read, who may pass it on. */
export function withoutPassword(text: string): string {
  const url = URL.parse(text)
  return url === null || url.password === '' ? text : text.replace(`:${url.password}@`, ':***@')
}

export function basisOf(text: string): Basis {
  if (text !== 'tar' && text !== 'installed') throw new BinderyError('usage', `the basis is 'tar' or 'installed', not '${text}'`)
  return text
}

export function channelOrAll(text: string): string {
  if (text !== 'all') parseChannel(text)
  return text
}

/** Names of machines stand in names of files, and in lines (doc/spec/report.md). */
export function machineName(text: string): string {
  if (!isMachineName(text)) throw new BinderyError('usage', `'${text}' is no name of letters, digits, dots, - and _`)
  return text
}

/** Of passwd(5), or `none`. */
export function userName(text: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(text)) throw new BinderyError('usage', `'${text}' is no name of a user`)
  return text
}

/** For a shell. */
export function commandOf(text: string): string {
  if (!isCommand(text)) throw new BinderyError('usage', 'is no command of one line without control characters')
  return text
}

export function yesOrNo(text: string): boolean {
  if (text !== 'yes' && text !== 'no') throw new BinderyError('usage', `'yes' or 'no', not '${text}'`)
  return text === 'yes'
}

export function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^[0-9]{1,15}$/.test(text) || value < min || value > max)
    throw new BinderyError('usage', `'${text}' is no number from ${min} to ${max}`)
  return value
}

/** In milliseconds. */
export function seconds(text: string): number {
  return 1000 * wholeNumber(text, 1, 604_800)
}

export function absolutePath(text: string): RelPath {
  const path = text.startsWith('/') ? pathFromText(text.slice(1).replace(/\/$/, '')) : undefined
  if (path === undefined) throw new BinderyError('usage', `'${text}' is no absolute path below the root`)
  return path
}

/** An absolute path without its leading slash; `*` and `?` match within a name; everything below matches too. */
export type PathPattern = { readonly text: string; readonly regex: RegExp }

export function pathPattern(text: string): PathPattern {
  const once = onceGroups()
  const names = absolutePath(text)
    .split('/')
    .map((name) => starred(name.split(/\*+/).map(wordBody), once))
  return { text, regex: new RegExp(`^${names.join('/')}(?:/|$)`, 's') }
}

function wordBody(word: string): string {
  return word.split('?').map(literal).join('[^/]')
}

export function matchesAny(patterns: readonly PathPattern[], path: RelPath): boolean {
  return patterns.some(({ regex }) => regex.test(path))
}
