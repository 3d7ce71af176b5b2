import { BinderyError } from '../base/error.ts'
import { build } from '../engine/farm/build/build.ts'
import { cleanPackages, dropScratch, prepareTree } from '../engine/farm/build/batch.ts'
import { openPlace } from './farm-build-plan.ts'
import { folderStore } from '../host/folder-store.ts'
import { watchLimits } from '../host/job-limits.ts'
import { spoolToSource } from '../host/source.ts'
import type { Batch } from '../engine/farm/build/batch.ts'
import type { BuildResult } from '../engine/farm/build/build.ts'
import type { Watch } from '../host/job-limits.ts'
import type { BuildPlace } from '../port/build-place.ts'
import type { Context } from './command.ts'
import type { BatchLogs } from './farm-build-logs.ts'
import type { BuildPlan } from './farm-build-plan.ts'

/** What a build needs of the verb that runs it. */
export type BuildCaller = Pick<Context, 'say' | 'explain' | 'passOn' | 'signal'>

/** One batch, in a place of its own and within its limits. */
export async function buildInPlace(context: BuildCaller, plan: Omit<BuildPlan, 'json'>, logs: BatchLogs): Promise<BuildResult> {
  const place = await openPlace(plan)
  const watch = watchLimits(plan.limits, context.signal)
  try {
    for (const remark of place.remarks) context.explain(remark)
    return await buildWatched(context, plan, { place, logs, watch })
  } finally {
    watch.close()
    await place.close()
  }
}

type World = { readonly place: BuildPlace; readonly logs: BatchLogs; readonly watch: Watch }

async function buildWatched(context: BuildCaller, plan: Omit<BuildPlan, 'json'>, { place, logs, watch }: World): Promise<BuildResult> {
  const batch: Batch = {
    ...plan.batch,
    place,
    signal: AbortSignal.any([watch.signal, logs.failed]),
    output: (bytes) => {
      watch.sawOutput()
      logs.add(bytes)
      context.passOn(bytes)
    },
  }
  try {
    if (plan.prepare !== undefined) await prepareTree(batch, plan.prepare)
    if (plan.kept !== undefined) tellLeft(context, await cleanPackages(batch, plan.kept))
    return await build({
      ...plan,
      batch,
      store: folderStore(plan.output),
      spool: async (stream) => await spoolToSource(stream, plan.output),
      logOf: logs.of,
      exceeded: () => {
        const error = watch.exceeded()
        return error === undefined ? undefined : { pkgpath: logs.current(), error }
      },
      tell: context.say,
    })
  } catch (error) {
    throw error === watch.exceeded() ? watch.exceeded() : error instanceof BinderyError ? withLog(error, logs) : error
  } finally {
    // Also when all else was stopped.
    await dropScratch({ ...batch, signal: new AbortController().signal })
  }
}

function withLog(error: BinderyError, logs: BatchLogs): BinderyError {
  if (error.code !== 'command-failed') return error
  return new BinderyError(error.code, error.message, { subject: error.subject, hint: `the log is ${logs.file}`, cause: error })
}

function tellLeft(context: BuildCaller, left: readonly string[]): void {
  if (left.length > 0) context.say(`still installed: ${left.join(' ')}`)
}
