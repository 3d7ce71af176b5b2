import { about, aboutStream, withSubject } from '../base/about.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { applyDelta, readDeltaInfo, usualMemory } from '../engine/delta/apply.ts'
import { streamBsdiff } from '../engine/delta/bsdiff.ts'
import { bsdiffFormat, bsdiffMagicSize } from '../format/bsdiff.ts'
import { isContainerDelta } from '../format/container-delta.ts'
import { sharedFlags } from './flags.ts'
import { writeOutput } from './output.ts'
import { bytesOf, checkBase, isRegularFile, metered, openAnyFile, openTarFile, openTarStream, operandFor } from './tar-file.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { DeltaInfo } from '../format/delta.ts'
import type { OpenSource } from '../host/source.ts'
import type { Command, Context, Input } from './command.ts'
import type { TarOperand } from './tar-file.ts'

/** Undoes what `delta` does with containers. Who only takes updates has no use for that. */
export type PatchContainer = (job: ContainerJob) => Promise<ByteStream>

/** `memory`: what is granted; undefined where nobody says. */
export type ContainerJob = {
  readonly context: Context
  readonly delta: OpenSource
  readonly old: TarOperand
  readonly memory: number | undefined
}

export function patchCommand(patchContainer: PatchContainer | undefined): Command {
  return { ...description, run: async (context, input) => await run(context, input, patchContainer) }
}

const description: Omit<Command, 'run'> = {
  name: 'patch',
  summary: 'apply a delta: old bytes in, new bytes out',
  operands: 'DELTA [OLD]',
  operandCount: { min: 1, max: 2 },
  options: {
    output: { ...sharedFlags.output, help: 'write to FILE instead of stdout, whole or not at all' },
    raw: { kind: 'flag', help: 'take OLD as it is, compressed or not' },
    memory: { kind: 'value', value: 'MIB', help: 'refuse deltas that take more memory (default: 256; between containers: 768)' },
  },
  examples: [
    'gunzip < old.tgz | bindery patch update.delta | tar -xpf - -C stage',
    'bindery patch update.delta old.tar.zst -o new.tar',
    'bindery patch update.bsdiff old -o new',
  ],
}

async function run(context: Context, input: Input, patchContainer: PatchContainer | undefined): Promise<number> {
  const [file, oldFile = '-'] = input.operands as [string, string | undefined]
  const old = { file: oldFile, raw: input.flag('raw') }
  const output = input.value('output') ?? '-'
  if (file === '-' && oldFile === '-') throw new BinderyError('usage', 'DELTA and OLD cannot both be stdin')
  if (oldFile === '-' && context.isTerminal.stdin) throw new BinderyError('usage', 'OLD is missing, and stdin is a terminal')
  if (output === '-' && context.isTerminal.stdout)
    throw new BinderyError('usage', 'a tar is nothing for a terminal', { hint: 'pipe it on, or name a file with -o' })
  const job = { context, file, old, memory: memoryOf(input), delta: await openAnyFile(file, context), patchContainer }
  try {
    await writeOutput(context, output, await patched(job))
  } finally {
    await job.delta.close()
  }
  return 0
}

type Job = {
  readonly context: Context
  readonly file: string
  readonly delta: OpenSource
  readonly old: TarOperand
  readonly memory: number | undefined
  readonly patchContainer: PatchContainer | undefined
}

function memoryOf(input: Input): number | undefined {
  const text = input.value('memory')
  if (text === undefined) return undefined
  if (!/^[1-9][0-9]{0,6}$/.test(text)) throw new BinderyError('usage', `--memory: '${text}' is no number of MiB`)
  return Number(text) * 2 ** 20
}

async function patched(job: Job): Promise<ByteStream> {
  const { file, delta } = job
  const start = await delta.read(0, Math.min(bsdiffMagicSize, delta.size))
  if (isContainerDelta(start)) return patchedByContainer(job)
  return (await about(file, () => bsdiffFormat(start))) === undefined ? await patchedByDelta(job) : patchedByBsdiff(job)
}

async function* patchedByContainer({ patchContainer, ...job }: Job): ByteStream {
  if (patchContainer === undefined)
    throw new BinderyError('not-supported', 'is a delta between containers, which the client alone does not open', { subject: job.file })
  yield* blaming(job, await patchContainer(job))
}

/** A base that can be read twice is checked as a whole before the first new byte. */
async function patchedByDelta(job: Job): Promise<ByteStream> {
  const { context, file, delta, memory = usualMemory } = job
  const info = await about(file, async () => await readDeltaInfo(bytesOf(delta)))
  const old = await operandFor(info, job.old)
  const mayCheck = info.memory <= memory && (await isRegularFile(old.file))
  const checked = mayCheck ? await checkBase(old, info, context) : undefined
  const base = aboutStream(nameOf(old), opened(old, context))
  const made = applyDelta(bytesOf(delta), base, { memory, reuse: true, checked })
  return withMeter(context, info, blaming({ file, old }, checked === undefined ? made : fromChecked({ ...job, old }, info, made)))
}

/** A base that was checked is not looked at again while it flows: where something does not fit, it may have changed since. */
async function* fromChecked({ old, context }: Job, info: DeltaInfo, made: ByteStream): ByteStream {
  try {
    yield* made
  } catch (error) {
    if (isBinderyError(error) && error.subject === undefined) await checkUnchanged(old, info, context)
    throw error
  }
}

async function checkUnchanged(old: TarOperand, info: DeltaInfo, context: Context): Promise<void> {
  try {
    await checkBase(old, info, context)
  } catch (cause) {
    if (!isBinderyError(cause, 'wrong-base')) throw cause
    throw new BinderyError('wrong-base', 'changed while it was read', { subject: nameOf(old), cause })
  }
}

/** Opened by whoever reads it: a delta that is refused before that leaves nothing open. */
async function* opened(old: TarOperand, context: Context): ByteStream {
  yield* await openTarStream(old, context)
}

/** What does not fit is the base's fault, anything else the delta's. */
async function* blaming({ file, old }: Pick<Job, 'file' | 'old'>, made: ByteStream): ByteStream {
  try {
    yield* made
  } catch (error) {
    throw withSubject(error, isBinderyError(error, 'wrong-base') ? nameOf(old) : file)
  }
}

function nameOf({ file }: TarOperand): string {
  return file === '-' ? 'stdin' : file
}

export async function* withMeter(context: Context, info: DeltaInfo, made: ByteStream): ByteStream {
  const meter = context.progress.start('patching', info.new.size)
  try {
    yield* metered(made, context, (size) => meter.advance(size))
  } finally {
    meter.end()
  }
}

/** The patch is held in memory, of the old file only pieces are. */
async function* patchedByBsdiff({ context, file, delta, old, memory = usualMemory }: Job): ByteStream {
  if (delta.size > memory) throw new BinderyError('over-limit', `takes ${delta.size} bytes of memory to apply`, { subject: file })
  const base = await openTarFile(old, context)
  try {
    yield* metered(streamBsdiff(await delta.read(0, delta.size), base), context, () => {})
  } finally {
    await base.close()
  }
}
