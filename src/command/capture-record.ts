import { oneChunk, utf8 } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { pathFromText } from '../base/path.ts'
import { changesOf } from '../engine/capture/changes.ts'
import { applyErrata, errataOf } from '../engine/capture/errata.ts'
import { writeCapture } from '../engine/capture/folder.ts'
import { observe } from '../engine/capture/observe.ts'
import { hostDisk } from '../host/disk.ts'
import { folderStore } from '../host/folder-store.ts'
import { openLog } from '../host/log-file.ts'
import { refuseExisting } from '../host/new-file.ts'
import { writeNewFolder } from '../host/new-folder.ts'
import { hostSandboxes } from '../host/sandbox.ts'
import { withoutNoise } from './capture-noise.ts'
import { jsonLine, readableLine } from './diff-text.ts'
import { noiseJson, noiseLine } from './noise-text.ts'
import { print } from './output.ts'
import type { RelPath } from '../base/path.ts'
import type { Sides } from '../engine/capture/changes.ts'
import type { CaptureFacts } from '../engine/capture/folder.ts'
import type { LogFile } from '../host/log-file.ts'
import type { Sandbox, SandboxJob } from '../port/sandbox.ts'
import type { CapturePlan, CaptureWork } from './capture-plan.ts'
import type { Context } from './command.ts'
import type { NoisyFile } from './noise-text.ts'

/** What `--noise` left out, for people. */
export const noiseKey = 'noise'

/** Carries a plan out: the work in its sandbox, what came of it as a new folder, a line for each change. */
export async function recordCapture(context: Context, plan: CapturePlan): Promise<void> {
  await refuseExisting(plan.output)
  const log = openLog(plan.log)
  try {
    const sandbox = await openSandbox(context, plan)
    try {
      const built = await runAndObserve(context, plan, sandbox, log)
      const found = plan.noise ? await leaveOutNoise(context, plan, sandbox, built, log) : built
      await keep(context, plan, sandbox, found, log)
      log.remove()
      await tell(context, plan, sandbox, found)
    } finally {
      await sandbox.close()
    }
  } finally {
    log.close()
  }
}

/** `noise`: what was left out as such, where it was looked for. */
type Found = { readonly sides: Sides; readonly commands: readonly (readonly string[])[]; readonly noise?: readonly NoisyFile[] }

/** The overlay where there can be one: it alone leaves ROOT as it was. */
async function openSandbox(context: Context, plan: CapturePlan): Promise<Sandbox> {
  const sandbox = await chooseSandbox(context, plan)
  for (const remark of sandbox.remarks) context.say(`${sandbox.kind}: ${remark}`)
  return sandbox
}

async function chooseSandbox(context: Context, plan: CapturePlan): Promise<Sandbox> {
  const options = plan.scratch === undefined ? {} : { scratch: plan.scratch }
  if (plan.kind !== undefined) return await hostSandboxes.open(plan.kind, plan.root, options)
  try {
    return await hostSandboxes.open('overlay', plan.root, options)
  } catch (error) {
    // Who has said where changes shall be kept does not want them in the tree.
    if (!isBinderyError(error, 'not-supported') || plan.noise || plan.scratch !== undefined) throw error
    const sandbox = await hostSandboxes.open('snapshot', plan.root, options)
    context.say(`no overlay (${error.message}): a snapshot is taken, and the command changes ${plan.root} itself`)
    return sandbox
  }
}

async function runAndObserve(context: Context, plan: CapturePlan, sandbox: Sandbox, log: LogFile): Promise<Found> {
  let commands: Found['commands'] = []
  const work = async (): Promise<void> => {
    commands = await build(context, plan, sandbox, log)
  }
  const meter = (label: string): ReturnType<Context['progress']['start']> => context.progress.start(label, undefined)
  const exclude = plan.exclude.map((text) => pathFromText(text) as RelPath)
  const sides = await observe(sandbox, work, { exclude, signal: context.signal, meter })
  return { sides, commands }
}

/** Answers with the commands that made changes. */
async function build(
  context: Context,
  plan: CapturePlan,
  sandbox: Sandbox,
  log: LogFile,
  clockAheadSeconds = 0,
): Promise<Found['commands']> {
  const output = (bytes: Uint8Array): void => {
    log.write(bytes)
    context.passOn(bytes)
  }
  const limit = plan.timeLimitMs === undefined ? {} : { timeLimitMs: plan.timeLimitMs }
  const clock = clockAheadSeconds === 0 ? {} : { clockAheadSeconds }
  const signal = AbortSignal.any([context.signal, log.failed])
  const job = { network: plan.network, output, signal, ...limit, ...clock }
  try {
    return await runWork(plan.work, sandbox, job)
  } catch (error) {
    if (!isBinderyError(error, 'command-failed')) throw error
    const { message, subject } = error
    throw new BinderyError(error.code, message, {
      subject,
      hint: `${told(sandbox, plan.root)}; ${log.isEmpty() ? 'it printed nothing' : `what it printed is in ${plan.log}`}`,
      cause: error,
    })
  }
}

async function runWork(work: CaptureWork, sandbox: Sandbox, job: Omit<SandboxJob, 'command'>): Promise<Found['commands']> {
  if (work.kind === 'errata') return await applyErrata(sandbox, work.errata, [], job)
  const result = await sandbox.run({ ...job, command: work.command })
  const subject = work.command[0]
  if (result.kind === 'out of time') throw new BinderyError('command-failed', 'did not end within its time', { subject })
  if (result.status !== 0) throw new BinderyError('command-failed', `ended with status ${statusText(result.status)}`, { subject })
  return [work.command]
}

/** What it usually means (sh(1), EXIT STATUS). */
function statusText(status: number): string {
  if (status === 126) return `${status} (cannot be executed)`
  if (status === 127) return `${status} (not found)`
  return status > 128 && status < 192 ? `${status} (signal ${status - 128})` : String(status)
}

function told(sandbox: Sandbox, root: string): string {
  return sandbox.kind === 'snapshot' ? `${root} is as the command left it` : `${root} was not changed`
}

async function leaveOutNoise(context: Context, plan: CapturePlan, sandbox: Sandbox, found: Found, log: LogFile): Promise<Found> {
  const { sides, noise } = await withoutNoise(context, {
    sides: found.sides,
    shipped: sandbox.before === sandbox.after ? hostDisk(plan.root) : sandbox.before,
    first: sandbox.after,
    openSecond: async () => await openSandbox(context, plan),
    build: async (second, ahead) => void (await build(context, plan, second, log, ahead)),
  })
  return { ...found, sides, noise }
}

async function keep(context: Context, plan: CapturePlan, sandbox: Sandbox, found: Found, log: LogFile): Promise<void> {
  const facts: CaptureFacts = {
    made: Math.floor(context.clock.now() / 1000),
    sandbox: sandbox.kind,
    network: plan.network,
    commands: found.commands,
    errata: errataFacts(plan.work),
    exclude: plan.exclude,
  }
  await writeNewFolder(plan.output, async (aside) => {
    const store = folderStore(aside)
    if (found.noise !== undefined) await store.put(noiseKey, oneChunk(utf8(found.noise.map(noiseLine).join(''))))
    await writeCapture(store, facts, found.sides, { after: sandbox.after, log: log.read(), signal: context.signal })
  })
}

function errataFacts(work: CaptureWork): CaptureFacts['errata'] {
  if (work.kind === 'command') return []
  return work.errata.map((given) => {
    const { release, number, apply } = errataOf(given)
    return { ...(release === undefined ? {} : { release }), number, name: apply.name, signed: given.kind === 'signed' }
  })
}

async function tell(context: Context, plan: CapturePlan, sandbox: Sandbox, { sides, noise = [] }: Found): Promise<void> {
  const changes = changesOf(sides)
  const count = (kind: string): number => changes.filter((change) => change.kind === kind).length
  const noisy = noise.length === 0 ? '' : `, ${noise.length} differ in noise alone`
  context.say(`${sandbox.kind}: ${count('added')} added, ${count('changed')} changed, ${count('removed')} removed${noisy}`)
  await print(context, utf8(changes.map(plan.json ? jsonLine : readableLine).join('')))
  await print(context, utf8(noise.map((file) => (plan.json ? noiseJson(file) : `N ${noiseLine(file)}`)).join('')))
}
