import { about } from '../base/about.ts'
import { collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { checkFirstRoot } from '../engine/repo/update-root.ts'
import { openInput } from '../host/source.ts'
import type { Context } from './command.ts'

const maxRootBytes = 1 << 20

/** A root of trust that came by a trusted way; it must be signed by itself. */
export async function readRootFile({ stdin }: Pick<Context, 'stdin'>, file: string): Promise<Uint8Array> {
  const bytes = await collectBytes(await openInput(file, stdin), maxRootBytes)
  if (bytes === undefined) throw new BinderyError('over-limit', 'is too large for a root', { subject: file })
  await about(file, () => checkFirstRoot(bytes))
  return bytes
}
