import { concatBytes, fromHex, fromLatin1, hex, latin1, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath, showPath } from '../base/path.ts'
import { dotted, runOnPaths, runWithOperands, toolError, undotted } from './disk-tools.ts'
import type { Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { DiskTools } from './disk-tools.ts'

/** Extended attributes through getfattr(1) and setfattr(1) of the `attr` package; Linux only. */

export async function hasXattrTools(tools: DiskTools): Promise<boolean> {
  return process.platform === 'linux' && (await tools.exec.has('getfattr')) && (await tools.exec.has('setfattr'))
}

export async function readXattrs(tools: DiskTools, paths: readonly RelPath[]): Promise<ReadonlyMap<RelPath, Xattrs>> {
  if (paths.length === 0) return new Map()
  const result = await runOnPaths(tools, ['getfattr', '-h', '-d', '-m', '-', '-e', 'hex', '--'], paths)
  // xargs answers 123 when one of them failed: a path that has gone meanwhile, which is no failure of ours; 125 and 128 say
  // that a signal cut the list short.
  if (result.status !== 0 && (result.status > 123 || !onlyMissing(latin1(result.stderr))))
    throw toolError('getfattr', result, showPath(paths[0] as RelPath))
  return parseDump(latin1(result.stdout))
}

function onlyMissing(talk: string): boolean {
  return talk
    .split('\n')
    .every((line) => line === '' || line.endsWith(': No such file or directory') || line.endsWith(': Operation not supported'))
}

/** The text form of getfattr --dump: `# file: PATH`, then `NAME=0xHEX` lines, then an empty line; octal escapes. */
export function parseDump(dump: string): ReadonlyMap<RelPath, Xattrs> {
  const found = new Map<RelPath, Xattrs>()
  for (const record of dump.split('\n\n')) {
    const [head, ...lines] = record.split('\n').filter((line) => line !== '')
    if (head === undefined) continue
    const path = head.startsWith('# file: ') ? parseRelPath(undotted(unquote(head.slice(8)))) : undefined
    if (path === undefined) throw new BinderyError('io', 'getfattr printed something unexpected', { subject: head })
    found.set(path, new Map(lines.map(parseAttribute)))
  }
  return found
}

function parseAttribute(line: string): [string, string] {
  const equals = line.indexOf('=')
  // A value in hex starts with 0x; attributes without a value are printed as a bare name.
  const value = equals < 0 ? fromHex('') : line.startsWith('0x', equals + 1) ? fromHex(line.slice(equals + 3)) : undefined
  if (value === undefined) throw new BinderyError('io', 'getfattr printed something unexpected', { subject: line })
  return [unquote(equals < 0 ? line : line.slice(0, equals)), latin1(value)]
}

function unquote(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
}

function quote(text: string): string {
  return text.replaceAll(/[^ -~]|[\\=]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

export async function writeXattrs(tools: DiskTools, path: RelPath, xattrs: Xattrs): Promise<void> {
  const present = (await readXattrs(tools, [path])).get(path) ?? new Map<string, string>()
  for (const name of present.keys()) if (!xattrs.has(name)) await removeXattr(tools, path, name)
  const wanted = [...xattrs].filter(([name, value]) => present.get(name) !== value)
  if (wanted.length === 0) return
  const lines = wanted.map(([name, value]) => `${quote(name)}=0x${hex(fromLatin1(value))}\n`)
  const dump = concatBytes([fromLatin1(`# file: ${quote(dotted(path))}\n`), utf8(lines.join(''))])
  const result = await tools.exec.run('setfattr', ['-h', '--restore=-'], { apart: true, cwd: tools.root, input: dump })
  if (result.status !== 0) throw toolError('setfattr', result, showPath(path))
}

async function removeXattr(tools: DiskTools, path: RelPath, name: string): Promise<void> {
  const operands = ['-x', name, '--', dotted(path)]
  const result = await runWithOperands(tools, ['setfattr', '-h'], operands)
  if (result.status !== 0) throw toolError('setfattr', result, showPath(path))
}
