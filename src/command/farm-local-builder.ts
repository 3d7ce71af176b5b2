import { dirname, join } from 'node:path'
import { utf8 } from '../base/bytes.ts'
import { endLine, nameOf } from '../engine/farm/attempt-lines.ts'
import { packageKey } from '../engine/farm/build/collect.ts'
import { builtOrFailed, troubleMs, whileHeld } from '../engine/farm/build/lease-work.ts'
import { tellingLines } from '../engine/farm/build/telling-lines.ts'
import { systemWait } from '../host/ambient.ts'
import { folderStore, makeFolder, sweepFolder } from '../host/folder-store.ts'
import { openLog } from '../host/log-file.ts'
import { untilAnswered } from './farm-away.ts'
import { endOf, openBatchLogs } from './farm-build-logs.ts'
import { buildOptions, readBuildSettings, sourcesEnvironment } from './farm-build-plan.ts'
import { buildInPlace } from './farm-build-run.ts'
import { forSlot } from './farm-builder-work.ts'
import { builtFolder, takeInto } from './farm-built-folder.ts'
import { keepDoing, pauseFor } from './farm-controller.ts'
import { parseInput } from './parse.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { BinderyError } from '../base/error.ts'
import type { BuildEnd, Holding, Made, WorkEnd } from '../engine/farm/build/lease-work.ts'
import type { BuiltPackage } from '../format/built.ts'
import type { BuilderConfig } from '../format/farm-config.ts'
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
  let isInTrouble = false
  await keepDoing(controller, {
    name: builder.config.name,
    work: async () => void (isInTrouble = (await buildAll(controller, builder, slot)) !== undefined),
    pause: async () => {
      if (isInTrouble) await pauseFor(done, troubleMs, signal)
      else await Promise.race([farm.queue.changed(idleMs), done.changed(idleMs, signal)])
    },
  })
}

/** Whatever this builder can do now; what is wrong with this machine ends it. */
export async function buildAll(controller: Controller, builder: LocalBuilder, slot: number): Promise<BinderyError | undefined> {
  const { farm, signal } = controller
  while (!signal.aborted) {
    const claim = await farm.queue.claim(builder.config.name)
    if (claim === undefined) return undefined
    const end = await buildClaim(controller, { ...builder, slot, claim })
    if (end.kind === 'trouble') return end.error
  }
  return undefined
}

const idleMs = 10_000

type Work = LocalBuilder & { readonly slot: number; readonly claim: Claim }

async function buildClaim(controller: Controller, work: Work): Promise<WorkEnd> {
  const { context, config, done, signal } = controller
  const { claim } = work
  context.say(`${nameOf(claim.build)} is being built by ${work.config.name}`)
  let logSize = (): number => 0
  const holding: Holding = {
    seconds: config.leaseSeconds,
    wait: systemWait,
    beat: async (until) => await beat(controller, claim, logSize(), until),
    giveBack: async (why, until) => void (await finish(controller, claim, { kind: 'released', why }, until)),
    signal,
  }
  const end = await whileHeld(holding, async (stop) => {
    const log = await openAttemptLog(controller, claim)
    logSize = log.size
    try {
      return await buildAndTakeIn(controller, work, { log, stop })
    } finally {
      log.close()
    }
  })
  if (end.kind === 'lost') context.say(endLine(claim.build, 'lost'))
  done.wake()
  return end
}

async function beat(controller: Controller, { attempt }: Claim, size: number, signal: AbortSignal): Promise<'held' | 'lost'> {
  return await untilAnswered(controller, async () => await controller.farm.queue.beat(attempt.id, { size }), signal)
}

async function finish(controller: Controller, { build, attempt }: Claim, how: AttemptEnd, signal: AbortSignal): Promise<'ended' | 'lost'> {
  const ended = await untilAnswered(controller, async () => await controller.farm.queue.finish(attempt.id, how), signal)
  if (ended === 'ended') controller.context.say(endLine(build, how))
  return ended
}

async function openAttemptLog({ folder }: Controller, { attempt }: Claim): Promise<LogFile> {
  const file = join(folder, attempt.logFile)
  await makeFolder(dirname(file))
  return openLog(file)
}

type Running = { readonly log: LogFile; readonly stop: AbortSignal }

async function buildAndTakeIn(controller: Controller, work: Work, { log, stop }: Running): Promise<WorkEnd> {
  const { claim } = work
  const output = await outputOf(controller, work)
  const build = async (): Promise<Made<BuiltPackage>> => await buildIn(controller, work, { output, log, stop })
  const lastLines = async (): Promise<readonly string[]> =>
    await Promise.resolve(tellingLines(endOf(join(controller.folder, claim.attempt.logFile))))
  const end = await builtOrFailed({ build, logSize: log.size, lastLines }, stop)
  // A person may have cancelled it since the last beat.
  if ((await beat(controller, claim, log.size(), stop)) === 'lost') return { kind: 'lost' }
  if (end.kind === 'built') await takeBuilt(controller, claim, output, end.packages)
  const ended = await finish(controller, claim, attemptEnd(end), stop)
  if (ended === 'lost') return { kind: 'lost' }
  return end.kind === 'built' ? { kind: 'built', packages: end.packages.length } : { kind: 'failed', why: end.why }
}

async function takeBuilt(
  { folder }: Controller,
  { build, release }: Claim,
  output: string,
  packages: readonly BuiltPackage[],
): Promise<void> {
  const { branch, arch, packages: list } = build
  const open = (name: string): ByteStream => folderStore(output).stream(packageKey(name))
  await takeInto(builtFolder(folder, branch, arch), { release, arch, list, packages, open })
}

function attemptEnd(end: BuildEnd<BuiltPackage>): AttemptEnd {
  if (end.kind === 'failed') return { kind: 'failed', why: end.why, lines: end.lines, logSize: end.log }
  return { kind: 'built', packages: end.packages.map(newPackage), logSize: end.log }
}

/** One for each builder, job and branch: what was built there by a run that was killed is found again. */
async function outputOf({ folder }: Controller, { config, slot, claim }: Work): Promise<string> {
  const output = join(folder, 'work', `${config.name}.${slot}`, claim.build.branch)
  await makeFolder(join(output, '.lock'))
  await sweepFolder(output)
  return output
}

async function buildIn(
  { context }: Controller,
  { config, input, slot, claim }: Work,
  { output, log, stop }: Running & { readonly output: string },
): Promise<Made<BuiltPackage>> {
  const { build, release, revision } = claim
  const settings = readBuildSettings(context, forSlot(input, slot), { arch: config.arch, output })
  const env = { ...sourcesEnvironment(build.branch, revision), ...settings.batch.env }
  const plan = { ...settings, batch: { ...settings.batch, env }, list: build.packages, release, keptBatches: 1 }
  // In the log, beside what the ports print.
  const say = (line: string): void => log.write(utf8(`bindery: ${line}\n`))
  const logs = openBatchLogs(plan)
  try {
    const caller = { say, explain: say, passOn: log.write, signal: AbortSignal.any([stop, log.failed]) }
    const { built, files, failed } = await buildInPlace(caller, plan, logs)
    return { packages: built.packages.filter(({ file }) => files.includes(file)), failed }
  } finally {
    logs.close()
  }
}

function newPackage({ file, pkgpath, sha256, size, signature, reproducible }: NewPackage): NewPackage {
  return { file, pkgpath, sha256, size, signature, reproducible }
}
