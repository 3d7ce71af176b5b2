import { decodeSnapshot, decodeTargets } from '../../format/tuf.ts'
import { BinderyError } from '../../base/error.ts'
import { attempt } from './fsck-findings.ts'
import { checkEachSignature } from './fsck-signatures.ts'
import { parseMetadataKey } from './layout.ts'
import { channelAuthority, decoding, readKey, topAuthority } from './repository.ts'
import { checkMetaFile } from './role-files.ts'
import { isSatisfied } from './verify-signatures.ts'
import type { Metadata, Root, Signed, Snapshot, Targets } from '../../format/tuf.ts'
import type { FsckContext } from './fsck-findings.ts'
import type { MetadataName } from './layout.ts'
import type { Authority } from './verify-signatures.ts'

/** Metadata of earlier versions, for readers who had begun with it: signed by whoever could then, and as a snapshot of then says. */

export type Former = {
  readonly keys: readonly string[]
  readonly roots: readonly Signed<Root>[]
  readonly snapshot: Snapshot
  readonly targets: Targets
}

type FormerFile = MetadataName & { readonly key: string }

export async function checkFormer(context: FsckContext, { keys, roots, snapshot, targets }: Former): Promise<void> {
  const former = keys.flatMap((key) => formerFile(key, snapshot) ?? [])
  const read = async <T extends Metadata>(file: FormerFile, decode: Decode<T>, by: readonly Authority[], seen: readonly Snapshot[]) =>
    await attempt(context, file.key, async () => await readFormer(context, file, { decode, by, seen }))
  const topRoots = (role: 'snapshot' | 'targets'): readonly Authority[] => roots.map(({ value }) => topAuthority(value, role))
  const snapshots: Snapshot[] = []
  for (const file of former.filter(({ role }) => role === 'snapshot'))
    snapshots.push(...((await read(file, decodeSnapshot, topRoots('snapshot'), [])) ?? []))
  const tops: Targets[] = [targets]
  for (const file of former.filter(({ role }) => role === 'targets'))
    tops.push(...((await read(file, decodeTargets, topRoots('targets'), snapshots)) ?? []))
  for (const file of former.filter(({ role }) => role !== 'snapshot' && role !== 'targets')) {
    const by = tops.flatMap((top) => (delegates(top, file.role) ? [channelAuthority(top, file.role)] : []))
    await read(file, decodeTargets, by, snapshots)
  }
}

/** Undefined for roots, for what is read now, and for what was never published. */
function formerFile(key: string, snapshot: Snapshot): FormerFile | undefined {
  const name = parseMetadataKey(key)
  if (name === undefined || name.role === 'root') return undefined
  const newest = name.role === 'snapshot' ? snapshot.version : snapshot.meta.get(name.role)?.version
  return newest !== undefined && name.version < newest ? { ...name, key } : undefined
}

function delegates({ delegations }: Targets, role: string): boolean {
  return delegations?.roles.some(({ name }) => name === role) === true
}

type Decode<T extends Metadata> = (file: Uint8Array) => Signed<T>
type Reading<T extends Metadata> = {
  readonly decode: Decode<T>
  readonly by: readonly Authority[]
  readonly seen: readonly Snapshot[]
}

async function readFormer<T extends Metadata>(
  context: FsckContext,
  { key, role, version }: FormerFile,
  { decode, by, seen }: Reading<T>,
): Promise<readonly T[]> {
  const file = await readKey(context.store, key)
  for (const { meta } of seen) {
    const named = meta.get(role)
    if (named?.version === version) checkMetaFile(file, named, key, '5.5.2')
  }
  const signed = decoding(key, () => decode(file))
  if (signed.value.version !== version)
    throw new BinderyError('mix-and-match', `says that it is version ${signed.value.version}`, { subject: key })
  if (!by.some((authority) => isSatisfied(signed, authority)))
    throw new BinderyError('bad-signature', 'has not the signatures that any root or targets of then asks for', { subject: key })
  checkEachSignature(context, key, signed, new Map(by.flatMap(({ keys }) => [...keys])))
  return [signed.value]
}
