import { BinderyError } from '../../base/error.ts'
import { canonicalPackageName, comparePackageNames, parsePackageName } from './package-name.ts'
import type { UpdateInfo } from './update-info.ts'

/**
 * What tells whether a package with the same name was built anew (doc/spec/update-signature.md): the string of obsdpkgup's index,
 * and the keyed elements that pkg_add compares.
 */

/** Throws `bad-format` for a list without a name. */
export function obsdpkgupSignature(info: UpdateInfo): string {
  if (info.names.length === 0) throw noName()
  const depends = [...new Set(info.depends.map((depend) => `@${depend.default}`))].map(sortFlavors)
  return [...info.names, info.versions[0] ?? '0', ...inOrder(depends), ...inOrder(info.wantlibs)].join(',')
}

/** As pkg_create writes them they are sorted already. */
function inOrder(texts: readonly string[]): readonly string[] {
  for (let i = 1; i < texts.length; i++) if ((texts[i - 1] as string) > (texts[i] as string)) return texts.toSorted()
  return texts
}

function noName(): BinderyError {
  return new BinderyError('bad-format', 'has no @name')
}

/** From the right, up to the last part that begins with a digit. */
function sortFlavors(name: string): string {
  const last = name.charCodeAt(name.lastIndexOf('-') + 1)
  // Nearly all names end in their version.
  if (last >= 48 && last <= 57) return name
  const parts = name.split('-')
  const version = parts.findLastIndex((part) => /^[0-9]/.test(part))
  return version < 0 ? name : [...parts.slice(0, version + 1), ...parts.slice(version + 1).sort()].join('-')
}

export type SignatureElement =
  | { readonly kind: 'depend'; readonly text: string; readonly name: string }
  | { readonly kind: 'library'; readonly text: string; readonly major: string; readonly minor: string }
  /** A `@wantlib` that is no library: all of them share one key. */
  | { readonly kind: 'odd'; readonly text: string }

export type UpdateSignature = {
  readonly name: string
  /** The version of the package system: what `@version` adds to 0. */
  readonly version: number
  readonly elements: ReadonlyMap<string, SignatureElement>
  /** Of `@option always-update`: such a package is another one whenever anything in its list is. */
  readonly hash: string | undefined
}

const oddKey = '???'

/** `wholeList` is asked for with always-update alone, where the option does not hold the hash itself (OpenBSD up to 7.2). */
export function updateSignature(info: UpdateInfo, wholeList: () => string): UpdateSignature {
  const name = info.names[0]
  if (name === undefined) throw noName()
  const elements = new Map<string, SignatureElement>()
  for (const depend of info.depends) {
    const canonical = canonicalPackageName(depend.default)
    elements.set(depend.pkgpath, { kind: 'depend', text: `@${canonical}`, name: canonical })
  }
  for (const wantlib of info.wantlibs) {
    const [key, element] = libraryElement(wantlib)
    elements.set(key, element)
  }
  return { name, version: versionOf(info), elements, hash: hashOf(info, wholeList) }
}

function libraryElement(text: string): readonly [string, SignatureElement] {
  const match = /^(.*)\.([0-9]+)\.([0-9]+)$/.exec(text)
  if (match === null) return [oddKey, { kind: 'odd', text }]
  const [, key, major, minor] = match as unknown as [string, string, string, string]
  return [key, { kind: 'library', text, major, minor }]
}

function versionOf({ versions }: UpdateInfo): number {
  const sum = versions.reduce((total, version) => total + (/^[0-9]{1,9}$/.test(version) ? Number(version) : Number.NaN), 0)
  if (Number.isNaN(sum)) throw new BinderyError('bad-format', '@version is no number')
  return sum
}

function hashOf({ options }: UpdateInfo, wholeList: () => string): string | undefined {
  const option = options.find((text) => /^always-update\b/.test(text))
  if (option === undefined) return undefined
  const hash = option.slice('always-update'.length).trim()
  return hash === '' ? wholeList() : hash
}

/** As pkg_add prints it: the version of the package system is sorted in among the rest. */
export function formatUpdateSignature({ name, version, elements, hash }: UpdateSignature): string {
  const parts = [String(version), ...[...elements.values()].map(({ text }) => text)].sort()
  return [name, ...parts, ...(hash === undefined ? [] : [hash])].join(',')
}

/** One element that is not the same in both; `newer` says whose it is. */
export type SignatureDifference = {
  readonly key: string
  readonly old: string | undefined
  readonly new: string | undefined
  readonly newer: 'old' | 'new' | 'neither'
}

export type SignatureComparison =
  | { readonly kind: 'same' }
  | { readonly kind: 'older' | 'newer'; readonly by: 'name' | 'version' | 'elements'; readonly differences: readonly SignatureDifference[] }
  /** pkg_add knows no order and calls it someone's mistake: a REVISION was not bumped. */
  | { readonly kind: 'undefined'; readonly reason: UndefinedReason; readonly differences: readonly SignatureDifference[] }

export type UndefinedReason =
  /** Names of different packages, or of different flavors. */
  | 'names'
  /** An element that one of the two does not have. */
  | 'missing'
  /** Each has something newer than the other. */
  | 'both-newer'
  /** All elements are the same, and the hashes of always-update are not. */
  | 'hash'

/** How `next` stands to `installed`: `newer` is an update. */
export function compareUpdateSignatures(installed: UpdateSignature, next: UpdateSignature): SignatureComparison {
  if (installed.name !== next.name) return compareByName(installed.name, next.name)
  const version = next.version - installed.version
  if (version !== 0) return { kind: version > 0 ? 'newer' : 'older', by: 'version', differences: [] }
  const differences = differencesOf(installed, next)
  if (differences.some(({ old, new: after }) => old === undefined || after === undefined))
    return { kind: 'undefined', reason: 'missing', differences }
  const wins = new Set(differences.map(({ newer }) => newer))
  if (wins.has('old') && wins.has('new')) return { kind: 'undefined', reason: 'both-newer', differences }
  if (wins.has('new')) return { kind: 'newer', by: 'elements', differences }
  if (wins.has('old')) return { kind: 'older', by: 'elements', differences }
  if (fullText(installed) !== fullText(next)) return { kind: 'undefined', reason: 'hash', differences }
  return { kind: 'same' }
}

/** Where neither has a hash, what cannot be ordered counts for neither side, and is no update for pkg_add. */
function fullText(signature: UpdateSignature): string {
  return signature.hash === undefined ? '' : formatUpdateSignature(signature)
}

function compareByName(old: string, next: string): SignatureComparison {
  const names = [parsePackageName(old), parsePackageName(next)] as const
  const order = names[0] === undefined || names[1] === undefined ? undefined : comparePackageNames(names[1], names[0])
  if (order === undefined) return { kind: 'undefined', reason: 'names', differences: [] }
  return order === 0 ? { kind: 'same' } : { kind: order > 0 ? 'newer' : 'older', by: 'name', differences: [] }
}

/** What is not the same in both, in the order of its keys. */
export function differencesOf(installed: UpdateSignature, next: UpdateSignature): readonly SignatureDifference[] {
  const keys = [...new Set([...installed.elements.keys(), ...next.elements.keys()])].sort()
  return keys.flatMap((key) => {
    const [old, after] = [installed.elements.get(key), next.elements.get(key)]
    return old?.text === after?.text ? [] : [{ key, old: old?.text, new: after?.text, newer: newerOf(old, after) }]
  })
}

function newerOf(old: SignatureElement | undefined, next: SignatureElement | undefined): SignatureDifference['newer'] {
  if (old === undefined || next === undefined) return 'neither'
  const order = compareElements(old, next)
  return order === undefined || order === 0 ? 'neither' : order > 0 ? 'new' : 'old'
}

function compareElements(old: SignatureElement, next: SignatureElement): number | undefined {
  if (old.kind === 'library' && next.kind === 'library')
    return compareNumbers(next.major, old.major) || compareNumbers(next.minor, old.minor)
  if (old.kind !== 'depend' || next.kind !== 'depend') return undefined
  const names = [parsePackageName(old.name), parsePackageName(next.name)] as const
  return names[0] === undefined || names[1] === undefined ? undefined : comparePackageNames(names[1], names[0])
}

function compareNumbers(a: string, b: string): number {
  const difference = BigInt(a) - BigInt(b)
  return difference > 0n ? 1 : difference < 0n ? -1 : 0
}
