import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { formatDistName, parseDistName } from '../base/name.ts'
import { utf8OfLatin1 } from '../base/utf8-text.ts'
import { glob } from './glob.ts'
import { decodeLines, encodeLines } from './lines.ts'
import { isPhaseName } from './phase.ts'
import type { Sha256 } from '../base/digest.ts'
import type { DistName } from '../base/name.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `channel/<role>/phase` (doc/spec/client-state.md): a release of which some phases are in place, and the rest is still to come. */
export type PhaseState = {
  /** The installed release: with another one the file means nothing. */
  readonly installed: DistName
  readonly release: DistName
  /** The manifest of `release`, as it lies beside. */
  readonly manifest: { readonly sha256: Sha256; readonly size: number }
  /** The start of the machine in which the newest phase came; undefined where the system does not tell. */
  readonly boot: string | undefined
  /** Phases that are in place, oldest first, and the patterns of all of them. */
  readonly done: readonly string[]
  readonly paths: readonly string[]
}

export const maxPhaseStateBytes = 16 << 20
const format: LinesFormat = { firstLine: 'bindery-phase 1', maxBytes: maxPhaseStateBytes, maxLines: 4096 }
const singles = ['installed', 'release', 'manifest', 'boot'] as const

export function encodePhaseState({ installed, release, manifest, boot, done, paths }: PhaseState): Uint8Array {
  return encodeLines(format, [
    { key: 'installed', value: formatDistName(installed) },
    { key: 'release', value: formatDistName(release) },
    { key: 'manifest', value: `${manifest.sha256} ${manifest.size}` },
    { key: 'boot', value: boot ?? '-' },
    ...done.map((value) => ({ key: 'done', value })),
    ...paths.map((path) => ({ key: 'path', value: Buffer.from(path, 'utf8').toString('latin1') })),
  ])
}

/** Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodePhaseState(bytes: Uint8Array): PhaseState {
  const lines = decodeLines(format, bytes)
  const [installed, release, manifest, boot] = singles.map((key, i) => valueOf(lines[i], key)) as [string, string, string, string]
  const rest = lines.slice(singles.length)
  const firstPath = rest.findIndex(({ key }) => key === 'path')
  const done = rest.slice(0, firstPath).map((line) => valueOf(line, 'done'))
  const paths = rest.slice(firstPath).map((line) => utf8OfLatin1(valueOf(line, 'path')))
  if (firstPath < 1 || !done.every(isPhaseName)) throw new BinderyError('bad-format', 'names no phase that is in place')
  if (!paths.every((path) => glob(path) !== undefined)) throw new BinderyError('bad-format', 'has a path that is no pattern')
  return {
    installed: nameOf(installed),
    release: nameOf(release),
    manifest: digestOf(manifest),
    boot: boot === '-' ? undefined : boot,
    done,
    paths,
  }
}

function valueOf(line: StateLine | undefined, key: string): string {
  if (line?.key !== key) throw new BinderyError('bad-format', `'${key}' is missing at its place`)
  return line.value
}

function nameOf(text: string): DistName {
  const name = parseDistName(text)
  if (name === undefined) throw new BinderyError('bad-format', `'${text}' is no release`)
  return name
}

function digestOf(text: string): PhaseState['manifest'] {
  const [digest = '', size = '', ...rest] = text.split(' ')
  const sha256 = parseSha256(digest)
  if (sha256 === undefined || sha256 !== digest || !/^(?:0|[1-9][0-9]{0,14})$/.test(size) || rest.length > 0)
    throw new BinderyError('bad-format', `'${text}' is no digest`)
  return { sha256, size: Number(size) }
}
