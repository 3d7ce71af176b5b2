import { BinderyError } from '../base/error.ts'
import { formatChannel, parseChannel } from '../base/name.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { Channel } from '../base/name.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `enrolled` (doc/spec/client-state.md): the channels that a root follows, and where from. */
export type Enrolled = {
  readonly channel: Channel
  /** Names the trust folder: the first 16 hex digits of the sha256 of the root.json that trust started from. */
  readonly repository: string
  /** The repository first, then its mirrors, in the order in which they are asked. Each ends with `/`. */
  readonly urls: readonly string[]
  readonly basis: Basis
}

/** Where the old bytes of a delta come from: a tar kept on the host, or the installed files. */
export type Basis = 'tar' | 'installed'

const format: LinesFormat = { firstLine: 'bindery-enrolled 1', maxBytes: 1 << 20, maxLines: 4096 }
const maxUrls = 32
const repositoryPattern = /^[0-9a-f]{16}$/

/** Each channel is a group of lines that begins with `channel`. */
export function encodeEnrolled(enrolled: readonly Enrolled[]): Uint8Array {
  return encodeLines(
    format,
    enrolled.flatMap(({ channel, repository, basis, urls }) => [
      { key: 'channel', value: formatChannel(channel) },
      { key: 'repository', value: repository },
      { key: 'basis', value: basis },
      ...urls.map((value) => ({ key: 'url', value })),
    ]),
  )
}

/** Throws `bad-format`, `over-limit` or `not-supported`. */
export function decodeEnrolled(bytes: Uint8Array): readonly Enrolled[] {
  const groups: StateLine[][] = []
  for (const line of decodeLines(format, bytes)) {
    if (line.key === 'channel') groups.push([])
    const group = groups.at(-1)
    if (group === undefined) throw new BinderyError('bad-format', `'${line.key}' stands before the first channel`)
    group.push(line)
  }
  const enrolled = groups.map(decodeGroup)
  const names = enrolled.map(({ channel }) => formatChannel(channel))
  if (new Set(names).size !== names.length) throw new BinderyError('bad-format', 'names a channel twice')
  return enrolled
}

function decodeGroup(lines: readonly StateLine[]): Enrolled {
  const [channel, repository, basis, ...urls] = lines
  if (repository?.key !== 'repository' || !repositoryPattern.test(repository.value))
    throw new BinderyError('bad-format', 'a repository is missing')
  if (basis?.key !== 'basis' || (basis.value !== 'tar' && basis.value !== 'installed'))
    throw new BinderyError('bad-format', 'a basis is missing')
  if (urls.length === 0 || urls.length > maxUrls || urls.some(({ key, value }) => key !== 'url' || !isRepositoryUrl(value))) {
    throw new BinderyError('bad-format', `a channel needs 1 to ${maxUrls} URLs`)
  }
  return {
    channel: decodeChannel(channel?.value ?? ''),
    repository: repository.value,
    basis: basis.value,
    urls: urls.map(({ value }) => value),
  }
}

function decodeChannel(text: string): Channel {
  try {
    return parseChannel(text)
  } catch (cause) {
    throw new BinderyError('bad-format', `'${text}' is no channel`, { cause })
  }
}

/** An http, https or file URL without query, fragment or password, that ends with `/`. */
export function isRepositoryUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.href !== text || text.length > 2048) return false
  const plain = url.search === '' && url.hash === '' && url.password === '' && url.username === ''
  return plain && ['http:', 'https:', 'file:'].includes(url.protocol) && text.endsWith('/')
}
