import { BinderyError } from '../base/error.ts'
import { fromLatin1, latin1 } from '../base/bytes.ts'
import { rootPath } from '../base/path.ts'
import type { Exec, ExecResult } from '../port/exec.ts'
import type { RelPath } from '../base/path.ts'

/** Node has no calls for attributes, flags and devices: the system's own tools do it, run in the root of the tree. */
export type DiskTools = { readonly exec: Exec; readonly root: string }

/**
 * `program args… path…` by way of xargs -0: node can only pass arguments that are UTF-8, names are bytes, and there may be
 * more of them than fit on a command line.
 */
export async function runOnPaths(tools: DiskTools, words: readonly string[], paths: readonly RelPath[]): Promise<ExecResult> {
  return await runWithOperands(tools, words, paths.map(dotted))
}

/** Operands are bytes as latin1. */
export async function runWithOperands(tools: DiskTools, words: readonly string[], operands: readonly string[]): Promise<ExecResult> {
  const input = fromLatin1(operands.map((operand) => `${operand}\0`).join(''))
  return await tools.exec.run('xargs', ['-0', ...words], { apart: true, cwd: tools.root, input })
}

/** `./path`: never taken for an option. */
export function dotted(path: RelPath): string {
  return path === rootPath ? path : `./${path}`
}

export function undotted(text: string): string {
  return text.startsWith('./') && text.length > 2 ? text.slice(2) : text
}

/** What a tool said when it failed; the disk's codes where the usual texts tell the reason. */
export function toolError(program: string, result: ExecResult, subject: string): BinderyError {
  const said = latin1(result.stderr).trim().split('\n')[0] ?? ''
  const facts = { subject, cause: new Error(`${program}: ${said}`) }
  if (/not permitted|[Pp]ermission denied/.test(said)) return new BinderyError('permission', 'permission denied', facts)
  if (/No such file/.test(said)) return new BinderyError('not-found', 'no such file or directory', facts)
  if (/File exists/.test(said)) return new BinderyError('exists', 'exists already', facts)
  if (/No space left/.test(said)) return new BinderyError('no-space', 'no space left on its file system', facts)
  if (/[Rr]ead-only file system/.test(said)) return new BinderyError('read-only', 'its file system is mounted read-only', facts)
  if (/not supported/.test(said)) return new BinderyError('not-supported', 'not supported by its file system', facts)
  return new BinderyError('io', said === '' ? `${program} failed` : said, facts)
}
