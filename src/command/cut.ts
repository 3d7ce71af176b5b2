import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { sha256Hasher } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { formatDistName, isDistName } from '../base/name.ts'
import { isWithin, pathFromText, showPath } from '../base/path.ts'
import { cutTree, planCut } from '../engine/dist/cut.ts'
import { compressFrom, wireLevels, wireSuffix } from '../engine/dist/wire.ts'
import { hostArch } from '../host/arch.ts'
import { sharedFlags } from './flags.ts'
import { writeOutput } from './output.ts'
import { isTree, openTree } from './tree-input.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { DistName } from '../base/name.ts'
import type { RelPath } from '../base/path.ts'
import type { Room } from '../engine/dist/blocks.ts'
import type { Cut } from '../engine/dist/cut.ts'
import type { WireCodec } from '../engine/dist/wire.ts'
import type { Command, Context, Input } from './command.ts'

export const cut: Command = {
  name: 'cut',
  summary: 'cut a dist from a tree',
  operands: 'ROOT',
  operandCount: { min: 1, max: 1 },
  options: {
    output: { ...sharedFlags.output, help: 'the dist, or a folder for it (default: NAME.tar.zst here); - is stdout' },
    product: { kind: 'value', value: 'PRODUCT', help: 'what it is: base, kernel-GENERIC' },
    revision: { kind: 'value', value: 'REVISION', help: 'which one: 1.0, 7.6p3' },
    date: { kind: 'value', value: 'YYYYMMDD', help: 'its date (default: today, UTC)' },
    arch: { kind: 'value', value: 'ARCH', help: "what it runs on (default: this machine's)" },
    format: { kind: 'value', value: 'CODEC', help: 'zstd, gzip or none (default: zstd)' },
    level: { kind: 'value', value: 'N', help: 'how hard to compress: zstd 1-22 (default: about 3), gzip 1-9 (default: 6)' },
  },
  examples: [
    'bindery cut /mnt/release --product base --revision 1.0',
    'bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64',
    'bindery cut destdir -o - --format none --product comp --revision 1.0 | bsdtar -tf -',
  ],
  run: async (context, input) => {
    const name = nameOf(context, input)
    const { codec, level } = wireOf(input)
    const root = input.operands[0] as string
    const output = outputFile(input.value('output'), `${formatDistName(name)}.tar${wireSuffix[codec]}`)
    if (output === '-' && context.isTerminal.stdout)
      throw new BinderyError('usage', 'a dist is nothing for a terminal', { hint: 'name a file with -o' })
    const disk = openTree(root)
    const self = await pathWithin(root, output)
    const plan = await planCut(disk, name, { signal: context.signal, exclude: (path) => self !== undefined && isWithin(path, self) })
    for (const path of plan.leftOut) context.say(`${showPath(path)}: a socket, left out`)
    await writeOutput(
      context,
      output,
      compressFrom((room) => tarOf(context, plan, room), codec, level),
    )
    return 0
  },
}

function nameOf(context: Context, input: Input): DistName {
  const name = {
    product: input.required('product'),
    revision: input.required('revision'),
    date: input.value('date') ?? today(context),
    arch: input.value('arch') ?? hostArch(),
  }
  if (!isCalendarDate(name.date)) throw new BinderyError('usage', `--date: '${name.date}' is no date`, { hint: 'a date is YYYYMMDD' })
  if (!isDistName(name)) {
    throw new BinderyError('usage', `'${formatDistName(name)}' is no name of a dist`, {
      hint: "letters, digits, '.', '_' and '+'; only the product may hold a '-'",
    })
  }
  return name
}

function today(context: Context): string {
  return new Date(context.clock.now()).toISOString().slice(0, 10).replaceAll('-', '')
}

function isCalendarDate(text: string): boolean {
  const match = /^([0-9]{4})([0-9]{2})([0-9]{2})$/.exec(text)
  if (match === null) return false
  const date = new Date(`${match.slice(1).join('-')}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(match.slice(1).join('-'))
}

function wireOf(input: Input): { readonly codec: WireCodec; readonly level?: number } {
  const codec = input.value('format') ?? 'zstd'
  if (codec !== 'zstd' && codec !== 'gzip' && codec !== 'none') {
    throw new BinderyError('usage', `--format: '${codec}' is none of zstd, gzip, none`)
  }
  const text = input.value('level')
  if (text === undefined) return { codec }
  if (codec === 'none') throw new BinderyError('usage', '--level means nothing with --format none')
  const { least, most } = wireLevels[codec]
  const level = /^[0-9]{1,2}$/.test(text) ? Number(text) : -1
  if (level < least || level > most) throw new BinderyError('usage', `--level: ${codec} has ${least} to ${most}`)
  return { codec, level }
}

function outputFile(given: string | undefined, usual: string): string {
  if (given === undefined || given === '-') return given ?? usual
  return isFolder(given) ? join(given, usual) : given
}

function isFolder(file: string): boolean {
  try {
    return isTree(file)
  } catch {
    // Not there yet, or not readable: writing will tell.
    return false
  }
}

/** The dist of an earlier run, below ROOT, is not to be part of this one. */
async function pathWithin(root: string, output: string): Promise<RelPath | undefined> {
  if (output === '-') return undefined
  const folder = await realpath(dirname(output)).catch(() => undefined)
  return folder === undefined ? undefined : pathFromText(relative(await realpath(root), join(folder, basename(output))))
}

async function* tarOf(context: Context, plan: Cut, room: Room): ByteStream {
  const meter = context.progress.start('cutting', plan.aboutSize)
  const hasher = context.verbosity === 'verbose' ? sha256Hasher() : undefined
  let size = 0
  try {
    for await (const bytes of cutTree(plan, room)) {
      context.signal.throwIfAborted()
      hasher?.update(bytes)
      size += bytes.length
      meter.advance(bytes.length)
      yield bytes
    }
  } finally {
    meter.end()
  }
  if (hasher !== undefined) context.explain(`${formatDistName(plan.name)}: ${size} bytes, sha256 ${hasher.digest()}`)
}
