import { byteReader } from '../base/byte-reader.ts'
import { applyContainerDelta, readContainerFront, usualContainerMemory } from '../engine/delta/container/apply.ts'
import { decompress } from '../engine/dist/wire.ts'
import { containerInfo } from '../format/container-delta.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { spoolToSource } from '../host/source.ts'
import { patchCommand, withMeter } from './patch-delta.ts'
import { bytesOf, checkSource, isWantedAsItIs, openTarFile, operandFor } from './tar-file.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { DeltaInfo } from '../format/delta.ts'
import type { OpenSource } from '../host/source.ts'
import type { Command, Context } from './command.ts'
import type { ContainerJob } from './patch-delta.ts'
import type { TarOperand } from './tar-file.ts'

/** `patch` of the whole tool: containers are opened and closed again. */
export const patch: Command = patchCommand(async (job) => patchedContainer(job))

async function* patchedContainer({ context, delta, old, memory = usualContainerMemory }: ContainerJob): ByteStream {
  const info = await infoOf(delta)
  const source = await openOld(old, info, context)
  try {
    const checked = await checkSource(source, old.file, info, context)
    const made = applyContainerDelta(delta, { source, checked }, { memory, loadXz: loadLiblzma })
    yield* withMeter(context, info, made)
  } finally {
    await source.close()
  }
}

async function infoOf(delta: OpenSource): Promise<DeltaInfo> {
  const reader = byteReader(bytesOf(delta), 'the delta')
  try {
    return containerInfo((await readContainerFront(reader)).header)
  } finally {
    await reader.close()
  }
}

/** Containers are read at random: what comes from a pipe is kept aside, as it is or, where that has another size, as what it holds. */
async function openOld(old: TarOperand, info: DeltaInfo, context: Context): Promise<OpenSource> {
  const operand = await operandFor(info, old)
  if (old.file !== '-') return await openTarFile(operand, context)
  const kept = await openTarFile({ file: '-', raw: true }, context)
  if (old.raw || (await isWantedAsItIs(info, kept))) return kept
  try {
    return await spoolToSource(decompress(bytesOf(kept)))
  } finally {
    await kept.close()
  }
}
