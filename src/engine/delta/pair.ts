import { withoutTrailing } from '../../base/trailing.ts'
import type { TarMember } from '../../format/tar-members.ts'

/** Per member of the new tar, the old member that it most likely comes from. */
export type Pairs = readonly (Pair | undefined)[]

/** `member`: its index. */
export type Pair = { readonly member: number; readonly by: PairedBy }

/** What the two have in common. */
export type PairedBy = 'path' | 'content' | 'path of another type' | 'similar path' | 'similar name'

/** Digest of a member's content; asked only of members that share their size with one of the other side. */
export type DigestOf = (side: 'old' | 'new', member: TarMember) => Promise<string>

/**
 * By path; then by content, wherever it was (a name that was a hard link has none at its old path); then by path alone,
 * whatever it was; then by a path that differs in its numbers only (`libc.so.96.1` and `libc.so.97.0`);
 * then by a last name that does, in whatever folder.
 */
export async function pairMembers(old: readonly TarMember[], next: readonly TarMember[], digestOf: DigestOf): Promise<Pairs> {
  const pairs: (Pair | undefined)[] = next.map(() => undefined)
  const isFree = old.map(() => true)
  pairByKey(old, next, pairs, isFree, 'path', ({ path, type }) => `${type} ${path}`)
  await pairByContent(old, next, pairs, isFree, digestOf)
  pairByKey(old, next, pairs, isFree, 'path of another type', ({ path }) => path)
  pairByKey(old, next, pairs, isFree, 'similar path', ({ path, type }) => `${type} ${withoutNumbers(path)}`)
  pairByKey(old, next, pairs, isFree, 'similar name', ({ path, type }) => `${type} ${withoutNumbers(lastName(path))}`)
  return pairs
}

/** Members of the same key in their order: the first free old one to the first unpaired new one. */
function pairByKey(
  old: readonly TarMember[],
  next: readonly TarMember[],
  pairs: (Pair | undefined)[],
  isFree: boolean[],
  by: PairedBy,
  keyOf: (member: TarMember) => string,
): void {
  const waiting = new Map<string, number[]>()
  for (const [i, member] of old.entries()) {
    if (!isFree[i]) continue
    const key = keyOf(member)
    const indexes = waiting.get(key)
    if (indexes === undefined) waiting.set(key, [i])
    else indexes.push(i)
  }
  for (const indexes of waiting.values()) indexes.reverse()
  for (const [i, member] of next.entries()) {
    if (pairs[i] !== undefined) continue
    const found = waiting.get(keyOf(member))?.pop()
    if (found === undefined) continue
    pairs[i] = { member: found, by }
    isFree[found] = false
  }
}

/** One old content may serve several new members. */
async function pairByContent(
  old: readonly TarMember[],
  next: readonly TarMember[],
  pairs: (Pair | undefined)[],
  isFree: boolean[],
  digestOf: DigestOf,
): Promise<void> {
  const sizes = new Set(next.filter((member, i) => pairs[i] === undefined && member.contentSize > 0).map((member) => member.contentSize))
  if (sizes.size === 0) return
  const byContent = new Map<string, number>()
  const oldSizes = new Set<number>()
  for (const [i, member] of old.entries()) {
    if (!sizes.has(member.contentSize)) continue
    oldSizes.add(member.contentSize)
    const digest = await digestOf('old', member)
    if (isFree[i] || !byContent.has(digest)) byContent.set(digest, i)
  }
  for (const [i, member] of next.entries()) {
    if (pairs[i] !== undefined || !oldSizes.has(member.contentSize)) continue
    const found = byContent.get(await digestOf('new', member))
    if (found === undefined) continue
    pairs[i] = { member: found, by: 'content' }
    isFree[found] = false
  }
}

function withoutNumbers(text: string): string {
  return text.replaceAll(/[0-9]+/g, '#')
}

function lastName(path: string): string {
  return withoutTrailing(path, '/').replace(/^.*\//s, '')
}
