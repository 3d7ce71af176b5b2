import { collectBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { formatDistName } from '../../base/name.ts'
import { makeDelta } from '../delta/make.ts'
import { readDeltaInfo } from '../delta/apply.ts'
import { releaseTargets } from '../update/compose.ts'
import { worthOf } from './delta-worth.ts'
import { blobOfBytes, blobOfSource, sourceStream } from './blob.ts'
import type { Progress } from '../../port/ambient.ts'
import type { ByteSource, Spool } from '../../port/source.ts'
import type { Update } from '../../format/update.ts'
import type { Making } from '../delta/make.ts'
import type { DeltaIngredient, Ingredients } from '../update/compose.ts'
import type { Blob } from './blob.ts'

export type DeltaInput = {
  /** The new release without deltas. */
  readonly release: Ingredients
  readonly tar: ByteSource
  /** The new manifest, uncompressed. */
  readonly manifest: Uint8Array
  /** Releases before it, all of them, by sequence. */
  readonly before: readonly Update[]
  /** How many of them, counted from the newest, get a delta where it pays. */
  readonly count: number
  readonly making?: Making | undefined
  readonly oldTar: (update: Update) => Promise<ByteSource>
  readonly oldManifest: (update: Update) => Promise<Uint8Array>
  /** Called for each delta that is worth its place, and the one of its manifest, before the next one is made. */
  readonly keep: (blob: Blob) => Promise<void>
  readonly spool: Spool
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly explain: (line: string) => void
}

/** Deltas from the releases before, the newest first, each only where it pays. */
export async function makeReleaseDeltas(input: DeltaInput): Promise<readonly DeltaIngredient[]> {
  const kept: DeltaIngredient[] = []
  for (const old of input.before.toReversed().slice(0, input.count)) {
    const delta = await makeWithin(input, old, worthOf({ ...input, kept }, old))
    if (delta !== undefined) kept.push(delta)
  }
  return kept
}

async function makeWithin(input: DeltaInput, old: Update, limit: number): Promise<DeltaIngredient | undefined> {
  const { signal, spool, release } = input
  const oldName = formatDistName(old.release.name)
  const newName = formatDistName(release.release.name)
  signal.throwIfAborted()
  const meter = input.progress.start(`delta from ${oldName}`, input.tar.size)
  const delta = await spool(makeDelta({ old: await input.oldTar(old), new: input.tar, oldName, newName, ...input.making, meter, signal }))
  meter.end()
  try {
    const manifest = delta.size < limit ? await makeManifestDelta(input, old) : undefined
    const manifestSize = manifest?.length ?? release.manifestSize
    const worth = delta.size + manifestSize < limit
    input.explain(`delta from ${oldName}: ${delta.size} bytes, manifest ${manifestSize} bytes${worth ? '' : ', not worth it'}`)
    return worth ? await keepDelta(input, delta, manifest, old) : undefined
  } finally {
    await delta.close()
  }
}

/** Between the uncompressed manifests; undefined where it would be no smaller than the whole compressed one. */
async function makeManifestDelta(input: DeltaInput, old: Update): Promise<Uint8Array | undefined> {
  const sides = { old: memorySource(await input.oldManifest(old)), new: memorySource(input.manifest) }
  return await collectBytes(
    makeDelta({ ...sides, oldName: '', newName: '', ...input.making, signal: input.signal }),
    input.release.manifestSize - 1,
  )
}

function memorySource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (start, end) => bytes.subarray(start, end) }
}

async function keepDelta(input: DeltaInput, delta: ByteSource, manifest: Uint8Array | undefined, old: Update): Promise<DeltaIngredient> {
  const targets = releaseTargets(input.release.release.name)
  const info = await readDeltaInfo(sourceStream(delta))
  const { tar } = input.release.release
  if (info.old.sha256 !== old.release.tar.sha256 || info.new.sha256 !== tar.sha256) {
    throw new BinderyError('bad-digest', 'the delta is not between these two releases', { subject: info.oldName })
  }
  const blob = await blobOfSource(targets.delta(info.oldName), delta)
  await input.keep(blob)
  if (manifest === undefined) return { info, size: blob.size }
  await input.keep(blobOfBytes(targets.manifestDelta(info.oldName), manifest))
  return { info, size: blob.size, manifestSize: manifest.length }
}
