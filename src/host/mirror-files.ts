import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { entriesOf } from './folder-entries.ts'

export type FileFacts = { readonly size: number; readonly seconds: number }

/** By their paths below the folder, of these sets alone, nothing hidden. */
export async function filesOf(folder: string, sets: readonly string[]): Promise<ReadonlyMap<string, FileFacts>> {
  const files = new Map<string, FileFacts>()
  for (const set of sets) {
    for (const entry of await entriesOf(join(folder, set))) {
      if (entry.name.startsWith('.') || !entry.isFile()) continue
      const { size, mtimeMs } = await stat(join(folder, set, entry.name))
      files.set(`${set}/${entry.name}`, { size, seconds: Math.floor(mtimeMs / 1000) })
    }
  }
  return files
}

/** Packages and blobs first, then what names them, the index or the timestamp last: a mirror that is read meanwhile names nothing that it has not. */
export function inOrder(names: Iterable<string>): readonly string[] {
  return [...names].toSorted((a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1))
}

function rankOf(name: string): number {
  if (name.endsWith('.tgz') || name.startsWith('blobs/')) return 0
  return name.endsWith('index.txt') || name === 'metadata/timestamp.json' ? 2 : 1
}
