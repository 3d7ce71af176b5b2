import { about } from '../base/about.ts'
import { released } from '../base/bytes.ts'
import { digestStream } from '../base/digest.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { formatDistName } from '../base/name.ts'
import { decompress, magicSize, wireCodecOf } from '../engine/dist/wire.ts'
import { decodeNameHeader, isNameHeader, nameHeaderSize } from '../format/dist-name-header.ts'
import { markVerified } from '../base/verified.ts'
import { openInput, openSource, spoolToSource } from '../host/source.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { WireCodec } from '../engine/dist/wire.ts'
import type { Verified } from '../base/verified.ts'
import type { DeltaInfo, DeltaSide } from '../format/delta.ts'
import type { OpenSource } from '../host/source.ts'
import type { ByteSource } from '../port/source.ts'
import type { Context } from './command.ts'

/** Files that hold a tar, compressed or not, as the deltas see them: uncompressed. */

/** How an operand is to be read: `raw` leaves compressed files as they are. */
export type TarOperand = { readonly file: string; readonly raw: boolean }

/** For random access: the file itself where it is not compressed, otherwise what it holds in a temporary file. */
export async function openTarFile(operand: TarOperand, context: Context): Promise<OpenSource> {
  const plain = await openPlain(operand)
  return plain ?? (await about(operand.file, async () => await spoolToSource(await openTarStream(operand, context))))
}

/** Undefined for what is compressed, or no regular file. */
async function openPlain({ file, raw }: TarOperand): Promise<OpenSource | undefined> {
  const source = await openRegular(file)
  if (source === undefined || raw) return source
  try {
    if ((await about(file, async () => await codecIn(source))) === 'none') return source
  } catch (error) {
    await source.close()
    throw error
  }
  await source.close()
  return undefined
}

async function codecIn(source: ByteSource): Promise<WireCodec> {
  return wireCodecOf(await source.read(0, Math.min(magicSize, source.size)))
}

/** From the first byte to the last, for a caller that is done with a chunk when it asks for the next. */
export async function openTarStream(operand: TarOperand, context: Context): Promise<ByteStream> {
  const plain = await openPlain(operand)
  await plain?.close()
  if (plain !== undefined) return await openInput(operand.file, context.stdin, { reuse: true })
  const input = await openInput(operand.file, context.stdin)
  return operand.raw ? released(input) : decompress(input, undefined, { reuse: true })
}

/** Any file as it is; what is no regular file, by way of a temporary one. */
export async function openAnyFile(file: string, context: Context): Promise<OpenSource> {
  return (await openRegular(file)) ?? (await spoolToSource(await openInput(file, context.stdin)))
}

/** Undefined for stdin, pipes and the like, which can be read only once. */
async function openRegular(file: string): Promise<OpenSource | undefined> {
  if (file === '-') return undefined
  return await openSource(file).catch((error: unknown) => {
    if (isBinderyError(error, 'wrong-type')) return undefined
    throw error
  })
}

/** A file as the delta wants it: as it is where it has the size that is wanted, compressed or not, else what it holds. */
export async function operandFor(info: DeltaInfo, { file, raw }: TarOperand): Promise<TarOperand> {
  const source = await openRegular(file)
  try {
    return { file, raw: raw || (source !== undefined && (await isWantedAsItIs(info, source))) }
  } finally {
    await source?.close()
  }
}

/** Whatever a container is compressed with, it is nothing that is in the way. */
export async function isWantedAsItIs({ format, old }: DeltaInfo, source: ByteSource): Promise<boolean> {
  if (source.size === old.size) return true
  try {
    return format === 'bindery-container' && (await codecIn(source)) === 'none'
  } catch (error) {
    if (isBinderyError(error, 'not-supported')) return format === 'bindery-container'
    throw error
  }
}

/** Whether a file can be read twice. */
export async function isRegularFile(file: string): Promise<boolean> {
  const source = await openRegular(file)
  await source?.close()
  return source !== undefined
}

const chunkSize = 256 << 10

export async function* bytesOf(source: ByteSource, start = 0, end: number = source.size): ByteStream {
  for (let at = start; at < end; at += chunkSize) yield await source.read(at, Math.min(at + chunkSize, end))
}

/** The name that a dist gives itself; empty for any other file. */
export async function distNameIn(source: ByteSource): Promise<string> {
  const start = await source.read(0, Math.min(nameHeaderSize, source.size))
  return start.length === nameHeaderSize && isNameHeader(start) ? formatDistName(decodeNameHeader(start).name) : ''
}

/** Reads all of `file`: `wrong-base` unless it is what the delta leads from. */
export async function checkBase(base: TarOperand, info: DeltaInfo, context: Context): Promise<Verified<DeltaSide>> {
  return await about(base.file, async () => await checkStream(await openTarStream(base, context), base.file, info, context))
}

/** The same for what is open already. */
export async function checkSource(source: ByteSource, file: string, info: DeltaInfo, context: Context): Promise<Verified<DeltaSide>> {
  return await about(file, async () => await checkStream(bytesOf(source), file, info, context))
}

async function checkStream(bytes: ByteStream, file: string, info: DeltaInfo, context: Context): Promise<Verified<DeltaSide>> {
  const meter = context.progress.start('checking the base', info.old.size)
  try {
    const found = await digestStream(metered(bytes, context, (size) => meter.advance(size)))
    if (found.sha256 === info.old.sha256 && found.size === info.old.size) return markVerified(found)
    const isNew = found.sha256 === info.new.sha256
    throw new BinderyError('wrong-base', 'is not the file that the delta was made from', {
      subject: file === '-' ? 'stdin' : file,
      hint: isNew ? 'it is the one that the delta leads to' : info.oldName === '' ? undefined : `the delta was made from ${info.oldName}`,
    })
  } finally {
    meter.end()
  }
}

/** Passes a stream on and looks at every chunk whether somebody wants to stop. */
export async function* metered(stream: ByteStream, { signal }: Context, advance: (size: number) => void): ByteStream {
  for await (const bytes of stream) {
    signal.throwIfAborted()
    yield bytes
    advance(bytes.length)
  }
}
