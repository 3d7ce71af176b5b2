import { collectBytes } from '../../../base/bytes.ts'
import { isAccounts, isConfiguration } from './configuration.ts'
import { checked, distContents } from './contents.ts'
import { mergeAccounts } from './merge-accounts.ts'
import { mergeText } from './merge-text.ts'
import { maxMergeBytes } from './merges.ts'
import type { FileEntry, Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { Clock } from '../../../port/ambient.ts'
import type { Incoming } from '../incoming.ts'
import type { Merging, Released } from './merges.ts'
import type { Part } from './parts.ts'

/** What an install merges, and with which contents of the two releases. */

export type MergingInput = {
  readonly parts: readonly Part[]
  readonly config: Pick<ClientConfig, 'configProtect' | 'merge'>
  readonly clock: Clock
}

/** Undefined where bindery.conf says that nothing is merged. */
export function mergingOf({ parts, config, clock }: MergingInput): Merging | undefined {
  if (!config.merge) return undefined
  return {
    covers: (path) => isConfiguration(config, path) || isAccounts(path),
    merge: (path, versions) => (isConfiguration(config, path) ? mergeText(versions) : mergeAccounts(path, versions)),
    time: Math.floor(clock.now() / 1000),
    versions: async (paths) => {
      const versions = new Map<RelPath, Released>()
      for (const part of parts)
        for (const [path, released] of await versionsOf(part, paths)) if (!versions.has(path)) versions.set(path, released)
      return versions
    },
  }
}

async function versionsOf({ incoming, installed }: Part, paths: ReadonlySet<RelPath>): Promise<ReadonlyMap<RelPath, Released>> {
  const old = filesAt(installed, paths)
  const bases = await incoming.oldContents([...old.values()])
  const versions = new Map<RelPath, Released>()
  const hasBase = new Set([...old.values()].flatMap(({ path, sha256 }) => (bases.has(sha256) ? [path] : [])))
  for await (const { path, next } of newContents(incoming, hasBase)) {
    const base = bases.get((old.get(path) as FileEntry).sha256)
    if (base !== undefined) versions.set(path, { base, next })
  }
  return versions
}

/** A pass over the new tar of its own, which ends with the last of the files. */
async function* newContents(
  { tar, manifest }: Incoming,
  paths: ReadonlySet<RelPath>,
): AsyncIterable<{ readonly path: RelPath; readonly next: Uint8Array }> {
  const missing = filesAt(manifest.value, paths)
  if (missing.size === 0) return
  for await (const { path, content } of distContents(tar(), manifest)(missing)) {
    const next = await collectBytes(checked(content, path, missing.get(path) as FileEntry), maxMergeBytes)
    if (next !== undefined) yield { path, next }
    missing.delete(path)
    if (missing.size === 0) return
  }
}

function filesAt({ entries }: Manifest, paths: ReadonlySet<RelPath>): Map<RelPath, FileEntry> {
  return new Map(entries.flatMap((entry) => (entry.kind === 'file' && paths.has(entry.path) ? [[entry.path, entry]] : [])))
}
