import { join } from 'node:path'
import { sha256Hasher } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { formatDistName } from '../base/name.ts'
import { isWithin } from '../base/path.ts'
import { applyChanges } from '../engine/capture/apply.ts'
import { shippedFiles } from '../engine/capture/folder.ts'
import { partOfSet } from '../engine/capture/sets.ts'
import { cutTree, planCut } from '../engine/dist/cut.ts'
import { compressFrom, wireLevels, wireSuffix } from '../engine/dist/wire.ts'
import { withoutSockets } from '../engine/dist/sockets.ts'
import { distSize, writeDist } from '../engine/dist/write.ts'
import { openBase } from './base-input.ts'
import { openCaptureFolder } from './capture-input.ts'
import { readSide } from './diff-side.ts'
import { distNameOf, distNameOptions } from './dist-name.ts'
import { sharedFlags } from './flags.ts'
import { tellLeftOut } from './left-out.ts'
import { writeOutput } from './output.ts'
import { pathWithin } from './path-within.ts'
import { isTree, openTree } from './tree-input.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { FileEntry, Manifest } from '../base/entry.ts'
import type { DistName } from '../base/name.ts'
import type { Room } from '../engine/dist/blocks.ts'
import type { WireCodec } from '../engine/dist/wire.ts'
import type { Command, Context, Input } from './command.ts'

export const cut: Command = {
  name: 'cut',
  summary: 'cut a dist from a tree, or from a capture and its base',
  operands: 'ROOT',
  operandCount: { min: 1, max: 1 },
  options: {
    base: { kind: 'value', value: 'BASE', help: 'ROOT is a capture: cut BASE, a dist or a tree, with its changes' },
    beside: { kind: 'list', value: 'DIST', help: 'another set of the tree: what belongs to it is left out; may be given again' },
    output: { ...sharedFlags.output, help: 'the dist, or a folder for it (default: NAME.tar.zst here); - is stdout' },
    ...distNameOptions,
    format: { kind: 'value', value: 'CODEC', help: 'zstd, gzip or none (default: zstd)' },
    level: { kind: 'value', value: 'N', help: 'how hard to compress: zstd 1-22 (default: about 3), gzip 1-9 (default: 6)' },
  },
  examples: [
    'bindery cut /mnt/release --product base --revision 1.0',
    'bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64',
    'bindery cut 001_sshd --base base-7.6-20260101-amd64.tar.zst --revision 7.6p1',
    'bindery cut destdir -o - --format none --product comp --revision 1.0 | bsdtar -tf -',
  ],
  run: async (context, input) => await (input.value('base') === undefined ? cutRoot(context, input) : cutCapture(context, input)),
}

async function cutRoot(context: Context, input: Input): Promise<number> {
  if (input.list('beside').length > 0) throw new BinderyError('usage', '--beside means nothing without --base')
  const name = distNameOf(context, input)
  const wire = wireOf(input)
  const root = input.operands[0] as string
  const output = outputOf(context, input, name, wire)
  const disk = openTree(root)
  // The dist of an earlier run, below ROOT, is not to be part of this one.
  const self = output === '-' ? undefined : await pathWithin(root, output)
  const plan = await planCut(disk, name, { signal: context.signal, exclude: (path) => self !== undefined && isWithin(path, self) })
  tellLeftOut(context, plan.leftOut)
  await writeTar(context, output, wire, name, plan.aboutSize, (room) => cutTree(plan, room))
  return 0
}

async function manifestsOf(context: Context, operands: readonly string[]): Promise<readonly Manifest[]> {
  const manifests: Manifest[] = []
  for (const operand of operands) manifests.push((await readSide(operand, context)).manifest)
  return manifests
}

/** Product and architecture are those of the base where it is a dist. */
async function cutCapture(context: Context, input: Input): Promise<number> {
  const wire = wireOf(input)
  const capture = await openCaptureFolder(input.operands[0] as string)
  const base = await openBase(context, input.required('base'))
  try {
    const name = distNameOf(context, input, base.name && { product: base.name.product, arch: base.name.arch })
    const output = outputOf(context, input, name, wire)
    const part = partOfSet(capture, base.manifest, await manifestsOf(context, input.list('beside')))
    const { kept, leftOut } = withoutSockets(applyChanges(base.manifest, part).entries)
    tellLeftOut(context, leftOut)
    const manifest = { entries: kept }
    const shipped = new Set(shippedFiles(capture).map(({ sha256 }) => sha256))
    const content = (file: FileEntry): ByteStream => (shipped.has(file.sha256) ? capture.content(file) : base.content(file))
    await writeTar(context, output, wire, name, distSize(name, manifest), () => writeDist(name, manifest, content))
    return 0
  } finally {
    await base.close()
  }
}

type Wire = { readonly codec: WireCodec; readonly level?: number }

function wireOf(input: Input): Wire {
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

function outputOf(context: Context, input: Input, name: DistName, { codec }: Wire): string {
  const usual = `${formatDistName(name)}.tar${wireSuffix[codec]}`
  const given = input.value('output')
  if (given === '-' && context.isTerminal.stdout)
    throw new BinderyError('usage', 'a dist is nothing for a terminal', { hint: 'name a file with -o' })
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

async function writeTar(
  context: Context,
  output: string,
  { codec, level }: Wire,
  name: DistName,
  size: number,
  tar: (room: Room) => ByteStream,
): Promise<void> {
  const watched = (room: Room): ByteStream => watch(context, formatDistName(name), size, tar(room))
  await writeOutput(context, output, compressFrom(watched, codec, level))
}

async function* watch(context: Context, name: string, aboutSize: number, tar: ByteStream): ByteStream {
  const meter = context.progress.start('cutting', aboutSize)
  const hasher = context.verbosity === 'verbose' ? sha256Hasher() : undefined
  let size = 0
  try {
    for await (const bytes of tar) {
      context.signal.throwIfAborted()
      hasher?.update(bytes)
      size += bytes.length
      meter.advance(bytes.length)
      yield bytes
    }
  } finally {
    meter.end()
  }
  if (hasher !== undefined) context.explain(`${name}: ${size} bytes, sha256 ${hasher.digest()}`)
}
