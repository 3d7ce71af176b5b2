import { BinderyError } from '../base/error.ts'
import { parseSha256 } from '../base/digest.ts'
import { formatDistName, parseDistName } from '../base/name.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { Sha256 } from '../base/digest.ts'
import type { DistName } from '../base/name.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `channel/<role>/release` (doc/spec/client-state.md): which release is installed, and what is kept to update it. */
export type ReleaseState = {
  readonly name: DistName
  /** Position in the channel's line of releases, from 1. */
  readonly sequence: number
  /** The uncompressed tar of the release. */
  readonly tar: Digest
  /** `manifest.mtree.zst` as it is stored: compressed by whoever published it, or here. */
  readonly manifest: Digest
  /** Absent with `--basis installed`. */
  readonly base?: KeptBase
}

/** The release's tar, kept as the compressed tar of one release and the deltas since. */
export type KeptBase = {
  /** The file `base.tar.zst`. */
  readonly file: Digest
  /** The uncompressed tar that it holds. */
  readonly tar: Digest
  /** Oldest first: the files `1.delta`, `2.delta`...; the last makes the installed release. */
  readonly deltas: readonly KeptDelta[]
}

export type KeptDelta = {
  readonly file: Digest
  /** The uncompressed tar that it makes. */
  readonly tar: Digest
}

export type Digest = { readonly sha256: Sha256; readonly size: number }

const format: LinesFormat = { firstLine: 'bindery-release 1', maxBytes: 1 << 20, maxLines: 2048 }

export function encodeReleaseState(state: ReleaseState): Uint8Array {
  return encodeLines(format, [
    { key: 'name', value: formatDistName(state.name) },
    { key: 'sequence', value: String(state.sequence) },
    { key: 'tar', value: digestText(state.tar) },
    { key: 'manifest', value: digestText(state.manifest) },
    ...baseLines(state.base),
  ])
}

function baseLines(base: KeptBase | undefined): StateLine[] {
  if (base === undefined) return []
  const line = (key: string, file: Digest, tar: Digest): StateLine => ({ key, value: `${digestText(file)} ${digestText(tar)}` })
  return [line('base', base.file, base.tar), ...base.deltas.map(({ file, tar }) => line('delta', file, tar))]
}

function digestText({ sha256, size }: Digest): string {
  return `${sha256} ${size}`
}

/** Throws `bad-format`, `over-limit` or `not-supported`. */
export function decodeReleaseState(bytes: Uint8Array): ReleaseState {
  const [name, sequence, tar, manifest, base, ...deltas] = decodeLines(format, bytes)
  const state = {
    name: decodeName(valueOf(name, 'name')),
    sequence: decodeSequence(valueOf(sequence, 'sequence')),
    tar: decodeDigests(valueOf(tar, 'tar'), 1)[0] as Digest,
    manifest: decodeDigests(valueOf(manifest, 'manifest'), 1)[0] as Digest,
  }
  if (base === undefined) return state
  const [file, baseTar] = decodeDigests(valueOf(base, 'base'), 2) as [Digest, Digest]
  const kept = deltas.map((line) => decodeDigests(valueOf(line, 'delta'), 2) as [Digest, Digest])
  const last = kept.at(-1)?.[1] ?? baseTar
  if (last.sha256 !== state.tar.sha256 || last.size !== state.tar.size)
    throw new BinderyError('bad-format', 'the base does not lead to the installed release')
  return { ...state, base: { file, tar: baseTar, deltas: kept.map(([deltaFile, deltaTar]) => ({ file: deltaFile, tar: deltaTar })) } }
}

function valueOf(line: StateLine | undefined, key: string): string {
  if (line?.key !== key) throw new BinderyError('bad-format', `'${key}' is missing at its place`)
  return line.value
}

function decodeName(text: string): DistName {
  const name = parseDistName(text)
  if (name === undefined) throw new BinderyError('bad-format', `'${text}' is no release name`)
  return name
}

function decodeSequence(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new BinderyError('bad-format', 'the sequence is no number from 1')
  return Number(text)
}

/** `count` pairs of a lower-case digest and a size. */
function decodeDigests(text: string, count: number): readonly Digest[] {
  const words = text.split(' ')
  if (words.length !== 2 * count) throw new BinderyError('bad-format', 'a digest and its size are missing')
  return Array.from({ length: count }, (_, i) => decodeDigest(words[2 * i] as string, words[2 * i + 1] as string))
}

function decodeDigest(digest: string, size: string): Digest {
  const sha256 = parseSha256(digest)
  if (sha256 === undefined || sha256 !== digest || !/^(?:0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new BinderyError('bad-format', `'${digest} ${size}' is no digest and size`)
  }
  return { sha256, size: Number(size) }
}
