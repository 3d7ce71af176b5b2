import { parse as parseToml } from 'smol-toml'
import { BinderyError } from '../base/error.ts'
import { utf8Text } from '../base/utf8-text.ts'
import { didYouMean } from '../base/suggest.ts'
import { formatDistName, isDistName } from '../base/name.ts'
import { plainName } from './built.ts'
import type { Branch } from '../base/farm-branch.ts'

/** `farm.toml` (doc/spec/farm.md): what a farm builds, where, and who is told. */
export type FarmConfig = {
  readonly branches: readonly BranchConfig[]
  readonly releases: readonly ReleaseConfig[]
  readonly builders: readonly BuilderConfig[]
  /** The key that signs packages; undefined in a farm without a line of packages. */
  readonly key: string | undefined
  /** Where `VERSION/packages-stable/ARCH` come to lie; below the farm's folder where it is relative. */
  readonly publish: string
  readonly graceHours: number
  readonly leaseSeconds: number
  readonly retry: { readonly failures: number; readonly losses: number; readonly firstSeconds: number; readonly mostSeconds: number }
  readonly keep: KeepConfig
  /** A request waits so long for more to be built, unless nothing more is to come. */
  readonly handoverSeconds: number
  readonly notify: NotifyConfig
  readonly mirrors: MirrorsConfig
  readonly web: WebConfig
}

export type BranchConfig = Branch & {
  /** Between two looks at the sources. */
  readonly everySeconds: number
  /** For sh: where it prints nothing, the sources are as they were. */
  readonly poll: string | undefined
  readonly cves: string | undefined
}

/** A line of releases, made on the controller. `%a` in paths is the architecture. */
export type ReleaseConfig = BranchConfig & {
  readonly product: string
  readonly work: ReleaseWork
  /** A system with sources and what builds them, in which it is built. */
  readonly root: string
  /** For sh, before each build: what brings `root` to the release again, where builds change it. */
  readonly prepare: string | undefined
  /** A dist or a tree: what the release is without the changes. */
  readonly base: string
  /** Where it is published; below the farm's folder where it is relative, as the others. */
  readonly repository: string
  /** A folder with the keys that are online, for snapshot and timestamp. */
  readonly keys: string | undefined
  /** More flags of these verbs. */
  readonly flags: { readonly capture: readonly string[]; readonly cut: readonly string[]; readonly publish: readonly string[] }
}

/** By the instructions of errata that this key has signed; or by this, for sh. */
export type ReleaseWork = { readonly kind: 'errata'; readonly key: string } | { readonly kind: 'command'; readonly command: string }

/** A place on the controller itself. */
export type BuilderConfig = {
  readonly name: string
  readonly arch: string
  readonly releases: readonly string[]
  readonly tags: readonly string[]
  readonly jobs: number
  /** Flags of `farm build`. */
  readonly flags: readonly string[]
}

/** For how long what nothing needs any more stays. */
export type KeepConfig = { readonly eventDays: number; readonly logDays: number; readonly requestDays: number }

export type NotifyConfig = {
  /** For sh; gets the summary on its standard input. */
  readonly command: string | undefined
  readonly mail: readonly string[]
  readonly hook: string | undefined
}

export type MirrorsConfig = { readonly bring: readonly string[]; readonly look: readonly string[]; readonly everySeconds: number }

/** How a farm shows itself. */
export type WebConfig = {
  readonly title: string
  readonly read: 'public' | 'token'
  /** PEM files; below the farm's folder where they are relative. Without them, plain HTTP. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined
  /** Browsers come by https, through a proxy. */
  readonly https: boolean
  /** Addresses of proxies that are believed. */
  readonly proxies: readonly string[]
  /** Which machines of the fleet are believed. */
  readonly enroll: 'first-use' | 'known'
  /** A repository whose channels are shown, too. */
  readonly repository: string | undefined
}

const maxBytes = 1 << 20
const day = 24 * 3600

/** Throws `bad-format` with the name of what is wrong, `over-limit`. */
export function decodeFarmConfig(bytes: Uint8Array): FarmConfig {
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const table = tableOf(parsed(utf8Text(bytes)), 'the file', ['key', 'publish', 'grace-hours', 'lease', ...tables])
  const config: FarmConfig = {
    branches: namedTables(table, 'branch').map(([name, facts]) => branchOf(name, facts)),
    releases: namedTables(table, 'release').map(([name, facts]) => releaseOf(name, facts)),
    builders: namedTables(table, 'builder').map(([name, facts]) => builderOf(name, facts)),
    key: optionalText(table, 'key'),
    publish: optionalText(table, 'publish') ?? 'public',
    graceHours: wholeOf(table, 'grace-hours', { least: 0, most: 100_000, usual: 24 }),
    leaseSeconds: wholeOf(table, 'lease', { least: 10, most: day, usual: 120 }),
    retry: retryOf(tableIn(table, 'retry', ['failures', 'lost', 'first', 'most'])),
    keep: keepOf(tableIn(table, 'keep', ['events', 'logs', 'requests'])),
    handoverSeconds: wholeOf(tableIn(table, 'handover', ['after']), 'after', { least: 0, most: 30 * day, usual: 3600 }),
    notify: notifyOf(tableIn(table, 'notify', ['command', 'mail', 'hook'])),
    mirrors: mirrorsOf(tableIn(table, 'mirrors', ['bring', 'look', 'every'])),
    web: webOf(tableIn(table, 'web', ['title', 'read', 'certificate', 'key', 'https', 'proxies', 'enroll', 'repository'])),
  }
  if (config.branches.length + config.releases.length === 0)
    throw new BinderyError('bad-format', 'has no branch', { hint: 'it begins with [branch.NAME], or [release.NAME]' })
  if (config.branches.length > 0 && config.key === undefined) throw new BinderyError('bad-format', 'key is missing')
  refuseTwins(config.branches)
  refuseNamesakes(config)
  return config
}

/** Two branches would write to one folder. */
function refuseTwins(branches: readonly BranchConfig[]): void {
  const seen = new Map<string, string>()
  for (const { name, release, archs } of branches)
    for (const arch of archs) {
      const twin = seen.get(`${release}/${arch}`)
      if (twin !== undefined)
        throw new BinderyError('bad-format', `[branch.${twin}] and [branch.${name}] both make packages of ${release} for ${arch}`)
      seen.set(`${release}/${arch}`, name)
    }
}

function refuseNamesakes({ branches, releases }: FarmConfig): void {
  const twin = releases.find(({ name }) => branches.some((branch) => branch.name === name))
  if (twin !== undefined) throw new BinderyError('bad-format', `[branch.${twin.name}] and [release.${twin.name}] have one name`)
}

const tables = ['branch', 'release', 'builder', 'retry', 'keep', 'handover', 'notify', 'mirrors', 'web']

type Table = Readonly<Record<string, unknown>>

function parsed(text: string): unknown {
  try {
    return parseToml(text)
  } catch (cause) {
    const line = cause instanceof Error ? (cause.message.split('\n')[0] as string) : ''
    throw new BinderyError('bad-format', `is no TOML: ${line}`, { cause })
  }
}

function tableOf(value: unknown, what: string, names: readonly string[]): Table {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new BinderyError('bad-format', `${what} is no table`)
  const unknown = Object.keys(value).find((name) => !names.includes(name))
  if (unknown === undefined) return value as Table
  const near = didYouMean(unknown, names)
  const hint = near === undefined ? undefined : `did you mean ${near}?`
  throw new BinderyError('bad-format', `${what} has '${unknown}', which says nothing here`, { hint })
}

function tableIn(table: Table, name: string, names: readonly string[]): Table {
  return tableOf(table[name] ?? {}, `[${name}]`, names)
}

function namedTables(table: Table, kind: string): readonly (readonly [string, Table])[] {
  const all = table[kind] ?? {}
  if (typeof all !== 'object' || Array.isArray(all)) throw new BinderyError('bad-format', `[${kind}] takes names: [${kind}.NAME]`)
  return Object.entries(all).map(([name, facts]) => [plainName(name, `[${kind}.NAME]`), facts as Table])
}

const branchNames = ['release', 'cvs', 'git', 'module', 'from', 'to', 'sqlports', 'archs', 'tags', 'every', 'poll', 'cves']

function branchOf(name: string, facts: Table): BranchConfig {
  const table = tableOf(facts, `[branch.${name}]`, branchNames)
  return told(`[branch.${name}]`, () => ({
    name,
    product: undefined,
    release: plainName(textOf(table, 'release'), 'release'),
    source: sourceOf(table, 'ports'),
    from: textOf(table, 'from'),
    to: textOf(table, 'to'),
    sqlports: optionalText(table, 'sqlports'),
    archs: someOf(textsOf(table, 'archs'), 'archs').map((arch) => plainName(arch, 'archs')),
    tags: textsOf(table, 'tags'),
    everySeconds: wholeOf(table, 'every', { least: 1, most: 30 * day, usual: day / 3 }),
    poll: optionalText(table, 'poll'),
    cves: optionalText(table, 'cves'),
  }))
}

function sourceOf(table: Table, module: string): BranchConfig['source'] {
  const [cvs, git] = [optionalText(table, 'cvs'), optionalText(table, 'git')]
  if (cvs !== undefined && git === undefined) return { kind: 'cvs', place: cvs, module: optionalText(table, 'module') ?? module }
  if (git !== undefined && cvs === undefined) return { kind: 'git', place: git, module: undefined }
  throw new BinderyError('bad-format', 'one of cvs and git says where its sources are')
}

const releaseNames = [
  ...branchNames.filter((name) => name !== 'sqlports' && name !== 'cves'),
  'product',
  'errata',
  'errata-key',
  'command',
  'prepare',
  'root',
  'base',
  'repository',
  'keys',
  'capture',
  'cut',
  'publish',
]

function releaseOf(name: string, facts: Table): ReleaseConfig {
  const table = tableOf(facts, `[release.${name}]`, releaseNames)
  return told(`[release.${name}]`, () => {
    const release = plainName(textOf(table, 'release'), 'release')
    const archs = someOf(textsOf(table, 'archs'), 'archs').map((arch) => plainName(arch, 'archs'))
    return {
      name,
      product: productOf(table, release, archs),
      release,
      ...releaseSource(table, release),
      sqlports: undefined,
      cves: undefined,
      archs,
      tags: textsOf(table, 'tags'),
      everySeconds: wholeOf(table, 'every', { least: 1, most: 30 * day, usual: day / 3 }),
      poll: optionalText(table, 'poll'),
      root: textOf(table, 'root'),
      prepare: optionalText(table, 'prepare'),
      base: textOf(table, 'base'),
      repository: textOf(table, 'repository'),
      keys: optionalText(table, 'keys'),
      flags: { capture: textsOf(table, 'capture'), cut: textsOf(table, 'cut'), publish: textsOf(table, 'publish') },
    }
  })
}

function productOf(table: Table, release: string, archs: readonly string[]): string {
  const product = textOf(table, 'product')
  for (const arch of archs) {
    const name = { product, revision: `${release}p1`, date: '20000101', arch }
    if (!isDistName(name)) throw new BinderyError('bad-format', `'${formatDistName(name)}' would be no name of a release`)
  }
  return product
}

function releaseSource(table: Table, release: string): Pick<ReleaseConfig, 'source' | 'work' | 'from' | 'to'> {
  const folder = optionalText(table, 'errata')
  const idle = (folder === undefined ? ['errata-key'] : ['cvs', 'git', 'module', 'from', 'to', 'command']).find((one) => one in table)
  if (idle !== undefined) throw new BinderyError('bad-format', `${idle} says nothing ${folder === undefined ? 'without' : 'with'} errata`)
  if (folder === undefined)
    return {
      source: sourceOf(table, 'src'),
      work: { kind: 'command', command: textOf(table, 'command') },
      from: textOf(table, 'from'),
      to: textOf(table, 'to'),
    }
  return {
    source: { kind: 'errata', place: folder, module: undefined },
    work: { kind: 'errata', key: textOf(table, 'errata-key') },
    from: release,
    to: release,
  }
}

function builderOf(name: string, facts: Table): BuilderConfig {
  const table = tableOf(facts, `[builder.${name}]`, ['arch', 'releases', 'tags', 'jobs', 'flags'])
  return told(`[builder.${name}]`, () => ({
    name,
    arch: plainName(textOf(table, 'arch'), 'arch'),
    releases: textsOf(table, 'releases'),
    tags: textsOf(table, 'tags'),
    jobs: wholeOf(table, 'jobs', { least: 1, most: 1000, usual: 1 }),
    flags: textsOf(table, 'flags'),
  }))
}

function retryOf(table: Table): FarmConfig['retry'] {
  return {
    failures: wholeOf(table, 'failures', { least: 1, most: 100, usual: 3 }),
    losses: wholeOf(table, 'lost', { least: 1, most: 100, usual: 5 }),
    firstSeconds: wholeOf(table, 'first', { least: 1, most: 30 * day, usual: 300 }),
    mostSeconds: wholeOf(table, 'most', { least: 1, most: 30 * day, usual: day / 4 }),
  }
}

function keepOf(table: Table): KeepConfig {
  const daysOf = (name: string, usual: number): number => wholeOf(table, name, { least: 1, most: 36_500, usual })
  return { eventDays: daysOf('events', 400), logDays: daysOf('logs', 60), requestDays: daysOf('requests', 60) }
}

function notifyOf(table: Table): NotifyConfig {
  return { command: optionalText(table, 'command'), mail: textsOf(table, 'mail'), hook: optionalText(table, 'hook') }
}

function mirrorsOf(table: Table): MirrorsConfig {
  const everySeconds = wholeOf(table, 'every', { least: 1, most: 30 * day, usual: 3600 })
  return { bring: textsOf(table, 'bring'), look: textsOf(table, 'look'), everySeconds }
}

function webOf(table: Table): WebConfig {
  return {
    title: optionalText(table, 'title') ?? 'bindery',
    read: choiceOf(table, 'read', ['public', 'token']),
    tls: tlsOf(table),
    https: flagOf(table, 'https'),
    proxies: textsOf(table, 'proxies'),
    enroll: choiceOf(table, 'enroll', ['first-use', 'known']),
    repository: optionalText(table, 'repository'),
  }
}

function tlsOf(table: Table): WebConfig['tls'] {
  const [certificate, key] = [optionalText(table, 'certificate'), optionalText(table, 'key')]
  if (certificate !== undefined && key !== undefined) return { certificate, key }
  if (certificate === undefined && key === undefined) return undefined
  throw new BinderyError('bad-format', '[web] certificate and key go together')
}

/** The first where nothing is said. */
function choiceOf<T extends string>(table: Table, name: string, choices: readonly [T, ...T[]]): T {
  const value = table[name] ?? choices[0]
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw new BinderyError('bad-format', `${name} is none of ${choices.join(', ')}`)
  return found
}

function flagOf(table: Table, name: string): boolean {
  const value = table[name] ?? false
  if (typeof value !== 'boolean') throw new BinderyError('bad-format', `${name} is neither true nor false`)
  return value
}

function told<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    throw new BinderyError(error.code, `${what}: ${error.message}`, { hint: error.hint, cause: error })
  }
}

function textOf(table: Table, name: string): string {
  const text = optionalText(table, name)
  if (text === undefined) throw new BinderyError('bad-format', `${name} is missing`)
  return text
}

function optionalText(table: Table, name: string): string | undefined {
  const value = table[name]
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new BinderyError('bad-format', `${name} is no text`)
}

function textsOf(table: Table, name: string): readonly string[] {
  const value = table[name] ?? []
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')) return value as readonly string[]
  throw new BinderyError('bad-format', `${name} is no list of texts`)
}

function someOf(texts: readonly string[], name: string): readonly string[] {
  if (texts.length === 0) throw new BinderyError('bad-format', `${name} is missing`)
  if (new Set(texts).size < texts.length) throw new BinderyError('bad-format', `${name} names something twice`)
  return texts
}

type Range = { readonly least: number; readonly most: number; readonly usual: number }

function wholeOf(table: Table, name: string, { least, most, usual }: Range): number {
  const value = table[name] ?? usual
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw new BinderyError('bad-format', `${name} is no whole number from ${least} to ${most}`)
}
