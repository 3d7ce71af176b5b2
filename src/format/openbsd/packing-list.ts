import { fromLatin1, latin1 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { withoutTrailing } from '../../base/trailing.ts'
import {
  annotationKeywords,
  directoryKeywords,
  fileKeywords,
  infoFileNames,
  listKeywords,
  obsoleteKeywords,
  optionOrder,
  placeKeywords,
  uniqueKeywords,
} from './packing-keywords.ts'
import { maxPackingListLine, readDependency } from './update-info.ts'
import type { AnnotationKeyword, ListKeyword, UniqueKeyword } from './packing-keywords.ts'

/**
 * The packing list of an OpenBSD package, `+CONTENTS` (doc/spec/packing-list.md): what pkg_create writes and pkg_add goes by. Texts are
 * one char per byte. Writing is canonical: whatever order a list was in, it comes out in pkg_create's.
 */
export type PackingList = {
  /** `$OpenBSD: … $`, without the word `@comment`. */
  readonly cvsTags: readonly string[]
  readonly unique: ReadonlyMap<UniqueKeyword, string>
  /** By name; the value is what stands behind it, which only always-update has. */
  readonly options: ReadonlyMap<string, string>
  /** `pkgpath=P [cdrom=X] ftp=Y`, as it stands. */
  readonly extraInfo: string | undefined
  /** `+DESC` and the like, in their order. */
  readonly infoFiles: readonly PackedEntry[]
  readonly lists: ReadonlyMap<ListKeyword, readonly string[]>
  readonly items: readonly PackedItem[]
}

export type PackedItem =
  | PackedEntry
  /** `@cwd`, `@owner`, `@group`, `@mode`, `@exec` and its relatives, comments, what is obsolete: `@keyword value`. */
  | { readonly kind: 'line'; readonly keyword: string; readonly value: string }

/** Something that is installed, with what the list says of it on the lines around it. */
export type PackedEntry = {
  readonly kind: 'file' | 'directory'
  /** `file` and `dir` are not written. */
  readonly keyword: string
  /** Below the current `@cwd`, or absolute where the keyword allows that. */
  readonly path: string
  readonly isUnchecked: boolean
  readonly isWithoutDebug: boolean
  readonly tags: readonly string[]
  readonly annotations: ReadonlyMap<AnnotationKeyword, string>
}

export const maxPackingListBytes: number = 128 << 20

/** What else a reader may want told: keywords that pkg_add warns of. */
export type Decoded = { readonly list: PackingList; readonly obsolete: readonly string[] }

/** Throws `bad-format` with the number of the line, `hostile` for a path that leads outside, and `over-limit`. */
export function decodePackingList(bytes: Uint8Array): Decoded {
  if (bytes.length > maxPackingListBytes) throw new BinderyError('over-limit', `is larger than ${maxPackingListBytes} bytes`)
  const reading = newReading()
  const text = latin1(bytes)
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf('\n', at)
    const end = newline < 0 ? text.length : newline
    reading.line++
    takeLine(reading, text.slice(at, end))
    at = end + 1
  }
  return finished(reading)
}

type Entry = {
  -readonly [key in keyof PackedEntry]: PackedEntry[key]
} & { readonly tags: string[]; readonly annotations: Map<AnnotationKeyword, string> }

type Reading = {
  line: number
  readonly cvsTags: string[]
  readonly unique: Map<UniqueKeyword, string>
  readonly options: Map<string, string>
  extraInfo: string | undefined
  readonly infoFiles: Map<string, Entry>
  readonly lists: Map<ListKeyword, string[]>
  readonly items: (PackedItem | Entry)[]
  readonly obsolete: Set<string>
  /** What annotations belong to: the last file, not a sample of it. */
  lastFile: Entry | undefined
  /** What tags belong to. */
  lastEntry: Entry | undefined
  /** Of the next file. */
  isUnchecked: boolean
  isWithoutDebug: boolean
  /** Before the first `@cwd`, `+DESC` and the like are files of the package itself. */
  isBeforePlaces: boolean
}

function newReading(): Reading {
  return {
    line: 0,
    cvsTags: [],
    unique: new Map(),
    options: new Map(),
    extraInfo: undefined,
    infoFiles: new Map(),
    lists: new Map(),
    items: [],
    obsolete: new Set(),
    lastFile: undefined,
    lastEntry: undefined,
    isUnchecked: false,
    isWithoutDebug: false,
    isBeforePlaces: true,
  }
}

function wrong({ line }: Reading, what: string): BinderyError {
  return new BinderyError('bad-format', `line ${line}: ${what}`)
}

function takeLine(reading: Reading, line: string): void {
  if (line.length > maxPackingListLine)
    throw new BinderyError('over-limit', `line ${reading.line} has more than ${maxPackingListLine} bytes`)
  if (/[\0\r]/.test(line)) throw wrong(reading, 'holds a control character')
  if (/^\s*$/.test(line)) return
  const keyword = /^@\S+/.exec(line)?.[0]
  if (keyword === undefined) takeEntry(reading, 'file', line)
  else takeKeyword(reading, keyword.slice(1), line.slice(keyword.length).trimStart())
}

function takeKeyword(reading: Reading, keyword: string, value: string): void {
  if (keyword === 'comment') takeComment(reading, value)
  else if (keyword === 'option') takeOption(reading, value)
  else if (keyword === 'tag') takeTag(reading, value)
  else if (uniqueKeywords.has(keyword)) takeUnique(reading, keyword as UniqueKeyword, value)
  else if (listKeywords.has(keyword)) takeListed(reading, keyword as ListKeyword, value)
  else if (annotationKeywords.has(keyword)) takeAnnotation(reading, keyword as AnnotationKeyword, value)
  else if (fileKeywords.has(keyword) || directoryKeywords.has(keyword)) takeEntry(reading, keyword, value)
  else if (placeKeywords.has(keyword)) takePlace(reading, keyword, value)
  else if (obsoleteKeywords.has(keyword)) {
    reading.obsolete.add(keyword)
    reading.items.push({ kind: 'line', keyword, value })
  } else throw wrong(reading, `'@${keyword.slice(0, 64)}' is no keyword of packing lists`)
}

function takeComment(reading: Reading, value: string): void {
  if (/^\$OpenBSD.*\$\s*$/.test(value)) reading.cvsTags.push(value)
  else if (/^(?:pkgpath|subdir)=\S+\s+(?:cdrom=.*\s)?ftp=/.test(value)) {
    if (reading.extraInfo !== undefined) throw wrong(reading, 'a second pkgpath= comment')
    reading.extraInfo = value
  } else if (value === 'no checksum') reading.isUnchecked = true
  else if (value === 'no debug') reading.isWithoutDebug = true
  else reading.items.push({ kind: 'line', keyword: 'comment', value })
}

function takeOption(reading: Reading, value: string): void {
  const [name, rest] = [value.split(/\s/)[0] as string, value.replace(/^\S+\s*/, '')]
  if (!optionOrder.includes(name) || (rest !== '' && name !== 'always-update'))
    throw wrong(reading, `'${value.slice(0, 64)}' is no option of packing lists`)
  if (reading.options.has(name)) throw wrong(reading, `a second @option ${name}`)
  reading.options.set(name, rest)
}

function takeTag(reading: Reading, value: string): void {
  if (reading.lastEntry === undefined) throw wrong(reading, '@tag has nothing before it')
  // Once more is the same tag.
  if (!reading.lastEntry.tags.includes(value)) reading.lastEntry.tags.push(value)
}

function takeUnique(reading: Reading, keyword: UniqueKeyword, value: string): void {
  if (reading.unique.has(keyword)) throw wrong(reading, `a second @${keyword}`)
  reading.unique.set(keyword, value)
}

function takeListed(reading: Reading, keyword: ListKeyword, value: string): void {
  if (keyword === 'depend') readDependency(value, reading.line)
  const list = reading.lists.get(keyword)
  if (list === undefined) reading.lists.set(keyword, [value])
  else list.push(value)
}

function takeAnnotation(reading: Reading, keyword: AnnotationKeyword, value: string): void {
  const { lastFile } = reading
  if (lastFile === undefined) throw wrong(reading, `@${keyword} has no file before it`)
  if (lastFile.annotations.has(keyword)) throw wrong(reading, `a second @${keyword} of one file`)
  if (keyword === 'sha' && !/^[A-Za-z0-9+/]{43}=$/.test(value)) throw wrong(reading, '@sha is no SHA-256 in base64')
  if ((keyword === 'size' || keyword === 'ts') && !/^[0-9]{1,16}$/.test(value)) throw wrong(reading, `@${keyword} is no number`)
  if (keyword === 'temp' || keyword === 'link') refuseEscape(reading, value, true)
  lastFile.annotations.set(keyword, value)
}

function takePlace(reading: Reading, keyword: string, value: string): void {
  if (keyword === 'cwd') {
    refuseEscape(reading, value === '' ? '.' : value, true)
    reading.isBeforePlaces = false
  }
  reading.items.push({ kind: 'line', keyword, value })
}

/** Where an absolute path may stand: what is outside of `@cwd` by its nature. */
const mayBeAbsolute: ReadonlySet<string> = new Set(['sample', 'extra', 'extraglob', 'ghost', 'rcscript'])

function takeEntry(reading: Reading, keyword: string, value: string): void {
  const isDirectory = directoryKeywords.has(keyword) || value.endsWith('/')
  const path = withoutTrailing(value, '/')
  refuseEscape(reading, path, mayBeAbsolute.has(keyword))
  const entry: Entry = {
    kind: isDirectory ? 'directory' : 'file',
    keyword: keyword === 'dir' || (keyword === 'file' && isDirectory) ? 'dir' : keyword,
    path,
    isUnchecked: false,
    isWithoutDebug: false,
    tags: [],
    annotations: new Map(),
  }
  reading.lastEntry = entry
  if (!isDirectory && fileKeywords.get(keyword) === 'content') takeContent(reading, entry)
  if (keyword === 'file' && reading.isBeforePlaces && infoFileNames.includes(path)) takeInfoFile(reading, entry)
  else reading.items.push(entry)
}

function takeContent(reading: Reading, entry: Entry): void {
  reading.lastFile = entry
  entry.isUnchecked = reading.isUnchecked
  entry.isWithoutDebug = reading.isWithoutDebug
  reading.isUnchecked = false
  reading.isWithoutDebug = false
}

function takeInfoFile(reading: Reading, entry: Entry): void {
  if (reading.infoFiles.has(entry.path)) throw wrong(reading, `a second ${entry.path}`)
  reading.infoFiles.set(entry.path, entry)
}

/** pkg_add writes as root to where this says: nothing leads out by `..`, and nothing names the root itself. */
function refuseEscape({ line }: Reading, path: string, mayBeAbsolutePath: boolean): void {
  if (path.startsWith('/') && !mayBeAbsolutePath) throw new BinderyError('hostile', `line ${line}: an absolute path`)
  if (path === '' || path.split('/').includes('..')) throw new BinderyError('hostile', `line ${line}: a path that leads outside`)
}

function finished(reading: Reading): Decoded {
  if (!reading.unique.has('name')) throw new BinderyError('bad-format', 'has no @name')
  const { cvsTags, unique, options, extraInfo, lists, items, infoFiles } = reading
  const inOrder = infoFileNames.flatMap((name) => infoFiles.get(name) ?? [])
  return { list: { cvsTags, unique, options, extraInfo, infoFiles: inOrder, lists, items }, obsolete: [...reading.obsolete] }
}

/**
 * What is left out: nothing; `signature`, what signing adds; `variation`, all that may differ between two builds of the same, which is
 * what the hash of always-update covers.
 */
export type Omission = 'nothing' | 'signature' | 'variation'

export function encodePackingList(list: PackingList, omitted: Omission = 'nothing'): Uint8Array {
  const lines = [...headLines(list, omitted), ...list.infoFiles.flatMap(entryLines), ...listLines(list), ...list.items.flatMap(itemLines)]
  return fromLatin1(lines.map((line) => `${line}\n`).join(''))
}

const signatureParts: readonly string[] = ['signer', 'digital-signature']
const omittedParts: Readonly<Record<Omission, readonly string[]>> = {
  nothing: [],
  signature: signatureParts,
  variation: [...signatureParts, 'url', 'manual-installation'],
}

function headLines({ cvsTags, unique, options, extraInfo }: PackingList, omitted: Omission): readonly string[] {
  const isOmitted = (part: string): boolean => omittedParts[omitted].includes(part)
  const uniqueLine = (keyword: UniqueKeyword): readonly string[] =>
    unique.has(keyword) && !isOmitted(keyword) ? [keywordLine(keyword, unique.get(keyword) as string)] : []
  const optionLine = (name: string): readonly string[] => {
    const value = name === 'always-update' && omitted === 'variation' ? '' : options.get(name)
    return options.has(name) && !isOmitted(name) ? [`@option ${name}${value === '' ? '' : ` ${value as string}`}`] : []
  }
  const before: readonly UniqueKeyword[] = ['name', 'url', 'version', 'signer', 'digital-signature']
  const after: readonly UniqueKeyword[] = ['localbase', 'arch']
  return [
    ...(omitted === 'variation' ? [] : cvsTags.map((tag) => `@comment ${tag}`)),
    ...before.flatMap(uniqueLine),
    ...optionOrder.flatMap(optionLine),
    ...(extraInfo === undefined ? [] : [`@comment ${extraInfo}`]),
    ...after.flatMap(uniqueLine),
  ]
}

function listLines({ lists }: PackingList): readonly string[] {
  return [...listKeywords].flatMap((keyword) => (lists.get(keyword as ListKeyword) ?? []).map((value) => keywordLine(keyword, value)))
}

function keywordLine(keyword: string, value: string): string {
  return value === '' ? `@${keyword}` : `@${keyword} ${value}`
}

function itemLines(item: PackedItem): readonly string[] {
  return item.kind === 'line' ? [keywordLine(item.keyword, item.value)] : entryLines(item)
}

function entryLines(entry: PackedEntry): readonly string[] {
  const path = entry.kind === 'directory' ? `${entry.path}/` : entry.path
  const isBare = (entry.keyword === 'file' || entry.keyword === 'dir') && !path.startsWith('@')
  return [
    ...(entry.isUnchecked ? ['@comment no checksum'] : []),
    ...(entry.isWithoutDebug ? ['@comment no debug'] : []),
    isBare ? path : keywordLine(entry.keyword, path),
    ...entry.tags.toSorted().map((tag) => `@tag ${tag}`),
    ...[...annotationKeywords].flatMap((keyword) =>
      entry.annotations.has(keyword as AnnotationKeyword)
        ? [keywordLine(keyword, entry.annotations.get(keyword as AnnotationKeyword) as string)]
        : [],
    ),
  ]
}
