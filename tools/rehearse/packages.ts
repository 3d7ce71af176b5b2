import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { downloadPackages, updateLists } from '../../bench/debian.ts'

/**
 * Three states of a Debian system, as the configured mirrors still have them: `release` is the oldest version of each package,
 * `halfway` the newest of the point releases, without what is security's alone, `present` the newest of all.
 */
export const states = ['release', 'halfway', 'present'] as const
export type State = (typeof states)[number]

export type Slice = { readonly name: string; readonly wanted: readonly string[]; readonly hasKernel: boolean }

export const whole: Slice = {
  name: 'whole',
  wanted: '?essential openssl openssh-client openssh-server python3-minimal libpython3-stdlib perl systemd udev kmod tzdata procps'.split(
    ' ',
  ),
  hasKernel: true,
}

export const quick: Slice = {
  name: 'quick',
  // The second half is what the recovery program calls.
  wanted: 'libc6 libc-bin libssl3 openssl perl-base dash coreutils diffutils findutils grep mawk sed tar'.split(' '),
  hasKernel: false,
}

/** The packages of one state, in the order in which they are unpacked, and the kernels beside them. */
export type Packages = { readonly base: readonly string[]; readonly kernels: readonly string[] }

/** What each state is made of, written `name=version`; asked of apt once, kept in `folder`. */
export function choosePackages(slice: Slice, folder: string): Readonly<Record<State, Packages>> {
  const file = join(folder, 'packages.json')
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Record<State, Packages>
  mkdirSync(folder, { recursive: true })
  updateLists()
  const kernels = slice.hasKernel ? kernelsOf(folder) : []
  const base = versionsOf(namesOf(slice, folder), folder)
  const at = (state: State): Packages => ({ base: base.map(pick(state)), kernels: kernelsAt(kernels, states.indexOf(state)) })
  const chosen = { release: at('release'), halfway: at('halfway'), present: at('present') }
  writeFileSync(`${file}.part`, JSON.stringify(chosen, null, 1))
  renameSync(`${file}.part`, file)
  return chosen
}

/** The files of these packages; what was fetched once is not fetched again. */
export function fetchPackages(specs: readonly string[], folder: string): string {
  const debs = resolve(folder)
  if (!existsSync(debs)) {
    downloadPackages(specs, `${debs}.part`)
    renameSync(`${debs}.part`, debs)
  }
  return debs
}

/** As of a machine on which nothing is installed yet; the system's own apt is left as it is. */
function apt(program: 'apt-get' | 'apt-cache', args: readonly string[], folder: string): string {
  const cache = join(folder, 'apt-cache')
  const settings = ['Dir::State::status=/dev/null', `Dir::Cache::pkgcache=${cache}.package`, `Dir::Cache::srcpkgcache=${cache}.source`]
  try {
    return execFileSync(program, [...settings.flatMap((setting) => ['-o', setting]), ...args], { encoding: 'utf8', maxBuffer: 1 << 26 })
  } finally {
    for (const end of ['package', 'source']) rmSync(`${cache}.${end}`, { force: true })
  }
}

/** With all that they depend on, in apt's order. */
function namesOf({ wanted }: Slice, folder: string): readonly string[] {
  const plan = apt('apt-get', ['install', '--simulate', '-qq', '--no-install-recommends', ...wanted], folder)
  return [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name as string)
}

type Offered = { readonly name: string; readonly version: string; readonly isSecurity: boolean }

/** Newest first. */
function versionsOf(names: readonly string[], folder: string): readonly (readonly Offered[])[] {
  const lines = apt('apt-cache', ['madison', ...names], folder)
    .trim()
    .split('\n')
  const all = lines
    .map((line) => line.split('|').map((field) => field.trim()))
    .map(([name = '', version = '', source = '']) => ({ name, version, isSecurity: source.includes('-security/') }))
  return names.map((name) => all.filter((one) => one.name === name))
}

function pick(state: State): (offered: readonly Offered[]) => string {
  return (offered) => {
    const point = offered.find(({ isSecurity }) => !isSecurity)
    const one = { release: offered.at(-1), halfway: point ?? offered[0], present: offered[0] }[state]
    if (one === undefined) throw new Error('apt would install a package of which its lists have no version')
    return `${one.name}=${one.version}`
  }
}

/** The oldest, the middle and the newest of the small kernels for virtual machines, whose packages carry their version in their name. */
function kernelsOf(folder: string): readonly string[] {
  const newest = /^Depends:.*?\b(linux-image-[^ ,]+)/m.exec(
    apt('apt-cache', ['show', '--no-all-versions', 'linux-image-cloud-amd64'], folder),
  )
  const [, before = '', after = ''] = /^(linux-image-[0-9.]+-)[0-9]+(-cloud-amd64)$/.exec(newest?.[1] ?? '') ?? []
  const numbers = apt('apt-cache', ['pkgnames', before], folder)
    .split('\n')
    .filter((name) => before !== '' && name.endsWith(after))
    .map((name) => Number(name.slice(before.length, name.length - after.length)))
    .filter((number) => Number.isInteger(number))
    .toSorted((a, b) => a - b)
  const three = [numbers[0], numbers[numbers.length >> 1], numbers.at(-1)]
  return [...new Set(three)].filter((number) => number !== undefined).map((number) => `${before}${number}${after}`)
}

/** The kernel of a state, and the one before it, so that it can still be booted. */
function kernelsAt(kernels: readonly string[], state: number): readonly string[] {
  return kernels.slice(Math.max(0, state - 1), state + 1)
}
