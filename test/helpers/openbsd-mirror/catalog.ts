import { numbers } from '../numbers.ts'
import { packageOf } from './package-facts.ts'
import type { Numbers } from '../numbers.ts'
import type { DependFacts, FileFacts, PackageFacts } from './package-facts.ts'

/** Made-up ports trees with the sizes and the habits of the real one; the same for the same seed. */
export type CatalogSize = {
  readonly count: number
  readonly seed?: number
  /** The median of the bytes that packages hold beyond their lists; most are near it, a few a hundred times larger. */
  readonly medianBytes?: number
}

const syllables = 'ab ar ca co da du el en fi ga go hu im ja ki la li mo na ne or pa pi qu ra ri sa so ta te ti um va vi wo xi ya zo'.split(
  ' ',
)
const categories =
  'archivers audio databases devel editors games graphics lang mail misc net security shells sysutils textproc www x11'.split(' ')
const flavors = ['no_x11', 'gtk3', 'python3', 'ruby', 'no_cups', 'mysql', 'ldap', 'static'] as const
const baseLibraries = ['c', 'm', 'pthread', 'z', 'crypto', 'ssl', 'util', 'curses', 'X11', 'Xext', 'c++', 'c++abi'] as const

export function catalogOf({ count, seed = 1, medianBytes = 0 }: CatalogSize): readonly PackageFacts[] {
  const random = numbers(seed)
  const made: PackageFacts[] = []
  const stems = new Set<string>()
  while (made.length < count) {
    const stem = stemOf(random)
    if (stems.has(stem)) continue
    stems.add(stem)
    made.push(...portOf(random, stem, made, medianBytes).slice(0, count - made.length))
  }
  return made.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** One port: a package, sometimes with subpackages, flavors, or branches. */
function portOf(random: Numbers, stem: string, made: readonly PackageFacts[], medianBytes: number): readonly PackageFacts[] {
  const path = `${random.of(categories)}/${stem.toLowerCase()}`
  const version = versionOf(random)
  const one = (name: string, pkgpath: string, more: Partial<PackageFacts> = {}): PackageFacts =>
    packageOf({ name, pkgpath, ...bodyOf(random, made, stem, medianBytes), ...more })
  switch (random.below(16)) {
    case 0:
      return [one(`${stem}-${version}`, `${path},-main`), one(`${stem}-doc-${version}`, `${path},-doc`)]
    case 1: {
      const chosen = [random.of(flavors), random.of(flavors)].filter((flavor, i, all) => all.indexOf(flavor) === i)
      return [one(`${stem}-${version}`, path), one(`${stem}-${version}-${chosen.join('-')}`, `${path},${chosen.join(',')}`)]
    }
    case 2:
      return [1, 2].map((branch) => one(`${stem}-${branch}.${version}`, `${path}/${branch}`, { options: ['is-branch'] }))
    case 3:
      return random.below(4) === 0 ? [one(`${stem}-${version}`, path, { options: ['always-update'] })] : [one(`${stem}-${version}`, path)]
    default:
      return [one(`${stem}-${version}`, path)]
  }
}

function stemOf(random: Numbers): string {
  const word = Array.from({ length: 2 + random.below(3) }, () => random.of(syllables)).join('')
  switch (random.below(8)) {
    case 0:
      return `p5-${word[0]?.toUpperCase() ?? ''}${word.slice(1)}-${random.of(syllables)}`
    case 1:
      return `py3-${word}`
    case 2:
      return `${word}-${random.of(syllables)}`
    default:
      return word
  }
}

/** Deweys, with a `p`, a `v` or a suffix now and then. */
function versionOf(random: Numbers): string {
  const dewey = Array.from({ length: 1 + random.below(3) }, () => String(random.below(30))).join('.')
  const suffix = random.below(25) === 0 ? random.of(['rc1', 'beta2', 'pl3', 'a']) : ''
  const rebuilt = random.below(3) === 0 ? `p${random.below(9)}` : ''
  return `${dewey}${suffix}${rebuilt}${random.below(20) === 0 ? 'v0' : ''}`
}

function bodyOf(random: Numbers, made: readonly PackageFacts[], stem: string, medianBytes: number): Partial<PackageFacts> {
  const depends = Array.from({ length: random.below(6) }, () => dependOn(random.of(made)))
  return {
    systemVersion: random.below(4) === 0 ? 1 + random.below(3) : 0,
    depends: [...new Map(depends.filter((one) => one !== undefined).map((one) => [one.pkgpath, one])).values()],
    wantlibs: wantlibsOf(random),
    files: filesOf(random, stem),
    conflicts: random.below(20) === 0 ? [`${stem}-*`] : [],
    pkgpaths: random.below(30) === 0 ? [`misc/${stem.toLowerCase()}`] : [],
    ballast: ballastOf(random, medianBytes),
  }
}

function dependOn(facts: PackageFacts | undefined): DependFacts | undefined {
  if (facts === undefined) return undefined
  const stem = /^(.*?)-\d/.exec(facts.name)?.[1] ?? facts.name
  return { pkgpath: facts.pkgpath, pattern: `${stem}-*`, name: facts.name }
}

function wantlibsOf(random: Numbers): readonly string[] {
  const libraries = Array.from({ length: random.below(20) }, () => random.of(baseLibraries))
  return [...new Set(libraries)].map((lib, i) => `${random.below(15) === 0 ? 'lib/qt5/' : ''}${lib}.${10 + i}.${random.below(4)}`)
}

/** Up to a few thousand, most have some dozen: what makes packing lists long. */
function filesOf(random: Numbers, stem: string): readonly FileFacts[] {
  const count = 3 + random.below(random.below(40) === 0 ? 1500 : 60)
  const folder: FileFacts = { keyword: 'dir', path: `share/doc/${stem}`, content: '' }
  const programs = [{ keyword: 'bin' as const, path: `bin/${stem}`, content: `program ${stem} ${random.below(1000)}\n` }]
  const texts = Array.from({ length: count }, (_, i) => ({
    path: `share/doc/${stem}/part-${i}.html`,
    content: `${stem} ${i} ${random.below(99)}\n`,
  }))
  return [...programs, { keyword: 'man', path: `man/man1/${stem}.1`, content: `.Dd ${stem}\n` }, folder, ...texts]
}

function ballastOf(random: Numbers, median: number): number {
  if (median === 0) return 0
  const powers = (random.below(1000) + random.below(1000) + random.below(1000)) / 500 - 3
  const large = random.below(50) === 0 ? 20 : 1
  return Math.round(median * 2 ** powers) * large
}

export type Changes = {
  readonly seed: number
  readonly newer: number
  readonly rebuilt: number
  readonly gone?: number
  readonly added?: number
}

/** The same tree some weeks later: so many packages have a higher version, so many the same with newer libraries, some went, some came. */
export function laterCatalog(catalog: readonly PackageFacts[], changes: Changes): readonly PackageFacts[] {
  const random = numbers(changes.seed)
  const order = shuffled(catalog, random)
  const { newer, rebuilt, gone = 0, added = 0 } = changes
  const later = order.map((facts, i) => {
    if (i < newer) return { ...facts, name: raised(facts) }
    return i < newer + rebuilt ? { ...facts, wantlibs: rebuiltLibraries(facts.wantlibs) } : facts
  })
  const known = new Set(later.map(({ name }) => name))
  const fresh = added === 0 ? [] : catalogOf({ count: added * 2, seed: changes.seed + 1000 }).filter(({ name }) => !known.has(name))
  return [...later.slice(0, later.length - gone), ...fresh.slice(0, added)].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function shuffled<T>(list: readonly T[], random: Numbers): T[] {
  const order = [...list]
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.below(i + 1)
    ;[order[i], order[other]] = [order[other] as T, order[i] as T]
  }
  return order
}

/** vim-9.0.1p2-gtk3 -> vim-10.0.1p2-gtk3; a branch stays one. */
function raised({ name, options }: PackageFacts): string {
  if (options.includes('is-branch'))
    return name.replace(/-(\d+)\.(\d+)/, (_, branch: string, minor: string) => `-${branch}.${Number(minor) + 1}`)
  return name.replace(/-(\d+)/, (_, major: string) => `-${Number(major) + 1}`)
}

function rebuiltLibraries(libraries: readonly string[]): readonly string[] {
  if (libraries.length === 0) return ['c.99.0']
  return libraries.map((lib, i) => (i === 0 ? lib.replace(/(\d+)\.\d+$/, (_, major: string) => `${Number(major) + 1}.0`) : lib))
}

/** So many packages of a tree, as one machine has them. */
export function someOf(catalog: readonly PackageFacts[], count: number, seed: number): readonly PackageFacts[] {
  return shuffled(catalog, numbers(seed)).slice(0, count)
}
