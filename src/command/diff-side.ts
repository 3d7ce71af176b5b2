import { collectBytes, latin1 } from '../base/bytes.ts'
import { byteReader } from '../base/byte-reader.ts'
import { BinderyError } from '../base/error.ts'
import { describeDist } from '../engine/dist/read.ts'
import { decompress } from '../engine/dist/wire.ts'
import { decodeManifest, isManifest } from '../format/manifest.ts'
import { manifestLimits } from '../format/manifest-check.ts'
import { decodeMtree } from '../format/mtree.ts'
import { openInput } from '../host/source.ts'
import { isTree, openTree, scanWithProgress } from './tree-input.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Side } from '../engine/tree/compare.ts'
import type { Context } from './command.ts'

/** What an operand of `diff` says: a tree, a manifest, an mtree file or a dist, these compressed or not, `-` for stdin. */
export async function readSide(operand: string, context: Context): Promise<Side> {
  if (operand !== '-' && isTree(operand)) return await readTree(operand, context)
  const reader = byteReader(decompress(await openInput(operand, context.stdin)), operand)
  try {
    const head = await reader.peek(headSize)
    if (isTar(head)) return { manifest: (await describeDist(reader.stream(Infinity))).manifest, gaps: new Set(['sockets']) }
    return await readManifest(head, reader.stream(Infinity))
  } catch (error) {
    throw aboutOperand(error, operand)
  } finally {
    await reader.close()
  }
}

async function readTree(operand: string, context: Context): Promise<Side> {
  const disk = openTree(operand)
  const capabilities = await disk.capabilities()
  const gaps = (['xattrs', 'flags'] as const).filter((gap) => !capabilities[gap])
  return { manifest: await scanWithProgress(disk, context), gaps: new Set(gaps) }
}

const headSize = 512

/** `ustar` stands in every header block at the same place. */
function isTar(head: Uint8Array): boolean {
  return latin1(head.subarray(257, 262)) === 'ustar'
}

async function readManifest(head: Uint8Array, stream: ByteStream): Promise<Side> {
  if (!isManifest(head) && !looksLikeMtree(latin1(head))) {
    throw new BinderyError('bad-format', 'is no tree, manifest, mtree file or dist')
  }
  const bytes = await collectBytes(stream, manifestLimits.bytes)
  if (bytes === undefined) throw new BinderyError('over-limit', `a manifest of more than ${manifestLimits.bytes >> 20} MiB`)
  return isManifest(head) ? { manifest: decodeManifest(bytes), gaps: new Set() } : decodeMtree(bytes)
}

/** Comments, blank lines and /set come before the first entry, which is `.` or a path. */
function looksLikeMtree(head: string): boolean {
  return /^\s*(?:#|\/set\s|\.[\s/])/.test(head)
}

/** The decoders know lines and members, not files. */
function aboutOperand(error: unknown, operand: string): unknown {
  if (!(error instanceof BinderyError) || error.subject === operand) return error
  const message = error.subject === undefined ? error.message : `${error.subject}: ${error.message}`
  return new BinderyError(error.code, message, { subject: operand === '-' ? 'stdin' : operand, hint: error.hint, cause: error })
}
