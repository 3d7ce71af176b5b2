import { BinderyError, isBinderyError } from '../base/error.ts'
import { showText } from '../base/show-text.ts'
import { updatesOf } from '../engine/pkg/check/decide.ts'
import { readInstalled } from '../engine/pkg/check/installed.ts'
import { machineOf } from '../engine/pkg/check/machine.ts'
import { fetchPath, versionOfPath } from '../engine/pkg/check/fetch-path.ts'
import { chooseMirror } from '../engine/pkg/check/mirrors.ts'
import { recall, remember } from '../engine/pkg/check/memory.ts'
import { packagePaths, separateIndexUrl } from '../engine/pkg/check/repository-url.ts'
import { version } from '../host/context.ts'
import { hostOpenbsd } from '../host/openbsd-system.ts'
import { folderPageCache, userCacheFolder } from '../host/page-cache.ts'
import { sharedFlags } from './flags.ts'
import { problemsOf, tell, textAnswer } from './pkgcheck-text.ts'
import type { PackageUpdate } from '../engine/pkg/check/decide.ts'
import type { Installed } from '../engine/pkg/check/installed.ts'
import type { Machine } from '../engine/pkg/check/machine.ts'
import type { Answer, Question } from '../engine/pkg/check/memory.ts'
import type { MirrorChoice } from '../engine/pkg/check/mirrors.ts'
import type { FetchedPath, PathFetching } from '../engine/pkg/check/fetch-path.ts'
import type { Wanted } from '../engine/pkg/check/listing.ts'
import type { Outlook } from '../engine/pkg/check/outlook.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { PackagePath } from '../engine/pkg/check/repository-url.ts'
import type { OpenbsdSystem } from '../port/openbsd-system.ts'
import type { Command, Context, Input } from './command.ts'

export const pkgcheck: Command = {
  name: 'pkgcheck',
  summary: 'ask which OpenBSD packages have updates, as obsdpkgup does',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    cron: { kind: 'flag', short: 'c', help: 'say nothing when there are no updates' },
    snapshot: { kind: 'flag', short: 's', help: 'look into the directory of snapshots' },
    verbose: { kind: 'flag', short: 'v', help: 'say how long it took' },
    debug: { kind: 'flag', short: 'd', help: 'for obsdpkgup: does nothing' },
    pubkey: { ...sharedFlags.pubkey, help: 'take only the index that this signify key has signed: index.bindery.zst' },
    mirror: { kind: 'list', value: 'URL', help: 'a mirror, as in installurl(5); may be repeated: the best is taken' },
    explain: { kind: 'list', value: 'PKG', help: 'show what differs of an installed package; may be repeated' },
    report: { kind: 'flag', help: 'also tell what is gone, renamed or needed besides, and how much there is to download' },
    json: sharedFlags.json,
    'kern-version': { kind: 'value', value: 'TEXT', help: 'the system, instead of what sysctl kern.version says' },
    arch: { kind: 'value', value: 'ARCH', help: 'the architecture, instead of what arch -s says' },
  },
  examples: [
    'bindery pkgcheck',
    'bindery pkgcheck | doas sh',
    'bindery pkgcheck -c',
    'bindery pkgcheck --explain curl',
    "bindery -C /mnt/router pkgcheck --kern-version 'OpenBSD 7.8' --arch arm64 --json",
  ],
  run: async (context, input) => {
    try {
      return await check(context, input)
    } catch (error) {
      // The original knows two answers, and no prefix.
      if (!isBinderyError(error) || error.code === 'usage' || error.code === 'stopped') throw error
      context.tell(showText(`${error.subject === undefined ? '' : `${error.subject}: `}${error.message}\n`))
      if (error.hint !== undefined) context.tell(`${error.hint}\n`)
      return 1
    }
  },
}

/** What was found, for whoever prints it. */
export type Findings = {
  readonly machine: Machine
  readonly installed: Installed
  readonly choice: MirrorChoice
  readonly updates: readonly PackageUpdate[]
  /** Where it was asked for. */
  readonly outlook: Outlook | undefined
  /** Whether pkg_add has to be told where the packages are. */
  readonly namesPath: boolean
  readonly networkMs: number
  readonly compareMs: number
}

async function check(context: Context, input: Input): Promise<number> {
  const start = context.clock.now()
  const run = await beginRun(context, input)
  const { offering, here } = run
  const asked = fetchAll(offering, run.paths)
  // While the first answers are on their way.
  const question = questionOf(context, input, run)
  const memory = question === undefined ? undefined : recall(offering.cache, context.root, question)
  if (memory === undefined) here()
  const fetched = await asked
  const pages = versionOfPaths(fetched)
  if (memory !== undefined && memory.pages === pages) {
    await tell(context, memory)
    return 0
  }
  const choice = await chooseMirror(fetched, offering.wanted)
  for (const source of choice.best.sources) context.explain(`index: ${source}`)
  if (input.list('explain').length > 0) return await explainAll(context, input, here(), choice)
  const findings = await findingsOf(context, input, { run, choice, start })
  const isSound = problemsOf(findings).length === 0
  const answer = await tellFindings(context, input, findings)
  if (isSound && answer !== undefined && question !== undefined && pages !== undefined)
    remember(offering.cache, context.root, { ...question, pages }, answer)
  return isSound ? 0 : 1
}

type Run = {
  readonly system: OpenbsdSystem
  readonly machine: Machine
  readonly paths: readonly PackagePath[]
  readonly offering: PathFetching & { readonly wanted: Wanted }
  /** Read once, when it is first needed. */
  readonly here: () => Installed
}

async function beginRun(context: Context, input: Input): Promise<Run> {
  const system = hostOpenbsd(context.root, context.exec, { kernVersion: input.value('kern-version'), arch: input.value('arch') })
  const machine = await machineHere(system, input.flag('snapshot'))
  const key = await keyOf(context, input)
  const installed: { value?: Installed } = {}
  const here = (): Installed => (installed.value ??= readInstalled(system))
  const offering = offeringOf(context, input, { system, machine, key, here })
  return { system, machine, paths: pathsOf(context, input, system, machine), offering, here }
}

async function explainAll(context: Context, input: Input, installed: Installed, choice: MirrorChoice): Promise<number> {
  const { explainPackages } = await import('./pkgcheck-explain.ts')
  return await explainPackages(context, input, input.list('explain'), installed, choice.best.catalog)
}

type Compared = { readonly run: Run; readonly choice: MirrorChoice; readonly start: number }

async function findingsOf(context: Context, input: Input, { run, choice, start }: Compared): Promise<Findings> {
  const answered = context.clock.now()
  const { packages } = run.here()
  const updates = updatesOf(packages, choice.best.catalog)
  const outlook = wantsOutlook(input) ? await lookAhead(run, updates, choice) : undefined
  const times = { networkMs: answered - start, compareMs: context.clock.now() - answered }
  return { machine: run.machine, installed: run.here(), choice, updates, outlook, namesPath: input.list('mirror').length > 0, ...times }
}

/** Answers what was printed, where that is text. */
async function tellFindings(context: Context, input: Input, findings: Findings): Promise<Answer | undefined> {
  if (input.flag('json')) {
    await (await import('./pkgcheck-json.ts')).tellAsJson(context, findings)
    return undefined
  }
  const answer = textAnswer(context, input, findings)
  await tell(context, answer)
  return answer
}

/**
 * Undefined where an answer is not remembered: a signed index has an end, and what looks further, or tells times, is asked for by people. Read before the
 * packages are, so that one that changes meanwhile is noticed the next time.
 */
function questionOf(context: Context, input: Input, { system, machine, paths, offering }: Run): Omit<Question, 'pages'> | undefined {
  const isPlain = !['verbose', 'report', 'json'].some((flag) => input.flag(flag)) && input.list('explain').length === 0
  if (!isPlain || context.verbosity !== 'normal' || input.value('pubkey') !== undefined) return undefined
  const asked = JSON.stringify([version, input.flag('cron'), input.list('mirror').length, machine, paths, offering.separateIndex ?? null])
  return { asked, machine: system.packagesState() }
}

/** Of several mirrors, which are chosen by what they hold, all. */
function versionOfPaths(fetched: readonly FetchedPath[]): string | undefined {
  const versions = fetched.map(versionOfPath)
  return versions.includes(undefined) ? undefined : versions.join('\n')
}

async function fetchAll(fetching: PathFetching, paths: readonly PackagePath[]): Promise<readonly FetchedPath[]> {
  return await Promise.all(paths.map(async (path) => await fetchPath(fetching, path)))
}

/** What only some runs need is loaded by them: most of the time goes into starting up. */
async function keyOf(context: Context, input: Input): Promise<SignifyPublicKey | undefined> {
  const file = input.value('pubkey')
  if (file === undefined) return undefined
  const [{ readKeyFile }, { decodePublicKey }] = await Promise.all([import('./signed-files.ts'), import('../format/signify.ts')])
  return await readKeyFile(context, file, decodePublicKey)
}

async function machineHere(system: OpenbsdSystem, forceSnapshot: boolean): Promise<Machine> {
  const [kernVersion, arch] = await Promise.all([system.kernVersion(), system.arch()])
  return machineOf(kernVersion, arch, forceSnapshot)
}

type Here = {
  readonly system: OpenbsdSystem
  readonly machine: Machine
  readonly key: PathFetching['key']
  readonly here: () => Installed
}

function offeringOf(context: Context, input: Input, { system, machine, key, here }: Here): PathFetching & { readonly wanted: Wanted } {
  const pkgupUrl = environmentOf(context, 'PKGUP_URL')
  let stems: ReadonlySet<string> | undefined
  const isInstalled = (stem: string): boolean => (stems ??= new Set(here().packages.map((one) => one.stem))).has(stem)
  return {
    http: context.http,
    cache: folderPageCache(userCacheFolder(context.environment)),
    signal: context.signal,
    system,
    wanted: wantsOutlook(input) ? () => true : isInstalled,
    key,
    now: context.clock.now(),
    separateIndex: pkgupUrl === undefined ? undefined : separateIndexUrl(pkgupUrl, machine),
  }
}

/** What is empty is not set, as for the original. */
function environmentOf({ environment }: Context, name: string): string | undefined {
  return environment[name] === '' ? undefined : environment[name]
}

function pathsOf(context: Context, input: Input, system: OpenbsdSystem, machine: Machine): ReturnType<typeof packagePaths> {
  const packagePath = environmentOf(context, 'TRUSTED_PKG_PATH') ?? environmentOf(context, 'PKG_PATH')
  const mirrors = input.list('mirror')
  const installUrl = mirrors.length > 0 || packagePath !== undefined ? undefined : system.installUrl()
  const paths = packagePaths({ mirrors, packagePath, installUrl }, machine)
  if (paths.some((path) => path.length === 0)) throw new BinderyError('not-supported', 'PKG_PATH names no directory')
  return paths
}

function wantsOutlook(input: Input): boolean {
  return input.flag('report') || input.flag('json')
}

async function lookAhead(
  { system, machine, here }: Run,
  updates: readonly PackageUpdate[],
  { best: { catalog, path } }: MirrorChoice,
): Promise<Outlook> {
  const [{ outlookOf }, { readQuirksModule }] = await Promise.all([
    import('../engine/pkg/check/outlook.ts'),
    import('../engine/pkg/check/quirks-module.ts'),
  ])
  const isComplete = machine.isSnapshot || catalog.length > 1 || !path.some((directory) => directory.includes('/packages-stable/'))
  return outlookOf({ packages: here().packages, updates, catalog, quirks: readQuirksModule(system.quirksModule()), isComplete })
}
