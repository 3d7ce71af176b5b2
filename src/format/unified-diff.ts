import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { baseName, parseRelPath } from '../base/path.ts'
import type { RelPath } from '../base/path.ts'

/**
 * Which files a unified diff touches (diff(1), POSIX), as `patch -pN` would see them. Hunks are counted through, so that
 * a removed line that looks like a header is none.
 */

export type DiffFile = { readonly kind: 'added' | 'changed' | 'removed'; readonly path: RelPath }

const maxFiles = 10_000

/**
 * `firstLine` is the number of the diff's first line in its file. Throws `bad-format` with the number, `hostile` for a path.
 * Nothing is skipped: patch(1) knows diffs of other kinds, and finds them in any text, indented ones too.
 */
export function decodeDiffFiles(diff: Uint8Array, strip: number, firstLine: number): readonly DiffFile[] {
  const lines = latin1(diff).split('\n')
  // What follows the last line end.
  if (lines.at(-1) === '') lines.pop()
  const files: DiffFile[] = []
  let index: string | undefined
  let at = 0
  while (at < lines.length) {
    if (!beginsFile(lines, at)) {
      index = checkBetween(lines[at] as string, firstLine + at) ?? index
      at += 1
      continue
    }
    if (files.length === maxFiles) throw new BinderyError('over-limit', `touches more than ${maxFiles} files`)
    files.push(diffFile({ index, old: lines[at] as string, new: lines[at + 1] as string }, strip, firstLine + at))
    index = undefined
    at = skipHunks(lines, at + 2, firstLine)
  }
  if (files.length === 0) throw new BinderyError('bad-format', `line ${firstLine}: there is no unified diff`)
  return files
}

export function beginsFile(lines: readonly string[], at: number): boolean {
  return (lines[at] ?? '').startsWith('--- ') && (lines[at + 1] ?? '').startsWith('+++ ')
}

/** What cvs and git write between the files. */
const between =
  /^(?:Index: |=+$|RCS file: |retrieving revision |diff |index [0-9a-f]|(?:new|deleted) file mode |cvs (?:server|diff|rdiff): |\? |$)/
/** What patch(1) would do, or leave undone, beside the hunks. */
const besideHunks = /^(?:Binary files .* differ$|GIT binary patch|(?:rename|copy) (?:from|to) |(?:old|new) mode |\*\*\* )/

/** The name of an `Index:` line. */
function checkBetween(line: string, number: number): string | undefined {
  if (besideHunks.test(line))
    throw new BinderyError('not-supported', `line ${number}: is more than a unified diff can say: '${printable(line)}'`)
  if (!between.test(line)) throw badLine(number, 'is no line of a unified diff', line)
  return line.startsWith('Index: ') ? line.slice('Index: '.length).trim() : undefined
}

type Headers = { readonly index: string | undefined; readonly old: string; readonly new: string }

function diffFile(headers: Headers, strip: number, line: number): DiffFile {
  const [oldName, newName] = [headerName(headers.old), headerName(headers.new)]
  if (oldName === devNull && newName === devNull) throw badLine(line, 'names no file', headers.old)
  const path = stripped(headers.index ?? (newName === devNull ? oldName : newName), strip, line)
  for (const name of [oldName, newName]) if (name !== devNull) checkName(name, path, strip, line)
  return { kind: oldName === devNull ? 'added' : newName === devNull ? 'removed' : 'changed', path }
}

/** Each patch(1) has its own rule of choosing between names. Old versions of cvs wrote the whole path in `Index:` alone. */
function checkName(name: string, path: RelPath, strip: number, line: number): void {
  if (name === baseName(path)) return
  const named = stripped(name, strip, line)
  if (named !== path && named !== `${path}.orig`) throw badLine(line, `names another file than ${printable(path)}`, name)
}

const devNull = '/dev/null'

/** A tab ends the name; where there is none, it is the whole line. */
function headerName(header: string): string {
  return (header.slice('--- '.length).split('\t')[0] as string).trimEnd()
}

/** As `patch -pN`; a path that leads out of the folder is refused, as patch itself should. */
function stripped(name: string, strip: number, line: number): RelPath {
  const path = parseRelPath(name.split('/').slice(strip).join('/'))
  if (path === undefined || path === '.')
    throw new BinderyError('hostile', `line ${line}: '${printable(name)}' is no path below the sources`)
  return path
}

const hunkHeader = /^@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@/

function skipHunks(lines: readonly string[], start: number, firstLine: number): number {
  let at = start
  for (;;) {
    const header = hunkHeader.exec(lines[at] ?? '')
    if (header === null) return at
    at = skipHunk(lines, at, [Number(header[1] ?? '1'), Number(header[2] ?? '1')], firstLine)
  }
}

function skipHunk(lines: readonly string[], header: number, counts: readonly [number, number], firstLine: number): number {
  let [oldLeft, newLeft] = counts
  let at = header + 1
  for (; oldLeft > 0 || newLeft > 0; at += 1) {
    const line = lines[at]
    if (line === undefined) throw badLine(firstLine + header, 'the diff ends inside the hunk', lines[header] as string)
    const mark = line[0] ?? ' '
    if (mark === '\\') continue
    // An empty line is an empty line of context whose blank was lost by a mailer; patch(1) takes it so.
    if (mark === ' ' || mark === '-' || mark === '\t') oldLeft -= 1
    if (mark === ' ' || mark === '+' || mark === '\t') newLeft -= 1
    if (!' -+\t'.includes(mark) || oldLeft < 0 || newLeft < 0) throw badLine(firstLine + at, 'does not fit its hunk', line)
  }
  return lines[at]?.startsWith('\\') === true ? at + 1 : at
}

/** For every line that a reader of a patch cannot place. */
export function badLine(line: number, what: string, text: string, hint?: string): BinderyError {
  return new BinderyError('bad-format', `line ${line}: ${what}: '${printable(text)}'`, { hint })
}

const maxShown = 120

function printable(text: string): string {
  const line = text.replaceAll(/[^ -~]/g, (c) => (c === '\t' ? ' ' : `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`))
  return line.length > maxShown ? `${line.slice(0, maxShown)}...` : line
}
