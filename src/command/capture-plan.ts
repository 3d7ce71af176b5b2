import { fromLatin1, fromUtf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { pathFromText, rootPath } from '../base/path.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { errataOf } from '../engine/capture/errata.ts'
import { decodePublicKey } from '../format/signify.ts'
import { readErrata, readUnsignedErrata } from './errata-file.ts'
import { errataRemarks, showErrata } from './errata-text.ts'
import { readKeyFile, readMessage } from './signed-files.ts'
import { pathWithin } from './path-within.ts'
import { isTree } from './tree-input.ts'
import { wholeOf } from './whole-number.ts'
import type { GivenErrata } from '../engine/capture/errata.ts'
import type { SandboxKind } from '../port/sandbox.ts'
import type { Context, Input } from './command.ts'

/** What `capture` is to do, all of it read and checked before anything runs. */
export type CapturePlan = {
  readonly root: string
  readonly work: CaptureWork
  readonly output: string
  /** Beside the output while the command runs; it stays where that fails. */
  readonly log: string
  readonly kind: SandboxKind | undefined
  readonly scratch: string | undefined
  /** Relative to the root. */
  readonly exclude: readonly string[]
  readonly network: boolean
  readonly timeLimitMs: number | undefined
  readonly noise: boolean
  readonly json: boolean
}

export type CaptureWork =
  | { readonly kind: 'command'; readonly command: readonly string[] }
  | { readonly kind: 'errata'; readonly errata: readonly GivenErrata[] }

export async function readPlan(context: Context, input: Input): Promise<CapturePlan> {
  const root = input.operands[0] as string
  const output = outputOf(input)
  const log = `${output}.log`
  const kind = kindOf(input)
  const scratch = scratchOf(input, kind)
  const seconds = wholeOf(input, 'time-limit', 1, longestTime)
  const exclude = input.list('exclude').map(excluded)
  const work = await readWork(context, input)
  if (!isTree(root)) throw new BinderyError('wrong-type', 'is no directory', { subject: root })
  return {
    root,
    work,
    output,
    log,
    kind,
    scratch,
    exclude: [...exclude, ...sourcesOf(work), ...(await ownPaths(root, [output, log]))],
    network: input.flag('network'),
    timeLimitMs: seconds === undefined ? undefined : seconds * 1000,
    noise: input.flag('noise'),
    json: input.flag('json'),
  }
}

/** What a timer of node takes: 24 days. */
const longestTime = 2_147_483

/** Without a slash at its end, which would make DIR.log a file in DIR. */
function outputOf(input: Input): string {
  const given = input.required('output')
  if (given === '') throw new BinderyError('usage', '--output is empty')
  return withoutTrailing(given, '/') || given.slice(0, 1)
}

function scratchOf(input: Input, kind: SandboxKind | undefined): string | undefined {
  const given = input.value('scratch')
  if (given === '') throw new BinderyError('usage', '--scratch is empty')
  if (given !== undefined && kind === 'snapshot') throw new BinderyError('usage', '--scratch means nothing with a snapshot')
  return given
}

const kinds: readonly SandboxKind[] = ['overlay', 'snapshot', 'destdir']

function kindOf(input: Input): SandboxKind | undefined {
  const given = input.value('sandbox')
  const kind = kinds.find((known) => known === given)
  if (given !== undefined && kind === undefined)
    throw new BinderyError('usage', `--sandbox: '${given}' is none of overlay, snapshot, destdir`)
  if (input.flag('noise') && kind === 'snapshot')
    throw new BinderyError('usage', '--noise means nothing with a snapshot: ROOT is built in once')
  return kind
}

/** As users type it: relative to ROOT, perhaps with `./`, `/` or a last `/`. */
function excluded(given: string): string {
  const text = withoutTrailing(given.replace(/^\.?\/+/, ''), '/')
  const path = pathFromText(text)
  if (path === undefined || path === rootPath) throw new BinderyError('usage', `'${given}' is no path below ROOT`)
  return text
}

async function readWork(context: Context, input: Input): Promise<CaptureWork> {
  const [, ...command] = input.operands
  const files = input.list('errata')
  if (files.length > 0) {
    if (command.length > 0) throw new BinderyError('usage', '--errata brings its own commands')
    return { kind: 'errata', errata: await readAllErrata(context, input, files) }
  }
  const idle = input.value('pubkey') !== undefined ? 'pubkey' : input.flag('unsigned') ? 'unsigned' : undefined
  if (idle !== undefined) throw new BinderyError('usage', `--${idle} means nothing without --errata`)
  if (command.length === 0) throw new BinderyError('usage', 'a command is missing', { hint: 'bindery capture ROOT -o DIR -- COMMAND ...' })
  checkProgram(command[0] as string)
  return { kind: 'command', command }
}

/** env(1), which starts it, takes a word with `=` for a variable, and would do nothing. */
function checkProgram(program: string): void {
  if (program === '') throw new BinderyError('usage', 'the command is empty')
  if (!program.includes('=')) return
  throw new BinderyError('usage', `'${program}' is a variable, and no command`, { hint: `-- env ${program} COMMAND ... sets it` })
}

async function readAllErrata(context: Context, input: Input, files: readonly string[]): Promise<readonly GivenErrata[]> {
  const keyFile = input.value('pubkey')
  if (input.flag('unsigned') === (keyFile !== undefined)) {
    throw new BinderyError('usage', keyFile === undefined ? '--pubkey is missing' : '--pubkey and --unsigned exclude each other')
  }
  const given: GivenErrata[] = []
  for (const file of files) {
    const one = await readOne(context, file, keyFile)
    given.push(one)
    for (const line of showErrata(one).trimEnd().split('\n')) context.say(line)
    for (const remark of errataRemarks(errataOf(one), file, keyFile)) context.say(remark)
  }
  return given
}

async function readOne(context: Context, file: string, keyFile: string | undefined): Promise<GivenErrata> {
  const bytes = await readMessage(context, file)
  if (keyFile === undefined) return { kind: 'unsigned', errata: await readUnsignedErrata(bytes, file) }
  return { kind: 'signed', errata: await readErrata(bytes, file, await readKeyFile(context, keyFile, decodePublicKey)) }
}

/** What bindery writes there while commands run, or has written, is no change of theirs. */
async function ownPaths(root: string, files: readonly string[]): Promise<readonly string[]> {
  const paths = await Promise.all(files.map(async (file) => await pathWithin(root, file)))
  return paths.flatMap((path) => (path === undefined ? [] : [fromUtf8(fromLatin1(path))]))
}

/** Where errata patch the sources, and objects are made: no part of what a machine runs. */
function sourcesOf(work: CaptureWork): readonly string[] {
  if (work.kind === 'command') return []
  const folders = work.errata.map((given) => withoutTrailing(errataOf(given).apply.folder.replace(/^\/+/, ''), '/'))
  return [...new Set([...folders.filter((folder) => pathFromText(folder) !== undefined && folder !== ''), 'usr/obj', 'usr/xobj'])]
}
