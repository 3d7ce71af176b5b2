import { basename } from 'node:path'
import { about } from '../base/about.ts'
import { mirrorChecksums } from '../engine/pkg/index/checksums.ts'
import { indexedPackages, mirrorIndex } from '../engine/pkg/index/mirror-index.ts'
import { readMirror } from '../engine/pkg/index/read-mirror.ts'
import { printIndex, readState, writeIndex, writeState } from './pkgindex-output.ts'
import type { Unreadable } from '../engine/pkg/index/read-mirror.ts'
import type { IndexedPackage } from '../format/openbsd/bindery-index.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { Meter } from '../port/ambient.ts'
import type { PackageMirror } from '../port/package-mirror.ts'
import type { Context } from './command.ts'
import type { IndexOutput } from './pkgindex-output.ts'

export type Indexing = {
  readonly mirror: PackageMirror
  readonly output: IndexOutput
  /** Verifies all that is read. */
  readonly key: SignifyPublicKey | undefined
}

const needsAttention = 6

/** Requests or files at once. */
export const readAtOnce = 8

/** One run; answers the exit status. */
export async function indexMirror(context: Context, { mirror, output, key }: Indexing): Promise<number> {
  const former = await readState(context, output, mirror.place)
  const files = await mirror.list()
  let meter: Meter | undefined
  const { packages, unreadable, readNow } = await readMirror(mirror, files, {
    known: former,
    key,
    atOnce: readAtOnce,
    signal: context.signal,
    onStart: (count) => (meter = context.progress.start('reading packages', count, 'packages')),
    onRead: () => meter?.advance(1),
  }).finally(() => meter?.end())
  context.explain(`${packages.length} packages, ${readNow} of them read now`)
  for (const { error } of unreadable) tellUnreadable(context, error)
  await writeState(output, mirror.place, packages, former)
  const index = await about(mirror.place, () => mirrorIndex(files, packages))
  const all = async (): Promise<readonly IndexedPackage[]> => indexedPackages(index, await mirrorChecksums(mirror, key))
  if (output.kind === 'stdout') await printIndex(context, index, output.json ? await all() : undefined)
  else if (unreadable.length === 0 || output.partial) await writeIndex(context, output, index, all)
  else context.say(`${basename(output.file)} stays as it was: ${countOf(unreadable)} could not be read (--partial leaves them out)`)
  return unreadable.length === 0 ? 0 : needsAttention
}

function tellUnreadable(context: Context, { subject, message }: Unreadable['error']): void {
  context.say(`${subject ?? ''}: ${message}`)
}

function countOf(unreadable: readonly Unreadable[]): string {
  return unreadable.length === 1 ? '1 package' : `${unreadable.length} packages`
}
