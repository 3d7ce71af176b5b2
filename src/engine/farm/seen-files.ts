import type { ListedFile } from '../../format/openbsd/index-txt.ts'

/** Files of a mirror that were there as its index says, and when that has to be seen again (milliseconds since 1970). */
export type SeenFiles = ReadonlyMap<string, { readonly file: ListedFile; readonly until: number }>

const hour = 3_600_000
const [shortest, spread] = [12 * hour, 24 * hour]

/** The sizes that need no look, and the files that do: new ones, and a few of the others at each visit. */
export function unseenOf(
  seen: SeenFiles,
  listed: readonly ListedFile[],
  now: number,
): { readonly sizes: ReadonlyMap<string, number>; readonly ask: readonly ListedFile[] } {
  const isFresh = (file: ListedFile): boolean => {
    const one = seen.get(file.name)
    // A clock that was set back makes nothing fresh for longer.
    return (
      one !== undefined &&
      one.file.size === file.size &&
      one.file.time === file.time &&
      now < one.until &&
      one.until <= now + shortest + spread
    )
  }
  return {
    sizes: new Map(listed.flatMap((file) => (isFresh(file) && file.size !== undefined ? [[file.name, file.size] as const] : []))),
    ask: listed.filter((file) => !isFresh(file)),
  }
}

/** What is not as listed is asked for at the next visit again. */
export function seenNow(seen: SeenFiles, listed: readonly ListedFile[], asked: ReadonlyMap<string, number>, now: number): SeenFiles {
  return new Map(
    listed.flatMap((file) => {
      const size = asked.get(file.name)
      if (size === undefined) {
        const before = seen.get(file.name)
        return before === undefined ? [] : [[file.name, before] as const]
      }
      return size === file.size ? [[file.name, { file, until: now + shortest + (spread * partOf(file.name)) / 256 }] as const] : []
    }),
  )
}

/** Files that came at one time are not all looked at again at one time. 0 to 255. */
function partOf(name: string): number {
  let sum = 0
  for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) % 65_521
  return sum % 256
}
