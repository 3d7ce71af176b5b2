import { BinderyError, isBinderyError } from '../base/error.ts'
import { showText } from '../base/show-text.ts'
import { updatesOf } from '../engine/pkg/check/decide.ts'
import { readInstalled } from '../engine/pkg/check/installed.ts'
import { machineOf } from '../engine/pkg/check/machine.ts'
import { chooseMirror } from '../engine/pkg/check/mirrors.ts'
import { packagePaths, separateIndexUrl } from '../engine/pkg/check/repository-url.ts'
import { hostOpenbsd } from '../host/openbsd-system.ts'
import { folderPageCache, userCacheFolder } from '../host/page-cache.ts'
import { sharedFlags } from './flags.ts'
import { tellAsText } from './pkgcheck-text.ts'
import type { PackageUpdate } from '../engine/pkg/check/decide.ts'
import type { Installed, InstalledPackage } from '../engine/pkg/check/installed.ts'
import type { Machine } from '../engine/pkg/check/machine.ts'
import type { MirrorChoice } from '../engine/pkg/check/mirrors.ts'
import type { Offering } from '../engine/pkg/check/offer.ts'
import type { Outlook } from '../engine/pkg/check/outlook.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
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
  const system = hostOpenbsd(context.root, context.exec, { kernVersion: input.value('kern-version'), arch: input.value('arch') })
  const start = context.clock.now()
  const machine = await machineHere(system, input.flag('snapshot'))
  const key = await keyOf(context, input)
  // Read while the first answers are on their way.
  const installed: { value?: Installed } = {}
  const here = (): Installed => (installed.value ??= readInstalled(system))
  const offering = offeringOf(context, input, { system, machine, key, here })
  const asked = chooseMirror(offering, pathsOf(context, input, system, machine))
  asked.catch(() => {})
  here()
  const choice = await asked
  const answered = context.clock.now()
  for (const source of choice.best.sources) context.explain(`index: ${source}`)
  const explained = input.list('explain')
  if (explained.length > 0) {
    const { explainPackages } = await import('./pkgcheck-explain.ts')
    return await explainPackages(context, input, explained, here(), choice.best.catalog)
  }
  const updates = updatesOf(here().packages, choice.best.catalog)
  const outlook = wantsOutlook(input) ? await lookAhead(system, here().packages, updates, choice, machine) : undefined
  const times = { networkMs: answered - start, compareMs: context.clock.now() - answered }
  const findings = { machine, installed: here(), choice, updates, outlook, namesPath: input.list('mirror').length > 0, ...times }
  if (input.flag('json')) await (await import('./pkgcheck-json.ts')).tellAsJson(context, findings)
  else await tellAsText(context, input, findings)
  return here().problems.length > 0 || choice.best.problems.length > 0 ? 1 : 0
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
  readonly key: Offering['key']
  readonly here: () => Installed
}

function offeringOf(context: Context, input: Input, { system, machine, key, here }: Here): Offering {
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
  system: OpenbsdSystem,
  packages: readonly InstalledPackage[],
  updates: readonly PackageUpdate[],
  { best: { catalog, path } }: MirrorChoice,
  machine: Machine,
): Promise<Outlook> {
  const [{ outlookOf }, { readQuirksModule }] = await Promise.all([
    import('../engine/pkg/check/outlook.ts'),
    import('../engine/pkg/check/quirks-module.ts'),
  ])
  const isComplete = machine.isSnapshot || catalog.length > 1 || !path.some((directory) => directory.includes('/packages-stable/'))
  return outlookOf({ packages, updates, catalog, quirks: readQuirksModule(system.quirksModule()), isComplete })
}
