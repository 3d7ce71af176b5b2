import { BinderyError } from '../base/error.ts'
import { build } from '../engine/farm/build/build.ts'
import { cleanPackages, dropScratch } from '../engine/farm/build/batch.ts'
import { hostLocker } from '../host/lock.ts'
import { sharedFlags } from './flags.ts'
import { openBatchLogs } from './farm-build-logs.ts'
import { openPlace, readBuildPlan } from './farm-build-plan.ts'
import { print } from './output.ts'
import { folderStore, sweepFolder } from '../host/folder-store.ts'
import { watchLimits } from '../host/job-limits.ts'
import { spoolToSource } from '../host/source.ts'
import type { Batch } from '../engine/farm/build/batch.ts'
import type { BuildResult } from '../engine/farm/build/build.ts'
import type { Watch } from '../host/job-limits.ts'
import type { BuildPlace } from '../port/build-place.ts'
import type { Command, Context } from './command.ts'
import type { BatchLogs } from './farm-build-logs.ts'
import type { BuildPlan } from './farm-build-plan.ts'

export const farmBuild: Command = {
  name: 'farm build',
  summary: 'build the ports of a list into packages',
  operands: 'LIST',
  operandCount: { min: 1, max: 1 },
  options: {
    output: { ...sharedFlags.output, value: 'DIR', help: 'the folder that packages, logs and their manifest are added to' },
    release: { kind: 'value', value: 'VERSION', help: 'the release that the packages are for' },
    arch: { kind: 'value', value: 'ARCH', help: 'the architecture that they are for (default: that of this machine)' },
    ports: { kind: 'value', value: 'DIR', help: 'the ports tree (default: /usr/ports)' },
    packages: { kind: 'value', value: 'DIR', help: 'where the ports tree puts packages (default: packages/ARCH/all in it)' },
    command: { kind: 'value', value: 'TEXT', help: 'for sh, instead of: env SUBDIRLIST="$LIST" BULK=yes make package' },
    names: { kind: 'value', value: 'TEXT', help: 'for sh, instead of: env SUBDIRLIST="$LIST" show=PKGNAMES make' },
    'pkg-path': { kind: 'value', value: 'URL', help: "the release's packages, for what is needed and unchanged" },
    env: { kind: 'list', value: 'NAME=VALUE', help: 'of the environment of the build; may be given again' },
    clean: { kind: 'flag', help: 'delete installed packages before the build; always done on OpenBSD' },
    'no-clean': { kind: 'flag', help: 'leave installed packages alone' },
    keep: { kind: 'list', value: 'STEM', help: 'do not delete this package; rsync and sqlports are never deleted' },
    temporary: { kind: 'list', value: 'DIR', help: 'empty DIR before the build (default: pobj, bulk and update of the ports tree)' },
    sandbox: { kind: 'value', value: 'KIND', help: 'build in an overlay or a snapshot over --root' },
    root: { kind: 'value', value: 'DIR', help: 'the tree that the sandbox is over; paths of the ports tree are paths in it' },
    scratch: { kind: 'value', value: 'DIR', help: 'keep what an overlay changes below DIR meanwhile' },
    'no-network': { kind: 'flag', help: 'build without the network, as far as the system can' },
    'time-limit': { kind: 'value', value: 'SECONDS', help: 'end the build after so long' },
    silence: { kind: 'value', value: 'SECONDS', help: 'end the build when it printed nothing for so long' },
    'least-space': { kind: 'value', value: 'MB', help: 'end the build when less is left on the disk of DIR' },
    twice: { kind: 'flag', help: 'build everything again, and tell what does not come out the same' },
    'keep-logs': { kind: 'value', value: 'COUNT', help: 'how many earlier batches keep their logs (default: 9)' },
    json: { ...sharedFlags.json, help: 'print JSON, one package or failed port a line' },
  },
  examples: [
    'bindery farm build list --release 7.6 -o /home/built/7.6 --pkg-path https://cdn.openbsd.org/pub/OpenBSD/7.6/packages/amd64/',
    'bindery farm build list --release 7.6 -o built --sandbox overlay --root /build/7.6 --silence 3600',
    'bindery farm select --git /usr/ports --from release --to stable | bindery farm build - --release 7.6 -o built --twice',
  ],
  run: async (context, input) => {
    const plan = await readBuildPlan(context, input)
    const lock = await hostLocker(plan.lock).take('farm build')
    try {
      await sweepFolder(plan.output)
      const logs = openBatchLogs(plan)
      try {
        const result = await buildInPlace(context, plan, logs)
        await tell(context, plan, result)
        return result.failed.length === 0 ? 0 : needsAttention
      } finally {
        logs.close()
      }
    } finally {
      await lock.release()
    }
  },
}

const needsAttention = 6

async function buildInPlace(context: Context, plan: BuildPlan, logs: BatchLogs): Promise<BuildResult> {
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

async function buildWatched(context: Context, plan: BuildPlan, { place, logs, watch }: World): Promise<BuildResult> {
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

function tellLeft(context: Context, left: readonly string[]): void {
  if (left.length > 0) context.say(`still installed: ${left.join(' ')}`)
}

async function tell(context: Context, plan: BuildPlan, { built, fresh, failed }: BuildResult): Promise<void> {
  for (const one of built.packages) {
    if (!fresh.includes(one.file)) continue
    await print(context, plan.json ? `${JSON.stringify(one)}\n` : `${one.file}\n`)
  }
  for (const one of failed) {
    if (plan.json) await print(context, `${JSON.stringify({ ...one, failed: true })}\n`)
    context.say(`${one.pkgpath}: failed: ${one.why}${one.log === '' ? '' : ` (${one.log})`}`)
    for (const line of one.lines) context.say(`  ${line}`)
  }
}
