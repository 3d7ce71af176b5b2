import { latin1, oneChunk, utf8 } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { pathFromText } from '../base/path.ts'
import { changesOf } from '../engine/capture/changes.ts'
import { openCapture, writeCapture } from '../engine/capture/folder.ts'
import { observe } from '../engine/capture/observe.ts'
import { hostDisk } from '../host/disk.ts'
import { folderStore } from '../host/folder-store.ts'
import { openLog } from '../host/log-file.ts'
import { refuseExisting } from '../host/new-file.ts'
import { writeNewFolder } from '../host/new-folder.ts'
import { hostSandboxes } from '../host/sandbox.ts'
import { withoutNoise } from './capture-noise.ts'
import { reviewText } from './capture-review.ts'
import { jsonLine, readableLine } from './diff-text.ts'
import { sharedFlags } from './flags.ts'
import { noiseJson, noiseLine } from './noise-text.ts'
import { print } from './output.ts'
import { isTree } from './tree-input.ts'
import { wholeOf } from './whole-number.ts'
import type { RelPath } from '../base/path.ts'
import type { Sides } from '../engine/capture/changes.ts'
import type { LogFile } from '../host/log-file.ts'
import type { Sandbox, SandboxKind } from '../port/sandbox.ts'
import type { Command, Context, Input } from './command.ts'
import type { NoisyFile } from './noise-text.ts'

export const capture: Command = {
  name: 'capture',
  summary: 'run a command in a sandbox over a tree, and record what it changed',
  operands: 'ROOT COMMAND ...',
  operandCount: { min: 1, max: Infinity },
  options: {
    output: { ...sharedFlags.output, value: 'DIR', help: 'the folder for the capture; it must not be there yet' },
    sandbox: { kind: 'value', value: 'KIND', help: 'overlay, snapshot or destdir (default: overlay, else snapshot)' },
    scratch: { kind: 'value', value: 'DIR', help: 'keep what is changed, or the copy, below DIR meanwhile' },
    exclude: { kind: 'list', value: 'PATH', help: 'leave out changes of PATH and below; may be given again' },
    network: { kind: 'flag', help: 'let the command have the network' },
    'time-limit': { kind: 'value', value: 'SECONDS', help: 'end the command after so long' },
    noise: { kind: 'flag', help: 'build twice, and leave out files that differ from the shipped ones in dates and the like alone' },
    review: { kind: 'flag', help: 'print the changes of the capture ROOT, in four lists; no command is run' },
    json: sharedFlags.json,
  },
  examples: [
    "bindery capture /mnt/base -o 001_sshd -- sh -c 'cd /usr/src/usr.bin/ssh && make obj && make && make install'",
    "bindery capture --sandbox destdir -o port /mnt/base -- sh -c 'make install DESTDIR=$DESTDIR'",
    'bindery capture --review 001_sshd',
  ],
  run: async (context, input) => (input.flag('review') ? await review(context, input) : await record(context, input)),
}

async function record(context: Context, input: Input): Promise<number> {
  const plan = planOf(input)
  await refuseExisting(plan.output)
  const sandbox = await openSandbox(context, plan)
  const log = openLog(plan.log)
  try {
    const sides = await runAndObserve(context, plan, sandbox, log)
    const found = plan.noise ? await leaveOutNoise(context, plan, sandbox, sides, log) : { sides }
    await keep(context, plan, sandbox, found, log)
    await log.remove()
    await tell(context, input, sandbox, found)
    return 0
  } finally {
    log.close()
    await sandbox.close()
  }
}

type Plan = {
  readonly root: string
  readonly command: readonly string[]
  readonly output: string
  /** Beside the output while the command runs; it stays where that fails. */
  readonly log: string
  readonly kind: SandboxKind | undefined
  readonly scratch: string | undefined
  readonly exclude: readonly RelPath[]
  readonly excludeTexts: readonly string[]
  readonly network: boolean
  readonly timeLimitMs: number | undefined
  readonly noise: boolean
}

/** `noise`: what was left out as such, where it was looked for. */
type Found = { readonly sides: Sides; readonly noise?: readonly NoisyFile[] }

const kinds: readonly SandboxKind[] = ['overlay', 'snapshot', 'destdir']

function planOf(input: Input): Plan {
  const [root, ...command] = input.operands as [string, ...string[]]
  if (command.length === 0) throw new BinderyError('usage', 'a command is missing', { hint: 'bindery capture ROOT -o DIR -- COMMAND ...' })
  const output = input.required('output').replace(/\/+$/, '')
  const given = input.value('sandbox')
  const kind = kinds.find((known) => known === given)
  if (given !== undefined && kind === undefined)
    throw new BinderyError('usage', `--sandbox: '${given}' is none of overlay, snapshot, destdir`)
  if (input.flag('noise') && kind === 'snapshot')
    throw new BinderyError('usage', '--noise means nothing with a snapshot: ROOT is built in once')
  const excludeTexts = input.list('exclude').map((text) => text.replace(/^\.?\/+/, '').replace(/\/+$/, ''))
  const seconds = wholeOf(input, 'time-limit', 1, 100_000_000)
  return {
    root,
    command,
    output,
    log: `${output}.log`,
    kind,
    scratch: input.value('scratch'),
    exclude: excludeTexts.map(excluded),
    excludeTexts,
    network: input.flag('network'),
    timeLimitMs: seconds === undefined ? undefined : seconds * 1000,
    noise: input.flag('noise'),
  }
}

function excluded(text: string): RelPath {
  const path = pathFromText(text)
  if (path === undefined) throw new BinderyError('usage', `'${text}' is no path below ROOT`)
  return path
}

/** The overlay where there can be one: it alone leaves ROOT as it was. */
async function openSandbox(context: Context, plan: Plan): Promise<Sandbox> {
  if (!isTree(plan.root)) throw new BinderyError('wrong-type', 'is no directory', { subject: plan.root })
  const options = plan.scratch === undefined ? {} : { scratch: plan.scratch }
  if (plan.kind !== undefined) return await hostSandboxes.open(plan.kind, plan.root, options)
  try {
    return await hostSandboxes.open('overlay', plan.root, options)
  } catch (error) {
    if (!isBinderyError(error, 'not-supported') || plan.noise) throw error
    const sandbox = await hostSandboxes.open('snapshot', plan.root, options)
    context.say(`no overlay (${error.message}): a snapshot is taken, and the command changes ${plan.root} itself`)
    return sandbox
  }
}

async function runAndObserve(context: Context, plan: Plan, sandbox: Sandbox, log: LogFile): Promise<Sides> {
  const work = async (): Promise<void> => await build(context, plan, sandbox, log)
  const meter = (label: string): ReturnType<Context['progress']['start']> => context.progress.start(label, undefined)
  return await observe(sandbox, work, { exclude: plan.exclude, signal: context.signal, meter })
}

async function build(context: Context, plan: Plan, sandbox: Sandbox, log: LogFile, clockAheadSeconds = 0): Promise<void> {
  const output = (bytes: Uint8Array): void => {
    log.write(bytes)
    context.passOn(bytes)
  }
  const { command, network, timeLimitMs, root } = plan
  const limit = timeLimitMs === undefined ? {} : { timeLimitMs }
  const clock = clockAheadSeconds === 0 ? {} : { clockAheadSeconds }
  const result = await sandbox.run({ command, network, output, signal: context.signal, ...limit, ...clock })
  const hint = { subject: command[0], hint: `${told(sandbox, root)}; what it printed is in ${plan.log}` }
  if (result.kind === 'out of time') throw new BinderyError('command-failed', `did not end within its time`, hint)
  if (result.status !== 0) throw new BinderyError('command-failed', `ended with status ${result.status}`, hint)
}

async function leaveOutNoise(context: Context, plan: Plan, sandbox: Sandbox, sides: Sides, log: LogFile): Promise<Found> {
  return await withoutNoise(context, {
    sides,
    shipped: sandbox.before === sandbox.after ? hostDisk(plan.root) : sandbox.before,
    first: sandbox.after,
    openSecond: async () => await openSandbox(context, plan),
    build: async (second, ahead) => await build(context, plan, second, log, ahead),
  })
}

function told(sandbox: Sandbox, root: string): string {
  return sandbox.kind === 'snapshot' ? `${root} is as the command left it` : `${root} was not changed`
}

/** What `--noise` left out, for people. */
const noiseKey = 'noise'

async function keep(context: Context, plan: Plan, sandbox: Sandbox, { sides, noise }: Found, log: LogFile): Promise<void> {
  const facts = {
    made: Math.floor(context.clock.now() / 1000),
    sandbox: sandbox.kind,
    network: plan.network,
    commands: [plan.command],
    exclude: plan.excludeTexts,
  }
  await writeNewFolder(plan.output, async (aside) => {
    if (noise !== undefined) await folderStore(aside).put(noiseKey, oneChunk(utf8(noise.map(noiseLine).join(''))))
    await writeCapture(folderStore(aside), facts, sides, sandbox.after, await log.read())
  })
}

async function tell(context: Context, input: Input, sandbox: Sandbox, { sides, noise = [] }: Found): Promise<void> {
  const changes = changesOf(sides)
  const count = (kind: string): number => changes.filter((change) => change.kind === kind).length
  const noisy = noise.length === 0 ? '' : `, ${noise.length} differ in noise alone`
  context.say(`${sandbox.kind}: ${count('added')} added, ${count('changed')} changed, ${count('removed')} removed${noisy}`)
  await print(context, utf8(changes.map(input.flag('json') ? jsonLine : readableLine).join('')))
  await print(context, utf8(noise.map((file) => (input.flag('json') ? noiseJson(file) : `N ${noiseLine(file)}`)).join('')))
}

async function review(context: Context, input: Input): Promise<number> {
  const [folder, ...others] = input.operands as [string, ...string[]]
  if (others.length > 0) throw new BinderyError('usage', '--review takes one capture, and no command')
  const idle = ['output', 'sandbox', 'scratch', 'time-limit'].find((name) => input.value(name) !== undefined)
  if (idle !== undefined) throw new BinderyError('usage', `--${idle} means nothing with --review`)
  const store = folderStore(folder)
  const changes = changesOf(await openCapture(store))
  const noise = await store.get(noiseKey)
  await print(context, utf8(input.flag('json') ? changes.map(jsonLine).join('') : reviewText(changes, noise && latin1(noise))))
  return 0
}
