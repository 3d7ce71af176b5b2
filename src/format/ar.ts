import { fromLatin1, latin1 } from '../base/bytes.ts'
import { withoutTrailing } from '../base/trailing.ts'

/**
 * Archives of ar(1), "common" format: GNU long names (a table `//`, references `/123`) and BSD ones (`#1/LENGTH`, the name
 * before the content). Nothing is trusted: what is no archive from its first byte to its last has no members.
 */
export type ArMember = {
  readonly kind: 'file' | 'symbols' | 'names'
  /** One char per byte; as the header has it for what is no file. */
  readonly name: string
  readonly content: Uint8Array
}

const magic = '!<arch>\n'
const headerSize = 60
export const arHeaderSize: number = headerSize
const nameSize = 16
const sizeField = [48, 58] as const
/** Ends each header: it shows that sizes were added up right. */
const headerEnd = '`\n'
const symbolTables = ['/', '/SYM64/', '__.SYMDEF', '__.SYMDEF SORTED', '__.SYMDEF_64', '__.SYMDEF_64 SORTED']
/** Large libraries have some thousands. */
const mostMembers = 1 << 16
/** No name that can be made is longer. */
const longestName = 4096

export function isAr(start: Uint8Array): boolean {
  return latin1(start.subarray(0, magic.length)) === magic
}

/** Undefined for what is no archive, or a damaged one. */
export function readAr(bytes: Uint8Array): readonly ArMember[] | undefined {
  if (!isAr(bytes)) return undefined
  const members: ArMember[] = []
  let longNames = ''
  for (let at = magic.length; at < bytes.length;) {
    const header = latin1(bytes.subarray(at, at + headerSize))
    const size = /^ *(\d{1,10}) *$/.exec(header.slice(...sizeField))?.[1]
    if (size === undefined || header.slice(sizeField[1]) !== headerEnd) return undefined
    const start = at + headerSize
    const end = start + Number(size)
    if (end > bytes.length) return undefined
    const member = memberOf(header.slice(0, nameSize).trimEnd(), bytes.subarray(start, end), longNames)
    if (member === undefined || members.length === mostMembers) return undefined
    if (member.kind === 'names') longNames = latin1(member.content)
    members.push(member)
    // Members begin at even offsets.
    at = end + (end % 2)
  }
  return members
}

function memberOf(field: string, data: Uint8Array, longNames: string): ArMember | undefined {
  if (field === '//') return { kind: 'names', name: field, content: data }
  if (symbolTables.includes(field)) return { kind: 'symbols', name: field, content: data }
  const named = nameOf(field, data, longNames)
  if (named === undefined) return undefined
  const kind = symbolTables.includes(named.name) ? 'symbols' : 'file'
  return { kind, name: named.name, content: data.subarray(named.size) }
}

/** `size`: what the name takes of the data. */
function nameOf(field: string, data: Uint8Array, longNames: string): { readonly name: string; readonly size: number } | undefined {
  const [, bsd, gnu] = /^(?:#1\/(\d{1,4})|\/(\d{1,10}))$/.exec(field) ?? []
  if (bsd !== undefined) {
    const size = Number(bsd)
    if (size > Math.min(longestName, data.length)) return undefined
    return { name: withoutTrailing(latin1(data.subarray(0, size)), '\0'), size }
  }
  if (gnu === undefined) return { name: field.replace(/\/$/, ''), size: 0 }
  const start = Number(gnu)
  const end = longNames.indexOf('\n', start)
  if (end < 0 || end - start > longestName) return undefined
  return { name: longNames.slice(start, end).replace(/\/$/, ''), size: 0 }
}

/** The header of a member that has another name and size now; undefined where they do not fit, or the name stands elsewhere. */
export function renamedHeader(header: Uint8Array, name: string, size: number): Uint8Array | undefined {
  const text = latin1(header)
  const [sizeStart, sizeEnd] = sizeField
  if (/^(?:#1)?\//.test(text) || name.length >= nameSize || String(size).length > sizeEnd - sizeStart) return undefined
  // GNU ends names with a slash, Debian's tools do not.
  const ended = text.slice(0, nameSize).trimEnd().endsWith('/') ? `${name}/` : name
  return fromLatin1(
    ended.padEnd(nameSize) + text.slice(nameSize, sizeStart) + String(size).padEnd(sizeEnd - sizeStart) + text.slice(sizeEnd),
  )
}
