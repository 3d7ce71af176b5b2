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

/** Packages first, then what names them, the index last: a mirror that is read meanwhile names nothing that it has not. */
export function inOrder(names: Iterable<string>): readonly string[] {
  return [...names].toSorted((a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1))
}

function rankOf(name: string): number {
  return name.endsWith('.tgz') ? 0 : name.endsWith('index.txt') ? 2 : 1
}
