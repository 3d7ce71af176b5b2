import type { Store } from '../../port/store.ts'

/** Reads from `top` what is there, else from `below`; writes to `top`. */
export function overlayStore(top: Store, below: Store): Store {
  return {
    get: async (key) => (await top.get(key)) ?? (await below.get(key)),
    stream: async function* (key) {
      yield* ((await top.size(key)) === undefined ? below : top).stream(key)
    },
    size: async (key) => (await top.size(key)) ?? (await below.size(key)),
    put: async (key, content) => await top.put(key, content),
    delete: async (key) => await top.delete(key),
    list: async (prefix) => [...new Set([...(await top.list(prefix)), ...(await below.list(prefix))])].sort(),
  }
}

/** The part of a store below `prefix` (which ends with a slash) as a store of its own. */
export function innerStore(store: Store, prefix: string): Store {
  return {
    get: async (key) => await store.get(prefix + key),
    stream: (key) => store.stream(prefix + key),
    size: async (key) => await store.size(prefix + key),
    put: async (key, content) => await store.put(prefix + key, content),
    delete: async (key) => await store.delete(prefix + key),
    list: async (inner) => (await store.list(prefix + inner)).map((key) => key.slice(prefix.length)),
  }
}
