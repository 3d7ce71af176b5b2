import { about } from '../base/about.ts'
import { byteReader } from '../base/byte-reader.ts'
import { BinderyError } from '../base/error.ts'
import { readDeltaInfo } from '../engine/delta/apply.ts'
import { readContainerFront } from '../engine/delta/container/apply.ts'
import { containerInfo, isContainerDelta } from '../format/container-delta.ts'
import { bsdiffFormat, bsdiffMagicSize } from '../format/bsdiff.ts'
import { openInput } from '../host/source.ts'
import { checkBase, operandFor } from './tar-file.ts'
import { refuseMakingOptions } from './idle-options.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { DeltaInfo } from '../format/delta.ts'
import type { Context, Input } from './command.ts'

/** `delta --info`: what a delta says of itself, or, with a base, only whether it fits (`wrong-base` if not). */
export async function deltaInfoOf(context: Context, input: Input): Promise<number> {
  const [file, base] = input.operands as [string, string | undefined]
  refuseMakingOptions(input, '--info', ['output', 'format'])
  if (file === '-' && base === '-') throw new BinderyError('usage', 'DELTA and BASE cannot both be stdin')
  const info = await about(file, async () => await readBinderyInfo(await openInput(file, context.stdin), file))
  if (base === undefined) await context.out(input.flag('json') ? `${JSON.stringify(jsonOf(info))}\n` : textOf(info))
  else await checkBase(await operandFor(info, { file: base, raw: input.flag('raw') }), info, context)
  return 0
}

/** `not-supported` for a patch of another program, which does not tell. */
export async function readBinderyInfo(delta: ByteStream, file: string): Promise<DeltaInfo> {
  const reader = byteReader(delta, file)
  try {
    const start = await reader.peek(bsdiffMagicSize)
    if (isContainerDelta(start)) return containerInfo((await readContainerFront(reader)).header)
    const format = bsdiffFormat(start)
    if (format === undefined) return await readDeltaInfo(reader.stream(Infinity))
    throw new BinderyError('not-supported', `is a patch in the format ${format}, which does not say what it applies to`)
  } finally {
    await reader.close()
  }
}

function textOf(info: DeltaInfo): string {
  const lines = [
    ['format', `${info.format} ${info.version}`],
    ...(info.container === undefined ? [] : [['container', info.container]]),
    ...(info.oldName === '' ? [] : [['old', info.oldName]]),
    ['old-size', info.old.size],
    ['old-sha256', info.old.sha256],
    ...(info.newName === '' ? [] : [['new', info.newName]]),
    ['new-size', info.new.size],
    ['new-sha256', info.new.sha256],
    ['memory', info.memory],
  ]
  return lines.map(([key, value]) => `${key} ${value}\n`).join('')
}

function jsonOf({ format, version, container, oldName, newName, old, new: next, memory }: DeltaInfo): object {
  return {
    format,
    version,
    ...(container === undefined ? {} : { container }),
    old: { name: oldName, ...old },
    new: { name: newName, ...next },
    memory,
  }
}
