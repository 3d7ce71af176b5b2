import { readlinkSync } from 'node:fs'
import { concatBytes, fromHex, fromLatin1, hex, latin1, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath, showPath } from '../base/path.ts'
import { dotted, runOnPaths, runWithOperands, toolError, undotted } from './disk-tools.ts'
import type { Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { XattrsHow } from '../port/disk.ts'
import type { ExecResult } from '../port/exec.ts'
import type { DiskTools } from './disk-tools.ts'
import type { HostPath } from './host-path.ts'

/** Extended attributes through getfattr(1) and setfattr(1) of the `attr` package; Linux only. */

export async function hasXattrTools(tools: DiskTools): Promise<boolean> {
  return process.platform === 'linux' && (await tools.exec.has('getfattr')) && (await tools.exec.has('setfattr'))
}

export async function readXattrs(tools: DiskTools, paths: readonly RelPath[]): Promise<ReadonlyMap<RelPath, Xattrs>> {
  if (paths.length === 0) return new Map()
  const result = await runOnPaths(tools, ['getfattr', '-h', '-d', '-m', '-', '-e', 'hex', '--'], paths)
  refuseFailure(result, showPath(paths[0] as RelPath))
  return parseDump(latin1(result.stdout))
}

/**
 * xargs answers 123 when one of them failed: a path that has gone meanwhile, or a file system without attributes, which is no failure of
 * ours; 125 and 128 say that a signal cut the list short.
 */
function refuseFailure(result: ExecResult, shown: string): void {
  if (result.status !== 0 && (result.status > 123 || !onlyMissing(latin1(result.stderr)))) throw toolError('getfattr', result, shown)
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

/** Of what lies at the path, which may be a link. */
export async function writeXattrs(tools: DiskTools, path: RelPath, wanted: Wanted): Promise<void> {
  const present = (await readXattrs(tools, [path])).get(path) ?? new Map<string, string>()
  await change(tools, { operand: dotted(path), options: ['-h'] }, { present, wanted, shown: showPath(path) })
}

/** Of what has this name for certain, and is no link: what is open in this process, where `real` is below /proc/self/fd. */
export async function writeXattrsOf(tools: DiskTools, real: HostPath, shown: string, wanted: Wanted): Promise<void> {
  const target = targetOf(latin1(Buffer.from(real)))
  const words = ['getfattr', ...target.options, '-d', '-m', '-', '-e', 'hex', '--']
  const result = await runWithOperands(tools, words, [target.operand])
  refuseFailure(result, shown)
  const [present = new Map<string, string>()] = parseDump(latin1(result.stdout)).values()
  await change(tools, target, { present, wanted, shown })
}

/** A program has descriptors of its own, and ours below our number; those are names to be followed. */
function targetOf(real: string): Target {
  const own = '/proc/self/fd/'
  return real.startsWith(own)
    ? { operand: `/proc/${readlinkSync('/proc/self')}/fd/${real.slice(own.length)}`, options: [] }
    : { operand: real, options: ['-h'] }
}

/** What is to be there, and the names that are left as they are. */
export type Wanted = { readonly xattrs: Xattrs; readonly stays: XattrsHow['stays'] }

type Change = { readonly present: Xattrs; readonly wanted: Wanted; readonly shown: string }

/** The name that a program is given for a file, and how it is told to take it. */
type Target = { readonly operand: string; readonly options: readonly string[] }

async function change(tools: DiskTools, { operand, options }: Target, { present, wanted, shown }: Change): Promise<void> {
  const { xattrs, stays } = wanted
  for (const name of present.keys()) {
    if (xattrs.has(name) || stays?.(name) === true) continue
    const result = await runWithOperands(tools, ['setfattr', ...options], ['-x', name, '--', operand])
    if (result.status !== 0) throw toolError('setfattr', result, shown)
  }
  const others = [...xattrs].filter(([name, value]) => present.get(name) !== value && stays?.(name) !== true)
  if (others.length === 0) return
  const lines = others.map(([name, value]) => `${quote(name)}=0x${hex(fromLatin1(value))}\n`)
  const dump = concatBytes([fromLatin1(`# file: ${quote(operand)}\n`), utf8(lines.join(''))])
  const result = await tools.exec.run('setfattr', [...options, '--restore=-'], { apart: true, cwd: tools.root, input: dump })
  if (result.status !== 0) throw toolError('setfattr', result, shown)
}
