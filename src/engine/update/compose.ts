import { channelOf, deltaFileName, formatChannel, formatDistName, manifestDeltaFileName } from '../../base/name.ts'
import type { Channel, DistName } from '../../base/name.ts'
import type { DeltaInfo } from '../../format/delta.ts'
import type { DeltaWay, FullWay, Release, TargetRef, Update } from '../../format/update.ts'

/** What the maker says about a step, beside what the dists say themselves. */
export type UpdateNotes = Pick<
  Update,
  'title' | 'url' | 'notices' | 'postSteps' | 'reboot' | 'security' | 'configuration' | 'needs' | 'phases'
>

export const noNotes: UpdateNotes = { notices: [], postSteps: [], reboot: 'none', security: false }

export type Ingredients = {
  readonly sequence: number
  readonly release: Release
  readonly previous: DistName | undefined
  /** Bytes of the compressed manifest. */
  readonly manifestSize: number
  /** Of the compressed list, where there is one. */
  readonly obsoleteSize?: number
  readonly full: readonly FullIngredient[]
  readonly deltas: readonly DeltaIngredient[]
  readonly notes: UpdateNotes
}

/** `framesSize` for a zstd dist of independent frames. */
export type FullIngredient = { readonly codec: FullWay['codec']; readonly size: number; readonly framesSize?: number }
export type DeltaIngredient = {
  readonly info: DeltaInfo
  readonly size: number
  /** Of the delta between the manifests, where there is one. */
  readonly manifestSize?: number
}

/** Where the files of a release lie among the targets of its channel. */
export type ReleaseTargets = {
  readonly update: string
  readonly manifest: string
  readonly frames: string
  readonly obsolete: string
  full(codec: FullWay['codec']): string
  delta(oldName: string): string
  manifestDelta(oldName: string): string
}

const suffixOf = { zstd: '.tar.zst', gzip: '.tar.gz', none: '.tar' } as const

export function releaseTargets(name: DistName): ReleaseTargets {
  const prefix = channelPrefix(channelOf(name))
  const text = formatDistName(name)
  return {
    update: `${prefix}${text}.update`,
    manifest: `${prefix}${text}.mtree.zst`,
    frames: `${prefix}${text}.frames`,
    obsolete: `${prefix}${text}.obsolete.zst`,
    full: (codec) => `${prefix}${text}${suffixOf[codec]}`,
    delta: (oldName) => `${prefix}${deltaFileName(oldName, text)}`,
    manifestDelta: (oldName) => `${prefix}${manifestDeltaFileName(oldName, text)}`,
  }
}

/** What the paths of all targets of a channel begin with. */
export function channelPrefix(channel: Channel): string {
  return `${formatChannel(channel)}/`
}

/** The update record of a release. Pure: the order of the ways is that of their sizes, so that one input gives one record. */
export function composeUpdate(input: Ingredients): Update {
  const targets = releaseTargets(input.release.name)
  const bySize = (a: TargetRef, b: TargetRef): number => a.size - b.size || (a.target < b.target ? -1 : 1)
  return {
    sequence: input.sequence,
    release: input.release,
    ...(input.previous === undefined ? {} : { previous: formatDistName(input.previous) }),
    manifest: { target: targets.manifest, size: input.manifestSize },
    ...(input.obsoleteSize === undefined ? {} : { obsolete: { target: targets.obsolete, size: input.obsoleteSize } }),
    full: input.full.map((full) => fullWay(full, targets)).sort(bySize),
    deltas: input.deltas.map((delta) => deltaWay(delta, targets)).sort(bySize),
    ...input.notes,
  }
}

function fullWay({ codec, size, framesSize }: FullIngredient, targets: ReleaseTargets): FullWay {
  const way = { target: targets.full(codec), size, codec }
  return framesSize === undefined ? way : { ...way, frames: { target: targets.frames, size: framesSize } }
}

function deltaWay({ info, size, manifestSize }: DeltaIngredient, targets: ReleaseTargets): DeltaWay {
  const { oldName, old, memory } = info
  const way = { target: targets.delta(oldName), size, from: oldName, fromSha256: old.sha256, memory }
  return manifestSize === undefined ? way : { ...way, manifest: { target: targets.manifestDelta(oldName), size: manifestSize } }
}
