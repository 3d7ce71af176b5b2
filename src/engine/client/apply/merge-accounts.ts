import { fromLatin1, latin1 } from '../../../base/bytes.ts'
import { baseName } from '../../../base/path.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Versions } from './merge-text.ts'

/**
 * passwd(5), group(5) and their shadows, by entry: what the release adds comes behind what is here, with its numbers; nobody who is
 * here goes or gets another number. Undefined for a conflict, and for what is no such file.
 */
export function mergeAccounts(path: RelPath, { base, ours, theirs }: Versions): Uint8Array | undefined {
  const kind = kinds[baseName(path)]
  const [old, own, next] = [base, ours, theirs].map(parse)
  if (kind === undefined || old === undefined || own === undefined || next === undefined) return undefined
  const lines = new Map(own.entries)
  for (const [name, entry] of next.entries) {
    const [before, here] = [old.entries.get(name), own.entries.get(name)]
    const wanted = here === undefined ? (before === undefined ? entry : undefined) : mergeEntry(kind, before ?? entry, here, entry)
    if (wanted === 'conflict' || (here === undefined && wanted !== undefined && isTaken(kind, own, entry))) return undefined
    if (wanted !== undefined) lines.set(name, wanted)
  }
  return fromLatin1(
    [...own.head, ...[...lines.values()].map((fields) => fields.join(':')), ...own.tail].map((line) => `${line}\n`).join(''),
  )
}

/** Which fields are numbers, of which the first is its own, and which are lists of names. */
type Kind = { readonly numbers: readonly number[]; readonly lists: readonly number[] }

const kinds: Readonly<Record<string, Kind>> = {
  passwd: { numbers: [2, 3], lists: [] },
  'master.passwd': { numbers: [2, 3], lists: [] },
  group: { numbers: [2], lists: [3] },
  shadow: { numbers: [], lists: [] },
  gshadow: { numbers: [], lists: [2, 3] },
}

type Fields = readonly string[]
/** Comments at the top stay there, and at the end the lines that ask NIS. */
type Accounts = { readonly head: readonly string[]; readonly entries: ReadonlyMap<string, Fields>; readonly tail: readonly string[] }

function parse(bytes: Uint8Array): Accounts | undefined {
  const lines = latin1(bytes).replace(/\n$/, '').split('\n')
  const isOpaque = (line: string): boolean => line === '' || /^[#+-]/.test(line)
  const from = lines.findIndex((line) => !isOpaque(line))
  const to = lines.findLastIndex((line) => !isOpaque(line)) + 1
  const entries = lines.slice(from, to).map((line) => line.split(':'))
  const names = new Set(entries.map(([name]) => name))
  const isGood = from >= 0 && entries.every(([name], i) => !isOpaque(lines[from + i] as string) && name !== '')
  const isEven = entries.every(({ length }) => length > 2 && length === entries[0]?.length)
  if (!isGood || !isEven || names.size !== entries.length || bytes.includes(0)) return undefined
  return { head: lines.slice(0, from), entries: new Map(entries.map((fields) => [fields[0] as string, fields])), tail: lines.slice(to) }
}

/** Somebody else has that number here. */
function isTaken({ numbers: [own] }: Kind, { entries }: Accounts, entry: Fields): boolean {
  return own !== undefined && [...entries.values()].some((other) => other[own] === entry[own])
}

function mergeEntry({ numbers, lists }: Kind, base: Fields, ours: Fields, theirs: Fields): Fields | 'conflict' {
  if (ours.length !== theirs.length || base.length !== ours.length) return 'conflict'
  // Made on both sides: files of the release belong to its number.
  if (base === theirs && numbers.some((i) => ours[i] !== theirs[i])) return 'conflict'
  const merged = ours.map((own, i) => {
    const [before, next] = [base[i] as string, theirs[i] as string]
    if (numbers.includes(i) || next === before || next === own) return own
    if (own === before) return next
    return lists.includes(i) ? joined(own, before, next) : undefined
  })
  return merged.every((field) => field !== undefined) ? merged : 'conflict'
}

/** With the names that the release adds. */
function joined(own: string, before: string, next: string): string {
  const [known, here] = [before, own].map((list) => list.split(',').filter((name) => name !== '')) as [string[], string[]]
  const added = next.split(',').filter((name) => name !== '' && !known.includes(name) && !here.includes(name))
  return [...here, ...added].join(',')
}
