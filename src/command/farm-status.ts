import { showPath } from '../base/path.ts'
import { showSpan } from '../base/show-span.ts'
import { askFarm } from './farm-ask.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import type { Build } from '../port/farm-build.ts'
import type { Handover, KnownBuilder, Sighting } from '../port/farm-catalog.ts'
import type { Command } from './command.ts'
import type { FarmStatus } from './farm-office.ts'

export const farmStatus: Command = {
  name: 'farm status',
  summary: 'say where everything stands: what is built, what waits for a signature, how mirrors are',
  operands: 'FARM',
  operandCount: { min: 1, max: 1 },
  options: { json: { ...sharedFlags.json, help: 'print JSON, one thing a line, each with its kind' } },
  examples: ['bindery farm status /var/farm', 'bindery farm status --json /var/farm'],
  run: async (context, input) => {
    const [farm] = input.operands as [string]
    const status = await askFarm(context, { farm, verb: 'farm status' }, 'status')
    const lines = input.flag('json') ? jsonLines(status) : textLines(status, context.clock.now())
    for (const line of lines) await print(context, `${line}\n`)
    return 0
  },
}

function jsonLines(status: FarmStatus): readonly string[] {
  const kinds = [
    ['branch', status.branches],
    ['count', status.counts],
    ['build', status.builds],
    ['handover', status.handovers],
    ['builder', status.builders],
    ['mirror', status.mirrors],
  ] as const
  return kinds.flatMap(([kind, things]) => things.map((thing) => JSON.stringify({ kind, ...thing })))
}

function textLines({ branches, counts, builds, handovers, builders, mirrors }: FarmStatus, now: number): readonly string[] {
  const since = (time: number | undefined): string => (time === undefined ? 'never' : `${showSpan(now - time)} ago`)
  return [
    ...branches.map((one) => `branch ${branchText(one, since, now)}`),
    ...counts.map(({ branch, arch, state, count }) => `  ${branch}/${arch}: ${count} ${state}`),
    ...builds.map((build) => `build ${buildText(build, now)}`),
    ...handovers.map((one) => `handover ${handoverText(one, since)}`),
    ...builders.map((one) => `builder ${builderText(one, since)}`),
    ...mirrors.map((one) => `mirror ${mirrorText(one, since)}`),
  ]
}

function branchText({ name, paused, seen, failure }: FarmStatus['branches'][number], since: Since, now: number): string {
  const unread = failure === undefined ? '' : `; for ${showSpan(now - failure.since)} they cannot be read: ${failure.why}`
  return `${name}${paused ? ' (paused)' : ''}: sources last changed ${since(seen)}${unread}`
}

type Since = (time: number | undefined) => string

function buildText({ id, pkgpath, branch, arch, state, isSecurity, notBefore, since }: Build, now: number): string {
  const again = notBefore === undefined ? '' : `, again in ${showSpan(Math.max(0, notBefore - now))}`
  return `${id}: ${showPath(pkgpath)} ${branch}/${arch}: ${state} for ${showSpan(now - since)}${again}${isSecurity ? ' (security)' : ''}`
}

function handoverText({ id, branch, arch, state, packages, made, file }: Handover, since: Since): string {
  const what = state === 'requested' ? 'waits for a signature' : 'is signed, and not yet published'
  return `${id}: ${branch}/${arch}: ${packages.length} packages, made ${since(made)}, ${what}: ${file}`
}

function builderText({ name, arch, paused, quarantined, seen }: KnownBuilder, since: Since): string {
  return `${name}: ${arch}${paused ? ' (paused)' : ''}${quarantined ? ' (quarantined)' : ''}: last seen ${since(seen)}`
}

function mirrorText({ mirror, branch, arch, state, lagSeconds, last }: Sighting, since: Since): string {
  const lag = lagSeconds === undefined ? '' : ` by ${showSpan(lagSeconds * 1000)}`
  return `${mirror}: ${branch}/${arch}: ${state}${lag}, looked at ${since(last)}`
}
