import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath } from '../base/path.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { Sha256 } from '../base/digest.ts'
import type { RelPath } from '../base/path.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `boot-hook` (doc/spec/client-state.md): what was put into the tree so that the recovery program runs at each start of the machine. */
export type BootHookRecord = {
  readonly system: BootSystem
  /** Folders, and files that lines were written into, which were not there before; outermost first. */
  readonly made: readonly RelPath[]
  readonly parts: readonly BootHookTrace[]
}

export const bootSystems = ['openbsd', 'freebsd', 'netbsd', 'dragonfly', 'systemd', 'sysv'] as const
export type BootSystem = (typeof bootSystems)[number]

/** `lines` are of a file that is the administrator's; the digest is that of the lines. */
export type BootHookTrace =
  | { readonly kind: 'file' | 'lines'; readonly path: RelPath; readonly sha256: Sha256 }
  | { readonly kind: 'link'; readonly path: RelPath; readonly target: string }

export const maxBootHookBytes = 1 << 16
const format: LinesFormat = { firstLine: 'bindery-boot-hook 1', maxBytes: maxBootHookBytes, maxLines: 64 }

export function encodeBootHook({ system, made, parts }: BootHookRecord): Uint8Array {
  return encodeLines(format, [
    { key: 'system', value: system },
    ...made.map((value) => ({ key: 'made', value })),
    ...parts.map((part) => ({ key: part.kind, value: `${part.kind === 'link' ? part.target : part.sha256} ${part.path}` })),
  ])
}

/** Throws `bad-format`, `over-limit` or `not-supported`. */
export function decodeBootHook(bytes: Uint8Array): BootHookRecord {
  const [first, ...lines] = decodeLines(format, bytes)
  const system = bootSystems.find((known) => first?.key === 'system' && first.value === known)
  if (system === undefined) throw new BinderyError('bad-format', 'names no system that has a boot hook')
  const count = lines.findIndex(({ key }) => key !== 'made')
  const parts = count < 0 ? [] : lines.slice(count)
  return { system, made: lines.slice(0, lines.length - parts.length).map(({ value }) => decodePath(value)), parts: parts.map(decodeTrace) }
}

function decodeTrace({ key, value }: StateLine): BootHookTrace {
  const space = value.indexOf(' ')
  const [word, path] = [value.slice(0, Math.max(space, 0)), decodePath(value.slice(space + 1))]
  if (key === 'link' && word !== '') return { kind: 'link', path, target: word }
  const sha256 = parseSha256(word)
  if ((key === 'file' || key === 'lines') && sha256 === word) return { kind: key, path, sha256 }
  throw new BinderyError('bad-format', `has a bad line '${key}'`)
}

function decodePath(text: string): RelPath {
  const path = parseRelPath(text)
  if (path === undefined || path === '.') throw new BinderyError('bad-format', 'holds no safe path')
  return path
}
