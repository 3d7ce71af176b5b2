import { concatBytes, oneChunk } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { checkKey } from './store-key.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Store } from '../port/store.ts'

/** The in-memory twin; `files` is open to tests. */
export function memoryStore(files: Map<string, Uint8Array> = new Map()): Store & { readonly files: Map<string, Uint8Array> } {
  return {
    files,
    get: async (key) => files.get(checkKey(key))?.slice(),
    stream: (key) => streamOf(files, checkKey(key)),
    size: async (key) => files.get(checkKey(key))?.length,
    put: async (key, content) => {
      const parts: Uint8Array[] = []
      // Not slice(): of a Buffer that is the same memory once more.
      for await (const part of content) parts.push(new Uint8Array(part))
      files.set(checkKey(key), concatBytes(parts))
    },
    delete: async (key) => void files.delete(checkKey(key)),
    list: async (prefix) => [...files.keys()].filter((key) => key.startsWith(prefix)).sort(),
  }
}

async function* streamOf(files: ReadonlyMap<string, Uint8Array>, key: string): ByteStream {
  const bytes = files.get(key)
  if (bytes === undefined) throw new BinderyError('not-found', 'not found', { subject: key })
  yield* oneChunk(bytes.slice())
}
