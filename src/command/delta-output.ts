import { statSync } from 'node:fs'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { deltaFileName } from '../base/name.ts'
import type { Context, Input } from './command.ts'

/** Names of the dists on both sides; empty where a side is just a file. */
export type Names = { readonly oldName: string; readonly newName: string }

/** Where a delta goes: the file of `--output`, its usual name in the folder of `--output` or here, or `-`. */
export function deltaOutput(context: Context, input: Input, names: Names, format: 'bindery' | 'bsdiff'): string {
  const given = input.value('output')
  if (given === '-' && context.isTerminal.stdout)
    throw new BinderyError('usage', 'a delta is nothing for a terminal', { hint: 'name a file with -o' })
  const isFolder = given !== undefined && given !== '-' && statSync(given, { throwIfNoEntry: false })?.isDirectory() === true
  if (given !== undefined && !isFolder) return given
  return join(isFolder ? given : '', usualName(names, format))
}

function usualName({ oldName, newName }: Names, format: 'bindery' | 'bsdiff'): string {
  if (oldName === '' || newName === '')
    throw new BinderyError('usage', '--output is missing', { hint: 'only between two dists has a delta a name by itself' })
  const name = deltaFileName(oldName, newName)
  return format === 'bindery' ? name : name.replace(/delta$/, 'bsdiff')
}
