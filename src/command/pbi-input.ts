import { about } from '../base/about.ts'
import { collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { readPbi } from '../engine/pkg/pbi.ts'
import { complaintOf, judgeSignatures } from '../engine/pkg/pbi-signature.ts'
import { rsaPublicKey } from '../format/rsa-key.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { openInput } from '../host/source.ts'
import type { KeyObject } from 'node:crypto'
import type { Pbi } from '../engine/pkg/pbi.ts'
import type { Context, Input } from './command.ts'

/** It is taken into memory, and so is what it holds. */
const mostPbi = 1 << 30
const mostKey = 64 << 10

export async function openPbi(context: Context, file: string): Promise<Pbi> {
  const bytes = await bytesOfFile(context, file, mostPbi)
  return await about(file, async () => await readPbi(bytes, loadLiblzma))
}

export async function bytesOfFile(context: Context, file: string, limit: number): Promise<Uint8Array> {
  const bytes = await collectBytes(await openInput(file, context.stdin), limit)
  if (bytes !== undefined) return bytes
  throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: file })
}

/** `read` tells what kind of key is wanted. */
export async function keyOf(
  context: Context,
  file: string | undefined,
  read: (pem: Uint8Array) => KeyObject,
): Promise<KeyObject | undefined> {
  if (file === undefined) return undefined
  const pem = await bytesOfFile(context, file, mostKey)
  return await about(file, () => read(pem))
}

/** A PBI whose signatures are right, where a key is given. */
export async function openTrusted(context: Context, input: Input, file: string): Promise<Pbi> {
  const key = await keyOf(context, input.value('pubkey'), rsaPublicKey)
  const pbi = await openPbi(context, file)
  const complaint = key && complaintOf(await judgeSignatures(pbi.header, key))
  if (complaint !== undefined) await about(file, () => Promise.reject(complaint))
  return pbi
}
