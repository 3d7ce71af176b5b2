import { encodeLocateDatabase, locateEntries } from './locate-db.ts'

/**
 * `share/update.db` of OpenBSD's quirks package (doc/spec/update-db.md): a locate database of `pkgname:line`, the lines of each packing list
 * that an update signature is made of. A package with always-update has that line alone.
 */
export type UpdateDbPackage = {
  readonly name: string
  /** Of its packing list, as far as the database has them; sorted, since the database is. */
  readonly lines: readonly string[]
}

/** Those that `wanted` wants by their names, one after the other. An entry without a colon is the end of a line that was too long for locate. */
export function* updateDbPackages(database: Uint8Array, wanted: (name: string) => boolean): Generator<UpdateDbPackage> {
  let name: string | undefined
  let isWanted = false
  let lines: string[] = []
  for (const entry of locateEntries(database)) {
    const colon = entry.indexOf(':')
    if (colon <= 0) continue
    if (name === undefined || colon !== name.length || !entry.startsWith(name)) {
      if (name !== undefined && isWanted) yield { name, lines }
      name = entry.slice(0, colon)
      isWanted = wanted(name)
      lines = []
    }
    if (isWanted) lines.push(entry.slice(colon + 1))
  }
  if (name !== undefined && isWanted) yield { name, lines }
}

export function encodeUpdateDb(packages: readonly UpdateDbPackage[]): Uint8Array {
  const entries = packages.flatMap(({ name, lines }) => lines.map((line) => `${name}:${line}`))
  return encodeLocateDatabase([...new Set(entries)].sort())
}
