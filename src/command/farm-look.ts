import { about } from '../base/about.ts'
import { collectBytes, latin1, oneChunk } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { planBuilds } from '../engine/farm/plan.ts'
import { readSources } from '../engine/farm/read-sources.ts'
import { decodeCveList } from '../format/cve-list.ts'
import { isPassing } from '../host/farm/database-error.ts'
import { openInput } from '../host/source.ts'
import { cvsSource } from '../host/source-cvs.ts'
import { gitSource } from '../host/source-git.ts'
import { readSqlports } from '../host/sqlports.ts'
import { lineOf } from './farm-controller.ts'
import type { Commit } from '../base/source-change.ts'
import type { BranchConfig } from '../format/farm-config.ts'
import type { Build } from '../port/farm-build.ts'
import type { SourcePlan } from '../port/farm-catalog.ts'
import type { PortsList } from '../port/ports-list.ts'
import type { SourceControl } from '../port/source-control.ts'
import type { Controller } from './farm-controller.ts'

/** Whether the poll command of a branch says that something may have changed; without one, it may. */
export async function mayHaveChanged({ context }: Pick<Controller, 'context'>, { poll }: BranchConfig): Promise<boolean> {
  if (poll === undefined) return true
  const { status, stdout, stderr } = await context.exec.run('sh', ['-c', poll], { apart: true })
  if (status === 0) return stdout.some((byte) => byte > 0x20)
  const reason = latin1(stderr).trim().split('\n').at(-1) ?? ''
  throw new BinderyError('command-failed', `ended with status ${status}${reason === '' ? '' : `: ${reason}`}`, { subject: 'poll' })
}

/** What a look comes to is noted in the catalog, for the pages. Of a database that is away nothing can be. */
export async function noted(
  { context, farm, signal }: Controller,
  { name }: Pick<BranchConfig, 'name'>,
  look: () => Promise<void>,
): Promise<void> {
  try {
    await look()
  } catch (error) {
    if (!signal.aborted && !isPassing(error)) await farm.catalog.noteLook(name, lineOf(error))
    throw error
  }
  if (await farm.catalog.noteLook(name, undefined)) context.say(`${name}: its sources can be read again`)
}

/** Sources into builds that wait. The same sources again come to nothing. */
export async function lookAtSources(controller: Controller, branch: BranchConfig): Promise<void> {
  const { context, farm } = controller
  const source = versionControl(context.exec, branch.source)
  const to = await source.pinned(branch.to)
  const { changes, commits } = await readSources(source, branch.from, to)
  const plan = planBuilds({
    branch: branch.name,
    from: branch.from,
    to: branch.to,
    revision: { name: to, seconds: branch.source.kind === 'cvs' ? timeOf(commits) : undefined },
    archs: branch.archs,
    changes,
    commits,
    list: branch.sqlports === undefined ? noList : readSqlports(branch.sqlports),
    cves: await readCves(branch.cves),
    known: await farm.catalog.known(branch.name),
  })
  await applyLook(controller, branch.name, plan)
}

/** Into the catalog, and told. */
export async function applyLook({ context, farm }: Controller, branch: string, plan: SourcePlan): Promise<void> {
  const { updates, queued, superseded } = await farm.catalog.apply(plan, 'farm')
  const told = [
    [updates, 'updates'],
    [queued.length, 'builds to do'],
    [superseded.length, 'superseded'],
  ] as const
  const line = told.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  if (line.length === 0) return context.explain(`${branch}: nothing new`)
  context.say(`${branch}: ${line.join(', ')}`)
  const named = ({ pkgpath, arch, id }: Build): string => `${pkgpath} ${branch}/${arch}: build ${id}`
  for (const build of superseded) context.say(`${named(build)} is superseded: the sources have changed again`)
  for (const build of queued) context.say(`${named(build)} waits${build.isSecurity ? ' (security)' : ''}`)
}

/** Of the newest of them: what comes into the branch while we look has a later one. */
export function timeOf(commits: readonly Commit[]): number | undefined {
  return commits.reduce<number | undefined>((last, { seconds }) => Math.max(last ?? seconds, seconds), undefined)
}

const noList: PortsList = { ports: new Map(), source: 'none' }

/** Of a branch that has one. */
export function versionControl(exec: Controller['context']['exec'], { kind, place, module }: BranchConfig['source']): SourceControl {
  return kind === 'git' ? gitSource(exec, place) : cvsSource(exec, place, module ?? 'ports')
}

const maxCves = 64 << 20

async function readCves(file: string | undefined): Promise<ReadonlyMap<string, readonly string[]>> {
  if (file === undefined) return new Map()
  const bytes = await collectBytes(await openInput(file, oneChunk(new Uint8Array(0))), maxCves)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxCves} bytes`, { subject: file })
  return await about(file, () => decodeCveList(bytes))
}
