import { oneChunk } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { makeBsdiff } from '../engine/delta/bsdiff.ts'
import { deltaAccountant } from '../engine/delta/account.ts'
import { makeContainerDelta, openSides } from '../engine/delta/container/make.ts'
import { withoutCompression } from '../engine/delta/container/without-compression.ts'
import { meansOf, usualEffort } from '../engine/delta/effort.ts'
import { makeDelta } from '../engine/delta/make.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { bytesToOpen, chooseWays } from './container-sides.ts'
import { tellContainerAccount } from './container-account.ts'
import { tellAccount } from './delta-account.ts'
import { deltaInfoOf } from './delta-info.ts'
import { mergeDeltas } from './delta-merge.ts'
import { deltaOutput } from './delta-output.ts'
import { sharedFlags } from './flags.ts'
import { refuseMakingOptions } from './idle-options.ts'
import { makingOf, makingOptions } from './making.ts'
import { writeOutput } from './output.ts'
import { distNameIn, openTarFile } from './tar-file.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { OpenSource } from '../host/source.ts'
import type { MadeDelta } from '../engine/delta/container/make.ts'
import type { Ways } from './container-sides.ts'
import type { Command, Context, Input } from './command.ts'

export const delta: Command = {
  name: 'delta',
  summary: 'make a delta between two dists or other files, join two, or tell what one applies to',
  operands: 'OLD NEW | --merge DELTA NEXT OLD | --info DELTA [BASE]',
  operandCount: { min: 1, max: 3 },
  options: {
    output: { ...sharedFlags.output, help: 'the delta, or a folder for it (default: OLD_to_NEW.delta here); - is stdout' },
    format: { kind: 'value', value: 'FORMAT', help: 'bindery or bsdiff (default: bindery)' },
    ...makingOptions,
    explain: { kind: 'flag', help: 'tell what each file costs in the delta, and how it is made' },
    raw: { kind: 'flag', help: 'take compressed files as they are, and open nothing in them' },
    exact: { kind: 'flag', help: 'make NEW itself again, bit for bit, also where it is a tar in gzip or zstd' },
    components: { kind: 'flag', help: 'make NEW with all that is in it uncompressed: a smaller delta, and quicker to apply' },
    merge: { kind: 'flag', help: 'join DELTA and NEXT, which goes on from it, into one delta from OLD, where that is smaller' },
    info: { kind: 'flag', help: 'tell what DELTA leads from and to and what it needs, or whether it applies to BASE' },
    json: { ...sharedFlags.json, help: 'with --info, --merge or --explain: print JSON' },
  },
  examples: [
    'bindery delta base-1.0-20260101-amd64.tar.zst base-1.1-20260201-amd64.tar.zst',
    'bindery delta old.tgz new.tgz -o update.delta',
    'bindery delta --effort 9 old.tar new.tar -o update.delta',
    'bindery delta hello_1.0_amd64.deb hello_1.1_amd64.deb -o hello.delta',
    'bindery delta --exact hello-1.0.tgz hello-1.1.tgz -o hello.delta',
    'bindery delta --explain old.tar new.tar -o update.delta',
    'bindery delta --format bsdiff old new -o update.bsdiff',
    'bindery delta --merge 1.0_to_1.1.delta 1.1_to_1.2.delta 1.0.tar.zst -o 1.0_to_1.2.delta',
    'bindery delta --info update.delta old.tgz && bindery patch update.delta old.tgz -o new.tar',
  ],
  run: async (context, input) => {
    if (input.flag('info') && input.flag('merge')) throw new BinderyError('usage', '--info and --merge do not go together')
    if (input.flag('merge')) return await mergeDeltas(context, input)
    if (input.operands.length > 2) throw new BinderyError('usage', `unexpected operand '${input.operands[2] as string}'`)
    if (input.flag('info')) return await deltaInfoOf(context, input)
    if (input.flag('json') && !input.flag('explain'))
      throw new BinderyError('usage', '--json means nothing without --info, --merge or --explain')
    await makeFromFiles(context, input)
    return 0
  },
}

type Sides = { readonly old: OpenSource; readonly new: OpenSource }

async function makeFromFiles(context: Context, input: Input): Promise<void> {
  const [oldFile, newFile] = input.operands as [string, string | undefined]
  if (newFile === undefined) throw new BinderyError('usage', 'an operand is missing')
  if (oldFile === '-' && newFile === '-') throw new BinderyError('usage', 'OLD and NEW cannot both be stdin')
  const format = formatOf(input)
  if (format === 'bsdiff') refuseMakingOptions(input, '--format bsdiff')
  const ways = await chooseWays(context, input, { old: oldFile, new: newFile })
  const old = await openTarFile(ways.old, context)
  try {
    const next = await openTarFile(ways.new, context)
    try {
      await makeBetween(context, input, { old, new: next }, { format, opens: ways.opens })
    } finally {
      await next.close()
    }
  } finally {
    await old.close()
  }
}

function formatOf(input: Input): 'bindery' | 'bsdiff' {
  const format = input.value('format') ?? 'bindery'
  if (format === 'bindery' || format === 'bsdiff') return format
  throw new BinderyError('usage', `--format: '${format}' is none of bindery, bsdiff`)
}

type Way = { readonly format: 'bindery' | 'bsdiff'; readonly opens: Ways['opens'] }

async function makeBetween(context: Context, input: Input, sides: Sides, { format, opens }: Way): Promise<void> {
  const names = { oldName: await distNameIn(sides.old), newName: await distNameIn(sides.new) }
  const output = deltaOutput(context, input, names, format)
  if (output === '-' && input.flag('json'))
    throw new BinderyError('usage', '--json needs stdout, where the delta goes', { hint: 'name a file with -o' })
  // A dist is applied by clients, which open nothing.
  const areDists = names.oldName !== '' && names.newName !== '' && opens !== 'asked for'
  const made = areDists ? undefined : await openAndMake(context, input, sides, opens)
  if (made !== undefined) return await writeMade(context, input, made, { output, newSize: sides.new.size })
  const watch = input.flag('explain') ? deltaAccountant(sides.new.size) : undefined
  const meter = context.progress.start('delta', sides.new.size)
  try {
    const { signal } = context
    const stream =
      format === 'bindery' ? makeDelta({ ...sides, ...names, ...makingOf(context, input), watch, meter, signal }) : bsdiff(sides)
    const size = await writeOutput(context, output, stream)
    context.explain(`${output}: ${size} bytes for ${sides.new.size}`)
  } finally {
    meter.end()
  }
  if (watch !== undefined) await tellAccount(context, watch.account(), { isJson: input.flag('json'), output })
}

/** Undefined where nothing is opened, and nobody asked for it. */
async function openAndMake(context: Context, input: Input, sides: Sides, opens: Ways['opens']): Promise<MadeDelta | undefined> {
  const making = makingOf(context, input)
  if (opens !== 'asked for' && !meansOf(making.effort ?? usualEffort).opensGzip) return undefined
  const bytes = await bytesToOpen(sides, opens)
  if (bytes === undefined) return undefined
  const { signal } = context
  const next = input.flag('components') ? await withoutCompression(bytes.new, loadLiblzma, signal) : bytes.new
  const opened = await openSides(bytes.old, next, loadLiblzma, signal)
  if (opened === undefined && opens !== 'asked for') return undefined
  return await makeContainerDelta(opened, {
    old: bytes.old,
    new: next,
    ...making,
    explains: input.flag('explain'),
    signal,
  })
}

async function writeMade(
  context: Context,
  input: Input,
  made: MadeDelta,
  { output, newSize }: { readonly output: string; readonly newSize: number },
): Promise<void> {
  const size = await writeOutput(context, output, inParts(made.parts))
  context.explain(`${output}: ${size} bytes for ${newSize}`)
  if (made.account !== undefined) await tellContainerAccount(context, made, made.account, { isJson: input.flag('json'), output })
}

async function* inParts(parts: readonly Uint8Array[]): ByteStream {
  yield* parts
}

/** The format has no parts that could be made one after the other: both files are in memory. */
async function* bsdiff(sides: Sides): ByteStream {
  const [old, next] = [await sides.old.read(0, sides.old.size), await sides.new.read(0, sides.new.size)]
  yield* oneChunk(makeBsdiff(old, next))
}
