import { splitFromRight } from '../../../format/openbsd/package-name.ts'
import { formatUpdateSignature, updateSignature } from '../../../format/openbsd/update-signature.ts'
import { fitting, updatesOf } from './decide.ts'
import type { Candidate, Catalog } from './candidate.ts'
import type { InstalledPackage } from './installed.ts'

/** One element of the update signature that is not the same: what the installed package has, and what the mirror's has. */
export type ElementChange = {
  readonly kind: 'name' | 'version' | 'depend' | 'library' | 'hash'
  readonly old: string | undefined
  readonly new: string | undefined
}

export type Explanation = {
  readonly installed: InstalledPackage
  /** `unknown`: no directory has this stem. `other`: there is one, with other flavors or another path. */
  readonly verdict: 'update' | 'current' | 'newer' | 'unknown' | 'other'
  readonly candidate: Candidate | undefined
  readonly changes: readonly ElementChange[]
}

export function explain(installed: InstalledPackage, catalog: Catalog): Explanation {
  const [update] = updatesOf([installed], catalog)
  if (update !== undefined) return { installed, verdict: 'update', candidate: update.next, changes: changesTo(installed, update.next) }
  const [candidate] = fitting(installed, catalog)
  if (candidate !== undefined) {
    const changes = changesTo(installed, candidate)
    return { installed, verdict: changes.length === 0 ? 'current' : 'newer', candidate, changes }
  }
  const isKnown = catalog.some((directory) => directory.has(installed.stem))
  return { installed, verdict: isKnown ? 'other' : 'unknown', candidate: undefined, changes: [] }
}

/** What is not the same in the signature that the index goes by. */
export function changesTo(installed: InstalledPackage, { name, evidence }: Candidate): readonly ElementChange[] {
  switch (evidence.kind) {
    case 'text':
      return changesBetween(installed.signature, evidence.signature)
    case 'keyed':
      return changesBetween(formatUpdateSignature(updateSignature(installed.info, () => '')), formatUpdateSignature(evidence.signature))
    case 'hash': {
      const hash = installed.info.options.find((option) => option.startsWith('always-update'))?.slice('always-update '.length)
      const named: readonly ElementChange[] = installed.name === name ? [] : [{ kind: 'name', old: installed.name, new: name }]
      return hash === evidence.hash ? named : [...named, { kind: 'hash', old: hash, new: evidence.hash }]
    }
  }
}

/** Two signatures as text. What has the same key on both sides is one change: a library by its name, a dependency by its stem. */
export function changesBetween(old: string, next: string): readonly ElementChange[] {
  const [before, after] = [elementsOf(old), elementsOf(next)]
  const keys = [...new Set([...before.keys(), ...after.keys()])]
  const changes = keys.flatMap((key) => {
    const [was, is] = [before.get(key), after.get(key)]
    return was?.text === is?.text ? [] : [{ kind: (was ?? is)?.kind as ElementChange['kind'], old: was?.text, new: is?.text }]
  })
  return changes.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
}

const order: readonly ElementChange['kind'][] = ['name', 'version', 'depend', 'library', 'hash']

type Element = { readonly kind: ElementChange['kind']; readonly text: string }

function elementsOf(signature: string): ReadonlyMap<string, Element> {
  const elements = new Map<string, Element>()
  for (const [i, text] of signature.split(',').entries()) {
    const { key, kind } = i === 0 ? { key: 'name', kind: 'name' as const } : keyOf(text)
    // A second one of a key is an element of its own.
    let unique = key
    for (let n = 2; elements.has(unique); n++) unique = `${key} ${n}`
    elements.set(unique, { kind, text })
  }
  return elements
}

function keyOf(text: string): { readonly key: string; readonly kind: ElementChange['kind'] } {
  if (/^[0-9]+$/.test(text)) return { key: 'version', kind: 'version' }
  if (text.startsWith('@')) return { key: `@${splitFromRight(text.slice(1))?.stem ?? text}`, kind: 'depend' }
  const library = /^(.*)\.[0-9]+\.[0-9]+$/.exec(text)?.[1]
  return library === undefined
    ? { key: text, kind: /^[A-Za-z0-9+/]{43}$/.test(text) ? 'hash' : 'library' }
    : { key: library, kind: 'library' }
}
