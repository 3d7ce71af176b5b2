/**
 * Versions of OpenBSD packages and their two orders (doc/spec/package-names.md): `1.2.3rc1p0v2` is the dewey number 1.2.3 with
 * the suffix rc1, revision 0 of the port, epoch 2.
 */
export type PackageVersion = {
  /** The components between dots; only the last may have carried a suffix. */
  readonly dewey: readonly string[]
  readonly suffix: '' | 'alpha' | 'beta' | 'pre' | 'rc' | 'pl'
  /** Digits, or nothing. */
  readonly suffixValue: string
  /** `pN`, undefined where there is none, which is less than p0. Digits. */
  readonly revision: string | undefined
  /** `vN`, undefined where there is none, which is less than v0. Digits. */
  readonly epoch: string | undefined
}

const suffixPattern = /^([0-9]+)(rc|alpha|beta|pre|pl)([0-9]*)$/

/** Any text is a version: what has no digits is compared as text. */
export function parsePackageVersion(text: string): PackageVersion {
  const [withoutEpoch, epoch] = splitNumber(text, 'v')
  const [number, revision] = splitNumber(withoutEpoch, 'p')
  const dewey = number.split('.')
  const last = suffixPattern.exec(dewey.at(-1) as string)
  if (last === null) return { dewey, suffix: '', suffixValue: '', revision, epoch }
  const [, digits, suffix, suffixValue] = last as unknown as [string, string, PackageVersion['suffix'], string]
  return { dewey: [...dewey.slice(0, -1), digits], suffix, suffixValue, revision, epoch }
}

function splitNumber(text: string, letter: 'p' | 'v'): readonly [string, string | undefined] {
  let at = text.length
  while (at > 0 && isDigit(text.charCodeAt(at - 1))) at--
  if (at === text.length || at === 0 || text[at - 1] !== letter) return [text, undefined]
  return [text.slice(0, at - 1), text.slice(at)]
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

export function formatPackageVersion(version: PackageVersion): string {
  const { revision, epoch } = version
  return deweyText(version) + (revision === undefined ? '' : `p${revision}`) + (epoch === undefined ? '' : `v${epoch}`)
}

function deweyText({ dewey, suffix, suffixValue }: PackageVersion): string {
  return dewey.join('.') + suffix + suffixValue
}

/**
 * pkg_add's order: the revision counts only where the dewey numbers are written alike, so that 1.01p2 and 1.1p1 are equal.
 * Negative, zero or positive.
 */
export function comparePackageVersions(a: PackageVersion, b: PackageVersion): number {
  const epochs = compareOptional(a.epoch, b.epoch)
  if (epochs !== 0) return epochs
  return deweyText(a) === deweyText(b) ? compareOptional(a.revision, b.revision) : compareDeweys(a, b)
}

/** obsdpkgup's order: the revision counts wherever the dewey numbers are equal. */
export function compareAsObsdpkgup(a: PackageVersion, b: PackageVersion): number {
  return compareOptional(a.epoch, b.epoch) || compareDeweys(a, b) || compareOptional(a.revision, b.revision)
}

/** For a version of a spec, whose revision counts only where it has one (packages-specs(7)). */
export function compareToSpec(spec: PackageVersion, version: PackageVersion): number {
  return comparePackageVersions(spec, spec.revision === undefined ? { ...version, revision: undefined } : version)
}

function compareDeweys(a: PackageVersion, b: PackageVersion): number {
  const shared = Math.min(a.dewey.length, b.dewey.length)
  for (let i = 0; i < shared; i++) {
    const order = compareComponents(a.dewey[i] as string, b.dewey[i] as string)
    if (order !== 0) return order
  }
  return a.dewey.length - b.dewey.length || compareSuffixes(a, b)
}

const lettered = /^([0-9]+)([a-z]?)$/

function compareComponents(a: string, b: string): number {
  const left = lettered.exec(a)
  const right = lettered.exec(b)
  if (left === null || right === null) return compareText(a, b)
  return compareDigits(left[1] as string, right[1] as string) || compareText(left[2] as string, right[2] as string)
}

const suffixRank = { alpha: 0, beta: 1, pre: 2, rc: 2, '': 3, pl: 4 } as const

/** A pre and an rc cannot be told apart, whatever their numbers. */
function compareSuffixes(a: PackageVersion, b: PackageVersion): number {
  if (a.suffix === b.suffix) return compareDigits(a.suffixValue, b.suffixValue)
  return suffixRank[a.suffix] - suffixRank[b.suffix]
}

function compareOptional(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return compareDigits(a, b)
}

/** Of any length: dates with seconds do not fit into what the originals count with. */
function compareDigits(a: string, b: string): number {
  const left = a.replace(/^0+/, '')
  const right = b.replace(/^0+/, '')
  return left.length - right.length || compareText(left, right)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
