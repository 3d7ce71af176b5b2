import { sweepFolder } from '../host/folder-store.ts'
import { hostLocker } from '../host/lock.ts'
import { openBatchLogs } from './farm-build-logs.ts'
import { buildOptions, readBuildPlan } from './farm-build-plan.ts'
import { buildInPlace } from './farm-build-run.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import type { BuildResult } from '../engine/farm/build/build.ts'
import type { Command, Context } from './command.ts'
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
    ...buildOptions,
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
