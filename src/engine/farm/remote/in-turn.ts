/** Work under one name is done one after the other, in the order in which it came. */
export type Turns = <T>(name: string, work: () => Promise<T>) => Promise<T>

export function inTurn(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return async (name, work) => {
    const before = last.get(name)
    const own = (async () => {
      await before?.catch(() => {})
      return await work()
    })()
    last.set(name, own)
    try {
      return await own
    } finally {
      if (last.get(name) === own) last.delete(name)
    }
  }
}
