/**
 * A safe path below a root: `.` for the root itself, otherwise components joined by `/`, none of them empty, `.` or
 * `..`, no NUL. Paths are bytes: the string holds one char per byte (U+0000 to U+00FF), so that `<` on two paths is
 * byte order, a path is a Map key, and a name that is not UTF-8 survives.
 */
export type RelPath = string & { readonly __brand: 'RelPath' }

export const rootPath = '.' as RelPath

/** Linux's PATH_MAX is 4096 with its NUL; nothing longer can be created. */
export const maxPathBytes = 4095
export const maxNameBytes = 255

/** Undefined unless `text` (one char per byte) is already a safe relative path. Nothing is repaired. */
export function parseRelPath(text: string): RelPath | undefined {
  if (text === '.') return rootPath
  if (text.length > maxPathBytes) return undefined
  for (const name of text.split('/')) if (!isSafeName(name)) return undefined
  return text as RelPath
}

function isSafeName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= maxNameBytes && !name.includes('\0')
}

/** A path typed by a user or written in our own source: UTF-8 text to bytes. */
export function pathFromText(text: string): RelPath | undefined {
  return parseRelPath(Buffer.from(text, 'utf8').toString('latin1'))
}

/** For people: UTF-8 where it is UTF-8, `\ooo` for what a terminal should not see, and for what turns the direction of a text. */
export function showPath(path: string): string {
  const text = Buffer.from(path, 'latin1').toString('utf8')
  return text.includes('\ufffd')
    ? path.replaceAll(/[\u0000-\u001f\u007f-\u00ff]/g, octal)
    : text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, octal)
}

function octal(char: string): string {
  const bytes = char < '\u0100' ? [char.charCodeAt(0)] : [...Buffer.from(char)]
  return bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}

export function joinPath(parent: RelPath, name: string): RelPath {
  return (parent === rootPath ? name : `${parent}/${name}`) as RelPath
}

/** The parent of `.` is `.`. */
export function parentPath(path: RelPath): RelPath {
  const slash = path.lastIndexOf('/')
  return (slash < 0 ? rootPath : path.slice(0, slash)) as RelPath
}

export function baseName(path: RelPath): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** `path` itself or anything below it. */
export function isWithin(path: RelPath, ancestor: RelPath): boolean {
  return ancestor === rootPath || path === ancestor || path.startsWith(`${ancestor}/`)
}

/** Byte order, with the root before all else: `!` and `-x` are less than `.`. */
export function comparePaths(a: RelPath, b: RelPath): number {
  if (a === rootPath || b === rootPath) return a === b ? 0 : a === rootPath ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}
