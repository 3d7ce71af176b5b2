import { concatBytes, fromLatin1, latin1 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'

/**
 * The database of the BSDs' locate(1) (doc/spec/update-db.md): 128 pairs of characters, then for each entry how much of the one before it
 * goes on, as a difference to the last such count, and the rest with the pairs as single bytes. Front compression after
 * J. A. Woods, ";login:" 8/1 (1983). Entries are one char per byte.
 */

const pairCount = 128
const tableSize = 2 * pairCount
const countOffset = 14
const wideCount = 30
const anyByte = 31
const firstPlain = 32
const pairMark = 128
/** locate(1) of the BSDs has room for 1024; whatever wrote more did not mean it for locate. */
const maxEntryBytes = 64 << 10
const maxStep = maxEntryBytes
/** Of all entries, for each byte of the database. One byte may stand for a whole entry that is like the one before. */
const maxGrowth = 128

/** In the order of the database. Throws `bad-format` with the byte. */
export function* locateEntries(database: Uint8Array): Generator<string> {
  if (database.length < tableSize) throw new BinderyError('bad-format', 'is too short for a locate database')
  for (const char of database.subarray(0, tableSize))
    if (char >= pairMark || (char !== 0 && char < firstPlain)) throw bad('a strange table of pairs', 0)
  const view = new DataView(database.buffer, database.byteOffset, database.length)
  // What locate.code compares its first entry with.
  let entry: Uint8Array = new Uint8Array(1024).fill(0x20, 0, 1)
  let length = 1
  let kept = 0
  let left = maxGrowth * database.length
  for (let at = tableSize; at < database.length;) {
    const code = database[at] as number
    if (code > wideCount || code === wideCount - 1) throw bad('no count', at)
    const step = code === wideCount ? wideStep(view, at + 1) : code
    kept += step - countOffset
    if (kept < 0 || kept > length) throw bad('an entry that goes on where the one before has ended', at)
    at += code === wideCount ? 5 : 1
    length = kept
    for (let byte = database[at]; byte !== undefined && byte > wideCount; byte = database[at]) {
      if (length + 2 > entry.length) entry = grown(entry, at)
      if (byte >= pairMark) {
        entry[length++] = database[2 * (byte - pairMark)] as number
        entry[length++] = database[2 * (byte - pairMark) + 1] as number
        at++
      } else if (byte === anyByte) {
        if (at + 1 >= database.length) throw bad('an end within an entry', at)
        entry[length++] = database[at + 1] as number
        at += 2
      } else {
        entry[length++] = byte
        at++
      }
    }
    left -= length
    if (left < 0) throw new BinderyError('over-limit', `has more than ${maxGrowth} bytes of entries for each of its own, up to byte ${at}`)
    yield latin1(entry.subarray(0, length))
  }
}

/** As locate(1): in whichever byte order it makes sense. */
function wideStep(view: DataView, at: number): number {
  if (at + 4 > view.byteLength) throw bad('an end within a count', at)
  const step = [view.getInt32(at, true), view.getInt32(at, false)].find((value) => Math.abs(value) <= maxStep)
  if (step === undefined) throw bad('a count that no entry can have', at)
  return step
}

function grown(entry: Uint8Array, at: number): Uint8Array {
  if (2 * entry.length > maxEntryBytes)
    throw new BinderyError('over-limit', `has an entry of more than ${entry.length} bytes at byte ${at}`)
  return concatBytes([entry, new Uint8Array(entry.length)])
}

function bad(what: string, at: number): BinderyError {
  return new BinderyError('bad-format', `is no locate database: ${what} at byte ${at}`)
}

/** Little-endian, as on the machines that build packages. Entries come as they are: sort them, or nothing is gained. */
export function encodeLocateDatabase(entries: readonly string[]): Uint8Array {
  const rests = restsOf(entries)
  const pairs = commonPairs(rests.map(({ rest }) => rest))
  const codes = new Map(pairs.map((pair, i) => [pair, String.fromCharCode(pairMark + i)]))
  let kept = 0
  const parts = rests.map(({ shared, rest }) => {
    const step = shared - kept + countOffset
    kept = shared
    return countCode(step) + restCode(rest, codes)
  })
  return fromLatin1(pairs.join('').padEnd(tableSize, '\0') + parts.join(''))
}

type Rest = { readonly shared: number; readonly rest: string }

function restsOf(entries: readonly string[]): readonly Rest[] {
  let former = ''
  return entries.map((entry) => {
    if (/[\n\0]|[^\u0000-\u00ff]/.test(entry))
      throw new BinderyError('bad-format', 'an entry holds what no locate database can', { subject: entry.slice(0, 80) })
    let shared = 0
    while (shared < entry.length && entry[shared] === former[shared]) shared++
    former = entry
    return { shared, rest: entry.slice(shared) }
  })
}

/** Most common first; of those that are as common, in byte order. */
function commonPairs(rests: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const rest of rests) {
    for (let at = 0; at + 1 < rest.length; at += 2) {
      const pair = rest.slice(at, at + 2)
      if (/^[\u0020-\u007f]{2}$/.test(pair)) counts.set(pair, (counts.get(pair) ?? 0) + 1)
    }
  }
  const sorted = [...counts].toSorted(([a, na], [b, nb]) => nb - na || (a < b ? -1 : 1))
  return sorted.slice(0, pairCount).map(([pair]) => pair)
}

function countCode(step: number): string {
  if (step >= 0 && step <= 2 * countOffset) return String.fromCharCode(step)
  const word = new Uint8Array(4)
  new DataView(word.buffer).setInt32(0, step, true)
  return String.fromCharCode(wideCount) + latin1(word)
}

function restCode(rest: string, codes: ReadonlyMap<string, string>): string {
  let code = ''
  for (let at = 0; at < rest.length; at += 2) {
    const pair = rest.slice(at, at + 2)
    code += codes.get(pair) ?? pair.replaceAll(/[^\u0020-\u007f]/g, (char) => String.fromCharCode(anyByte) + char)
  }
  return code
}
