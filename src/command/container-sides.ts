import { byteReader } from '../base/byte-reader.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { mayHoldContainers } from '../engine/delta/container/may-hold.ts'
import { containerStartSize, kindOfContainer } from '../engine/delta/container/kind.ts'
import { openAnyFile, openTarStream, isRegularFile } from './tar-file.ts'
import type { Context, Input } from './command.ts'
import type { OpenSource } from '../host/source.ts'
import type { TarOperand } from './tar-file.ts'

/** Which bytes a delta is between: files as they are, or what is in them (doc/decisions/0117). */

export type Ways = {
  readonly old: TarOperand
  readonly new: TarOperand
  /** Whether containers in them are opened: wanted by name, where there are any, or never. */
  readonly opens: 'asked for' | 'where there are any' | 'never'
}

export async function chooseWays(context: Context, input: Input, files: { readonly old: string; readonly new: string }): Promise<Ways> {
  const isAsked = input.flag('exact') || input.flag('components')
  if (input.flag('raw')) {
    if (isAsked) throw new BinderyError('usage', '--raw opens nothing, --exact and --components do')
    return { old: { file: files.old, raw: true }, new: { file: files.new, raw: true }, opens: 'never' }
  }
  if (input.value('format') === 'bsdiff') {
    if (isAsked) throw new BinderyError('usage', 'a patch of --format bsdiff opens nothing')
    return { old: { file: files.old, raw: false }, new: { file: files.new, raw: false }, opens: 'never' }
  }
  const isItself = isAsked || (await standsForItself(files.new, context))
  return {
    old: { file: files.old, raw: isItself },
    new: { file: files.new, raw: isItself },
    opens: isAsked ? 'asked for' : 'where there are any',
  }
}

/** A tar in gzip or zstd stands for the tar; any other container is what somebody wants to have again. */
async function standsForItself(file: string, context: Context): Promise<boolean> {
  if (!(await isRegularFile(file))) return false
  const start = await startOf(file, context)
  switch (kindOfContainer(start)) {
    case 'gzip':
      return isCommented(start) || !(await holdsTar(file, context))
    case 'zstd':
      return !(await holdsTar(file, context))
    case 'tar':
    case 'other':
      return false
    default:
      return true
  }
}

async function startOf(file: string, context: Context): Promise<Uint8Array> {
  const source = await openAnyFile(file, context)
  try {
    return await source.read(0, Math.min(containerStartSize, source.size))
  } finally {
    await source.close()
  }
}

/** FCOMMENT: where OpenBSD's packages have their signature, which is lost with the wrapping. */
function isCommented(gzip: Uint8Array): boolean {
  return ((gzip[3] ?? 0) & 16) !== 0
}

/** What is damaged is told by whoever reads it all. */
async function holdsTar(file: string, context: Context): Promise<boolean> {
  const reader = byteReader(await openTarStream({ file, raw: false }, context), file)
  try {
    return kindOfContainer(await reader.peek(containerStartSize)) === 'tar'
  } catch (error) {
    if (isBinderyError(error)) return true
    throw error
  } finally {
    await reader.close()
  }
}

/** Containers are opened in memory. */
const mostOpened = 256 << 20

/** Both files as a whole, where there is something to open. */
export async function bytesToOpen(
  { old, new: next }: { readonly old: OpenSource; readonly new: OpenSource },
  opens: Ways['opens'],
): Promise<{ readonly old: Uint8Array; readonly new: Uint8Array } | undefined> {
  if (opens === 'never') return undefined
  if (opens === 'where there are any' && !(await mayHoldContainers(next))) return undefined
  if (Math.max(old.size, next.size) > mostOpened) {
    if (opens === 'asked for') throw new BinderyError('over-limit', 'containers are opened up to 256 MiB')
    return undefined
  }
  return { old: await old.read(0, old.size), new: await next.read(0, next.size) }
}
