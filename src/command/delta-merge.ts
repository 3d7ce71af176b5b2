import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { about } from '../base/about.ts'
import { BinderyError } from '../base/error.ts'
import { checkFollows, makeMerged, throughBoth } from '../engine/delta/merge.ts'
import { readBinderyInfo } from './delta-info.ts'
import { deltaOutput } from './delta-output.ts'
import { spoolToSource } from '../host/source.ts'
import { refuseMakingOptions } from './idle-options.ts'
import { print, writeOutput } from './output.ts'
import { bytesOf, checkBase, isRegularFile, metered, openAnyFile, openTarFile } from './tar-file.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Link } from '../engine/delta/merge.ts'
import type { OpenSource } from '../host/source.ts'
import type { Context, Input } from './command.ts'
import type { TarOperand } from './tar-file.ts'

/** Nothing is written where the two deltas together are no larger than the one. */
const chainIsSmaller = 1

type OpenLink = Link & { readonly size: number }

/** `delta --merge`: two deltas that follow on each other become one; answers the exit status. */
export async function mergeDeltas(context: Context, input: Input): Promise<number> {
  const [firstFile, secondFile, oldFile] = operandsOf(input)
  const old = { file: oldFile, raw: input.flag('raw') }
  return await withDelta(context, firstFile, async (first) => {
    return await withDelta(context, secondFile, async (second) => {
      await about(second.label, () => checkFollows(first.info, second.info))
      const names = { oldName: first.info.oldName, newName: second.info.newName }
      return await mergeInto(context, input, { first, second, old, output: deltaOutput(context, input, names, 'bindery') })
    })
  })
}

function operandsOf(input: Input): readonly [string, string, string] {
  const [first, second, old] = input.operands
  refuseMakingOptions(input, '--merge', ['format'])
  if (input.flag('json') && input.value('output') === '-')
    throw new BinderyError('usage', '--json and the delta cannot both go to stdout', { hint: 'name a file with -o' })
  if (first === undefined || second === undefined) throw new BinderyError('usage', 'an operand is missing: --merge takes two deltas')
  if (old === undefined)
    throw new BinderyError('usage', 'OLD is missing: what a delta changes is known only together with the bytes that it changes', {
      hint: `bindery delta --merge ${first} ${second} OLD`,
    })
  if ([first, second, old].filter((file) => file === '-').length > 1)
    throw new BinderyError('usage', 'only one of DELTA, NEXT and OLD can be stdin')
  return [first, second, old]
}

async function withDelta<T>(context: Context, file: string, use: (delta: OpenLink) => Promise<T>): Promise<T> {
  const source = await openAnyFile(file, context)
  const label = labelOf(file)
  try {
    const info = await about(label, async () => await readBinderyInfo(bytesOf(source), label))
    if (info.format === 'bindery-container')
      throw new BinderyError('not-supported', 'is a delta between containers, and these are not joined', { subject: label })
    return await use({ label, size: source.size, info, open: () => bytesOf(source) })
  } finally {
    await source.close()
  }
}

function labelOf(file: string): string {
  return file === '-' ? 'stdin' : file
}

type Job = { readonly first: OpenLink; readonly second: OpenLink; readonly old: TarOperand; readonly output: string }

async function mergeInto(context: Context, input: Input, job: Job): Promise<number> {
  const { first, second, old, output } = job
  if (await isRegularFile(old.file)) await checkBase(old, first.info, context)
  const base = await openTarFile(old, context)
  try {
    const merged = await madeAside(context, job, base)
    try {
      const isSmaller = merged.size < first.size + second.size
      if (isSmaller) await writeOutput(context, output, bytesOf(merged))
      await report(context, input, { merged: isSmaller, size: merged.size, chain: first.size + second.size }, output)
      return isSmaller ? 0 : chainIsSmaller
    } finally {
      await merged.close()
    }
  } finally {
    await base.close()
  }
}

/** Temporary files lie where the result will, which a small /tmp would not hold; where that is no file, in their usual place. */
function spoolBeside(output: string, stream: ByteStream): Promise<OpenSource> {
  const isFile = output !== '-' && (statSync(output, { throwIfNoEntry: false })?.isFile() ?? true)
  return spoolToSource(stream, isFile ? dirname(output) : undefined)
}

async function madeAside(context: Context, { first, second, old, output }: Job, base: OpenSource): Promise<OpenSource> {
  const { size } = second.info.new
  const patching = context.progress.start('patching', size)
  const made = metered(throughBoth(first, second, { label: labelOf(old.file), bytes: bytesOf(base) }), context, (bytes) =>
    patching.advance(bytes),
  )
  const next = await spoolBeside(output, made).finally(() => patching.end())
  const meter = context.progress.start('delta', size)
  try {
    return await spoolBeside(output, makeMerged({ first, second, old: base, new: next, meter, signal: context.signal }))
  } finally {
    meter.end()
    await next.close()
  }
}

type Merged = { readonly merged: boolean; readonly size: number; readonly chain: number }

async function report(context: Context, input: Input, result: Merged, output: string): Promise<void> {
  if (input.flag('json')) await print(context, `${JSON.stringify(result)}\n`)
  if (result.merged) context.explain(`${output}: ${result.size} bytes for ${result.chain}`)
  else context.say(`the chain is no larger: ${result.chain} bytes in two deltas, ${result.size} in one; nothing is written`)
}
