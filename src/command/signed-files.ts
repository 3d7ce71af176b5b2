import { basename } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, oneChunk } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { openInput } from '../host/source.ts'
import { writeOutput } from './output.ts'
import type { Context } from './command.ts'

/** What `sign` and `verify` read and write, `-` being stdin and stdout. */

/** As signify: an Ed25519 message is signed as a whole, so it has to be held. */
const maxMessageBytes = 1 << 30
const maxKeyFileBytes = 4096

export async function readMessage(context: Context, file: string): Promise<Uint8Array> {
  return await readAll(context, file, maxMessageBytes)
}

/** Decodes a key or a signature; its errors name the file. */
export async function readKeyFile<T>(
  context: Pick<Context, 'stdin'>,
  file: string,
  decode: (bytes: Uint8Array) => T | Promise<T>,
): Promise<T> {
  const bytes = await readAll(context, file, maxKeyFileBytes)
  return await about(file, () => decode(bytes))
}

/** A signature with its message; no message is larger. */
export async function readSigned<T>(context: Context, file: string, decode: (bytes: Uint8Array) => T): Promise<T> {
  const bytes = await readAll(context, file, maxMessageBytes + maxKeyFileBytes)
  return await about(file, () => decode(bytes))
}

export async function writeResult(context: Context, file: string, bytes: Uint8Array): Promise<void> {
  await writeOutput(context, file, oneChunk(bytes))
}

async function readAll(context: Pick<Context, 'stdin'>, file: string, limit: number): Promise<Uint8Array> {
  const bytes = await collectBytes(await openInput(file, context.stdin), limit)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: file })
  return bytes
}

/** MESSAGE.sig where none is named. */
export function signatureFile(named: string | undefined, message: string | undefined): string {
  if (named !== undefined) return named
  if (message === undefined || message === '-') throw new BinderyError('usage', '--signature is missing')
  return `${message}.sig`
}

/** What signify writes: a hint at the public key's name, which a verifier may look for and must not trust. */
export function signatureComment(secretKeyFile: string, keyComment: string): string {
  const name = basename(secretKeyFile)
  const text = name.endsWith('.sec') ? `verify with ${name.slice(0, -'.sec'.length)}.pub` : undefined
  return text === undefined ? `signature from ${keyComment}` : Buffer.from(text, 'utf8').toString('latin1')
}
