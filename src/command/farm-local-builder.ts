import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { utf8 } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { packageKey } from '../engine/farm/build/collect.ts'
import { folderStore, sweepFolder } from '../host/folder-store.ts'
import { openLog } from '../host/log-file.ts'
import { tellingLines } from '../engine/farm/build/telling-lines.ts'
import { endOf, openBatchLogs } from './farm-build-logs.ts'
import { buildOptions, readBuildSettings, sourcesEnvironment } from './farm-build-plan.ts'
import { buildInPlace } from './farm-build-run.ts'
import { forSlot } from './farm-builder-work.ts'
import { builtFolder, takeInto } from './farm-built-folder.ts'
import { keepDoing, lineOf } from './farm-controller.ts'
import { releaseNamed } from './farm-release-accept.ts'
import { parseInput } from './parse.ts'
import type { BuildResult } from '../engine/farm/build/build.ts'
import type { BuilderConfig, ReleaseConfig } from '../format/farm-config.ts'
import type { LogFile } from '../host/log-file.ts'
import type { AttemptEnd, Claim, NewPackage } from '../port/farm-queue.ts'
import type { Context, Input } from './command.ts'
import type { Controller } from './farm-controller.ts'

/** A place on the controller that builds: one lease after the other, by the engine of `farm build`. */
export type LocalBuilder = { readonly config: BuilderConfig; readonly input: Input }

/** What is wrong with its flags is said before anything is begun. */
export function readLocalBuilder(context: Context, config: BuilderConfig): LocalBuilder {
  const command = { name: 'farm build', summary: '', operands: '', operandCount: { min: 0, max: 0 }, options: buildOptions, examples: [] }
  const input = parseInput({ ...command, run: async () => await Promise.resolve(0) }, config.flags)
  readBuildSettings(context, forSlot(input, 1), { arch: config.arch, output: '' })
  return { config, input }
}

/** Until the controller ends. */
export async function runLocalBuilder(controller: Controller, builder: LocalBuilder, slot: number): Promise<void> {
  const { farm, done, signal } = controller
  await keepDoing(controller, {
    name: builder.config.name,
    work: async () => await buildAll(controller, builder, slot),
    pause: async () => await Promise.race([farm.queue.changed(idleMs), done.changed(idleMs, signal)]),
  })
}

/** Whatever this builder can do now. */
export async function buildAll(controller: Controller, builder: LocalBuilder, slot: number): Promise<void> {
  const { farm, signal } = controller
  while (!signal.aborted) {
    const claim = await farm.queue.claim(builder.config.name)
    if (claim === undefined) return
    await buildClaim(controller, { ...builder, slot, claim })
  }
}

const idleMs = 10_000

type Work = LocalBuilder & { readonly slot: number; readonly claim: Claim }

async function buildClaim(controller: Controller, work: Work): Promise<void> {
  const { context, farm, done } = controller
  const { build, attempt } = work.claim
  const named = `${build.pkgpath} ${build.branch}/${build.arch}: build ${build.id}`
  context.say(`${named} is being built by ${work.config.name}`)
  const lease = holdLease(controller, attempt.id)
  try {
    const end = await attemptEnd(controller, work, lease)
    if (lease.lost.aborted || (await farm.queue.finish(attempt.id, end)) === 'lost') context.say(`${named}: nobody waits for it any more`)
    else context.say(`${named}: ${end.kind}${end.kind === 'built' ? `, ${end.packages.length} packages` : `: ${end.why}`}`)
  } finally {
    lease.close()
  }
  done.wake()
}

type Lease = { readonly lost: AbortSignal; setLogSize(size: number): void; close(): void }

/** Signs of life, as long as the build goes on. */
function holdLease({ farm, config, context }: Controller, attempt: number): Lease {
  const lost = new AbortController()
  let size = 0
  const beat = async (): Promise<void> => {
    if ((await farm.queue.beat(attempt, { size })) === 'lost') lost.abort(new BinderyError('stopped', 'nobody waits for it any more'))
  }
  // A database that is away for a moment ends no build: the lease lasts four times as long.
  const timer = setInterval(() => void beat().catch((error: unknown) => context.explain(lineOf(error))), (config.leaseSeconds * 1000) / 4)
  return { lost: lost.signal, setLogSize: (bytes) => (size = bytes), close: () => clearInterval(timer) }
}

async function attemptEnd(controller: Controller, work: Work, lease: Lease): Promise<AttemptEnd> {
  const { folder, signal } = controller
  const { build, attempt } = work.claim
  const file = join(folder, attempt.logFile)
  await mkdir(dirname(file), { recursive: true })
  const log = countedLog(openLog(file), lease)
  try {
    const line = releaseNamed(controller.config, build.branch)
    if (line !== undefined) return await releaseEnd(controller, work, { release: line, log, stop: AbortSignal.any([signal, lease.lost]) })
    const output = await outputOf(controller, work)
    const result = await buildIn(controller, work, { output, log, stop: AbortSignal.any([signal, lease.lost]) })
    const [first] = result.failed
    if (first !== undefined) return { kind: 'failed', why: first.why, lines: first.lines, logSize: log.size() }
    const packages = result.built.packages.filter((one) => result.files.includes(one.file))
    const { release } = work.claim
    await takeInto(builtFolder(folder, build.branch, build.arch), {
      release,
      arch: build.arch,
      list: build.packages,
      packages,
      open: (name) => folderStore(output).stream(packageKey(name)),
    })
    return { kind: 'built', packages: packages.map(newPackage), logSize: log.size() }
  } catch (error) {
    if (signal.aborted || lease.lost.aborted) return { kind: 'released', why: 'the controller was stopped' }
    return { kind: 'failed', why: lineOf(error), lines: tellingLines(endOf(file)), logSize: log.size() }
  } finally {
    log.close()
  }
}

type Making = Pick<Running, 'log' | 'stop'> & { readonly release: ReleaseConfig }

async function releaseEnd({ context, folder: farm }: Controller, { config, slot, claim }: Work, making: Making): Promise<AttemptEnd> {
  const { release, log, stop } = making
  const { buildRelease, speakingInto } = await import('./farm-release-build.ts')
  const work = join(farm, 'work', `${config.name}.${slot}`, claim.build.branch)
  const into = speakingInto(context, log, AbortSignal.any([stop, log.failed]))
  try {
    return { kind: 'built', packages: [await buildRelease(into, { farm, release, claim, work })], logSize: log.size() }
  } catch (error) {
    if (isBinderyError(error)) into.say(`${lineOf(error)}${error.hint === undefined ? '' : ` (${error.hint})`}`)
    throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

type CountedLog = Pick<LogFile, 'failed' | 'close' | 'write'> & { size(): number }

function countedLog(log: LogFile, lease: Lease): CountedLog {
  let size = 0
  return {
    failed: log.failed,
    close: log.close,
    size: () => size,
    write: (bytes) => {
      log.write(bytes)
      size += bytes.length
      lease.setLogSize(size)
    },
  }
}

/** One for each builder, job and branch: what was built there by a run that was killed is found again. */
async function outputOf({ folder }: Controller, { config, slot, claim }: Work): Promise<string> {
  const output = join(folder, 'work', `${config.name}.${slot}`, claim.build.branch)
  await mkdir(join(output, '.lock'), { recursive: true })
  await sweepFolder(output)
  return output
}

type Running = { readonly output: string; readonly log: CountedLog; readonly stop: AbortSignal }

async function buildIn(
  { context }: Controller,
  { config, input, slot, claim }: Work,
  { output, log, stop }: Running,
): Promise<BuildResult> {
  const { build, release, revision } = claim
  const settings = readBuildSettings(context, forSlot(input, slot), { arch: config.arch, output })
  const env = { ...sourcesEnvironment(build.branch, revision), ...settings.batch.env }
  const plan = { ...settings, batch: { ...settings.batch, env }, list: build.packages, release, keptBatches: 1 }
  const logs = openBatchLogs(plan)
  // In the log, beside what the ports print.
  const say = (line: string): void => log.write(utf8(`bindery: ${line}\n`))
  try {
    const caller = { say, explain: say, passOn: log.write, signal: AbortSignal.any([stop, log.failed]) }
    return await buildInPlace(caller, plan, logs)
  } finally {
    logs.close()
  }
}

function newPackage({ file, pkgpath, sha256, size, signature, reproducible }: NewPackage): NewPackage {
  return { file, pkgpath, sha256, size, signature, reproducible }
}
