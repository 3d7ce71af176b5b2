import { isBinderyError } from '../../../base/error.ts'
import { digestStream } from '../../../base/digest.ts'
import { buildPorts, cleanFolders, dropPackages, hasPackage, packageNames, readPackageFile, reportedProblems } from './batch.ts'
import { collectPackage, dropSuperseded, packagesThere, readBuilt, writeBuilt } from './collect.ts'
import type { BinderyError } from '../../../base/error.ts'
import type { Built, BuiltPackage, FailedPort } from '../../../format/built.ts'
import type { Spool } from '../../../port/source.ts'
import type { Store } from '../../../port/store.ts'
import type { Batch } from './batch.ts'
import type { CheckedPackage } from './check-package.ts'
import type { ExpectedPackage } from './package-names.ts'

/** A list of ports into packages in a folder: what is there already at its version is not built again, what fails hides no other. */
export type BuildOrder = {
  readonly batch: Batch
  readonly list: readonly string[]
  readonly release: string
  readonly arch: string
  readonly store: Store
  readonly spool: Spool
  /** Folders of the ports tree that are emptied before each build. */
  readonly temporary: readonly string[]
  readonly twice: boolean
  /** Where a port's log lies in the store's folder, and what it says. */
  readonly logOf: (pkgpath: string) => { readonly log: string; readonly lines: readonly string[] }
  /** Set where a limit ended the build. */
  readonly exceeded: () => { readonly pkgpath: string | undefined; readonly error: BinderyError } | undefined
  readonly tell: (line: string) => void
}

export type BuildResult = {
  readonly built: Built
  /** Files that are new in the folder. */
  readonly fresh: readonly string[]
  /** Files of this list that are in the folder, new or not. */
  readonly files: readonly string[]
  /** Of this list. */
  readonly failed: readonly FailedPort[]
}

export async function build(order: BuildOrder): Promise<BuildResult> {
  const { batch, list, store } = order
  const former = await readBuilt(store)
  const there = await packagesThere(store, former)
  const expected = await packageNames(batch, list)
  const missing = list.filter((pkgpath) => !isDone(pkgpath, expected, there))
  order.tell(`${list.length - missing.length} of ${list.length} ports are packaged already`)
  const wanted = expected.filter(({ pkgpath, file }) => missing.includes(pkgpath) && !there.has(file))
  const problems = missing.length === 0 ? [] : await buildAll(order, missing, wanted)
  const { packages, wrong } = await collectAll(order, wanted)
  const repeated = order.twice && packages.length > 0 ? await buildAgain(order, packages, missing) : undefined
  const ports = new Map(wanted.map(({ file, pkgpath }) => [file, pkgpath]))
  const fresh = packages.map((one) => ({
    ...one,
    log: order.logOf(ports.get(one.file) as string).log,
    reproducible: repeated?.get(one.file),
  }))
  const failed = failuresOf(order, { missing, wanted, problems, wrong, made: new Set(fresh.map(({ file }) => file)) })
  const built = mergedWith(order, { former, there, fresh, failed })
  await writeBuilt(store, built)
  await dropSuperseded(store, former, built)
  const inFolder = new Set(built.packages.map(({ file }) => file))
  const files = expected.flatMap(({ file }) => (inFolder.has(file) ? [file] : []))
  return { built, fresh: fresh.map(({ file }) => file), files, failed }
}

function isDone(pkgpath: string, expected: readonly ExpectedPackage[], there: ReadonlyMap<string, unknown>): boolean {
  const its = expected.filter((one) => one.pkgpath === pkgpath)
  return its.length > 0 && its.every(({ file }) => there.has(file))
}

async function buildAll(order: BuildOrder, missing: readonly string[], wanted: readonly ExpectedPackage[]): Promise<readonly string[]> {
  await cleanFolders(order.batch, order.temporary)
  const status = await withinLimits(order, async () => await buildPorts(order.batch, missing))
  const problems = order.exceeded() === undefined ? await reportedProblems(order.batch) : []
  if (status !== undefined && status !== 0 && problems.length === 0 && wanted.length > 0)
    order.tell(`the build ended with status ${status}`)
  return problems
}

/** Undefined where a limit ended it: what is there until then is collected all the same. */
async function withinLimits<T>(order: BuildOrder, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (order.exceeded()?.error === error) return undefined
    throw error
  }
}

type Collected = { readonly packages: readonly CheckedPackage[]; readonly wrong: ReadonlyMap<string, string> }

async function collectAll(order: BuildOrder, wanted: readonly ExpectedPackage[]): Promise<Collected> {
  const packages: CheckedPackage[] = []
  const wrong = new Map<string, string>()
  for (const one of wanted) {
    try {
      const checked = await collectPackage(order.batch, order, one)
      if (checked !== undefined) packages.push(checked)
    } catch (error) {
      if (!isBinderyError(error) || !isOfPackage(error)) throw error
      wrong.set(one.pkgpath, `${one.file} ${error.message}`)
    }
  }
  return { packages, wrong }
}

/** And not of the disk, or of whoever waits for us. */
function isOfPackage({ code }: BinderyError): boolean {
  return code === 'bad-format' || code === 'bad-digest' || code === 'over-limit' || code === 'hostile'
}

/** Which of the packages came out the same. */
async function buildAgain(
  order: BuildOrder,
  packages: readonly CheckedPackage[],
  list: readonly string[],
): Promise<ReadonlyMap<string, boolean>> {
  const { batch } = order
  await dropPackages(
    batch,
    packages.map(({ file }) => file),
  )
  await cleanFolders(batch, order.temporary)
  await withinLimits(order, async () => await buildPorts(batch, list))
  const same = new Map<string, boolean>()
  for (const { file, sha256 } of packages) {
    const again = (await hasPackage(batch, file)) ? (await digestStream(readPackageFile(batch, file))).sha256 : undefined
    same.set(file, again === sha256)
    if (again !== sha256)
      order.tell(`${file}: ${again === undefined ? 'could not be built twice' : 'is another one when it is built twice'}`)
  }
  return same
}

type Outcome = {
  readonly missing: readonly string[]
  readonly wanted: readonly ExpectedPackage[]
  readonly problems: readonly string[]
  readonly wrong: ReadonlyMap<string, string>
  readonly made: ReadonlySet<string>
}

function failuresOf(order: BuildOrder, { missing, wanted, problems, wrong, made }: Outcome): readonly FailedPort[] {
  const exceeded = order.exceeded()
  return missing.flatMap((pkgpath) => {
    const its = wanted.filter((one) => one.pkgpath === pkgpath)
    const unmade = its.filter(({ file }) => !made.has(file)).map(({ file }) => file)
    if (its.length > 0 && unmade.length === 0 && !problems.includes(pkgpath)) return []
    const why = wrong.get(pkgpath) ?? (exceeded === undefined ? reasonOf(unmade) : reasonOfLimit(exceeded, pkgpath))
    return [{ pkgpath, why, ...order.logOf(pkgpath) }]
  })
}

function reasonOf(unmade: readonly string[]): string {
  return unmade.length === 0 ? 'the ports tree reports a problem' : `${unmade.join(' ')} was not made`
}

function reasonOfLimit({ pkgpath: stopped, error }: NonNullable<ReturnType<BuildOrder['exceeded']>>, pkgpath: string): string {
  return stopped === pkgpath ? error.message : `was not reached: ${stopped ?? 'the build'} ${error.message}`
}

type Parts = {
  readonly former: Built | undefined
  readonly there: ReadonlyMap<string, BuiltPackage>
  readonly fresh: readonly BuiltPackage[]
  readonly failed: readonly FailedPort[]
}

/** A package takes the place of the one of its pkgpath before. What failed before stays failed until it is built. */
function mergedWith({ release, arch, list }: BuildOrder, { former, there, fresh, failed }: Parts): Built {
  const renewed = new Set(fresh.map(({ pkgpath }) => pkgpath))
  const stays = [...there].filter(([, { pkgpath }]) => !renewed.has(pkgpath))
  const packages = new Map([...stays, ...fresh.map((one) => [one.file, one] as const)])
  const others = (former?.failed ?? []).filter(({ pkgpath }) => !list.includes(pkgpath))
  return {
    release,
    arch,
    packages: [...packages.values()].toSorted((a, b) => (a.file < b.file ? -1 : 1)),
    failed: [...others, ...failed].toSorted((a, b) => (a.pkgpath < b.pkgpath ? -1 : 1)),
  }
}
