import { isBinderyError } from '../base/error.ts'
import { clockMoves, clockShiftSeconds } from '../engine/capture/noise/clock.ts'
import { judgeChanges, keepShipped } from '../engine/capture/noise/without-noise.ts'
import type { Sides } from '../engine/capture/changes.ts'
import type { DiskReader } from '../port/disk.ts'
import type { Sandbox } from '../port/sandbox.ts'
import type { Context } from './command.ts'
import type { NoisyFile } from './noise-text.ts'

/** A build that has been observed, and how it is done once more. */
export type FirstBuild = {
  readonly sides: Sides
  /** The tree as it was, whatever the sandbox does. */
  readonly shipped: DiskReader
  readonly first: DiskReader
  readonly openSecond: () => Promise<Sandbox>
  readonly build: (sandbox: Sandbox, clockAheadSeconds: number) => Promise<void>
}

/** Builds again by another clock; files that changed in noise alone keep what was shipped. */
export async function withoutNoise(
  context: Context,
  { sides, shipped, first, openSecond, build }: FirstBuild,
): Promise<{ readonly sides: Sides; readonly noise: readonly NoisyFile[] }> {
  const sandbox = await openSecond()
  try {
    const built = await buildAgain(context, sandbox, build)
    const judged = await judgeChanges(sides, { shipped, first, second: built ? sandbox.after : undefined }, context.signal)
    const noise = judged.flatMap(({ path, verdict }) => (verdict.kind === 'noise' ? [{ path, noise: verdict.noise }] : []))
    return { sides: keepShipped(sides, judged), noise }
  } finally {
    await sandbox.close()
  }
}

/** A second build that fails is no reason to lose the first one, but stamps are then not known. */
async function buildAgain(context: Context, sandbox: Sandbox, build: FirstBuild['build']): Promise<boolean> {
  const moves = await clockMoves(sandbox, context.clock, context.signal)
  context.say(`noise: building a second time, ${moves ? 'the clock moved 400 days' : 'clock not moved'}`)
  try {
    await build(sandbox, moves ? clockShiftSeconds : 0)
    return true
  } catch (error) {
    if (!isBinderyError(error, 'command-failed')) throw error
    context.say(`noise: the second build ${error.message}; stamps are not known, only the noise of known formats is left out`)
    return false
  }
}
