import { equalBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeRoot, decodeSnapshot, decodeTargets, decodeTimestamp, formatTime } from '../../format/tuf.ts'
import { digestOf, measureTarget } from './blob.ts'
import { attempt, report } from './fsck-findings.ts'
import { checkFormer } from './fsck-former.ts'
import { checkEachSignature } from './fsck-signatures.ts'
import { checkRecords } from './fsck-records.ts'
import { blobKey, metadataKey, parseMetadataKey, timestampKey } from './layout.ts'
import { channelAuthority, decoding, readKey, rootVersions, topAuthority } from './repository.ts'
import { checkMetaFile } from './role-files.ts'
import { verifySignatures } from './verify-signatures.ts'
import { formerBlobs, targetKeys } from './former-blobs.ts'
import type { MetaFile, Metadata, Root, Signed, Snapshot, TargetFile, Targets } from '../../format/tuf.ts'
import type { Finding, FsckContext, FsckInput } from './fsck-findings.ts'
import type { Authority } from './verify-signatures.ts'

/**
 * Everything that is wrong with a repository: the chain of roots, signatures, versions, dates, digests of every file,
 * records against targets, and files that belong to nothing. Goes on after each finding as far as that makes sense.
 */
export async function checkRepository(input: FsckInput): Promise<readonly Finding[]> {
  const context: FsckContext = { ...input, findings: [] }
  const keys = await input.store.list('')
  const roots = await checkRoots(context, keys)
  const root = roots.at(-1)
  const view = root === undefined ? undefined : await checkRoles(context, root)
  const roles = [...(view?.channels ?? [])]
  if (view !== undefined) await checkTargets(context, 'targets', view.targets)
  for (const [role, targets] of roles) {
    await checkTargets(context, role, targets)
    await checkRecords(context, targets)
  }
  if (view !== undefined) {
    await checkFormer(context, { keys, roots, ...view })
    await reportOrphans(context, keys, view)
  }
  return context.findings
}

/** Every root from the first one is there, follows the one before, and is signed by it and by itself. */
async function checkRoots(context: FsckContext, keys: readonly string[]): Promise<readonly Signed<Root>[]> {
  const versions = rootVersions(keys)
  if (versions.length === 0) throw new BinderyError('not-found', 'there is no repository', { hint: "make one with 'bindery init'" })
  const roots: Signed<Root>[] = []
  for (let version = 1; version <= (versions.at(-1) as number); version++) {
    const key = metadataKey('root', version)
    const root = await attempt(context, key, async () => await checkRoot(context, version, roots.at(-1)))
    if (root !== undefined) roots.push(root)
  }
  if (context.trustedRoot !== undefined) checkTrusted(context, decodeRoot(context.trustedRoot).value.version, versions.at(-1) as number)
  const newest = roots.at(-1)
  if (newest !== undefined) warnOfExpiry(context, metadataKey('root', newest.value.version), newest.value)
  return roots
}

async function checkRoot(context: FsckContext, version: number, before: Signed<Root> | undefined): Promise<Signed<Root>> {
  const { store, trustedRoot } = context
  const key = metadataKey('root', version)
  const file = await readKey(store, key)
  const root = decoding(key, () => decodeRoot(file))
  checkVersion(root.value, version, key)
  if (before !== undefined) verifySignatures(root, topAuthority(before.value, 'root'), key, '5.3.4')
  verifySignatures(root, topAuthority(root.value, 'root'), key, '5.3.4')
  if (trustedRoot !== undefined && decodeRoot(trustedRoot).value.version === version && !equalBytes(file, trustedRoot)) {
    throw new BinderyError('wrong-key', 'is not the root that is trusted', { subject: key })
  }
  checkEachSignature(context, key, root, new Map([...(before?.value.keys ?? []), ...root.value.keys]))
  return root
}

function checkTrusted(context: FsckContext, trusted: number, newest: number): void {
  if (trusted <= newest) return
  report(context, metadataKey('root', newest), new BinderyError('downgrade', `is the newest root, and version ${trusted} is trusted`))
}

function checkVersion({ version }: Metadata, expected: number, key: string): void {
  if (version !== expected) throw new BinderyError('mix-and-match', `says that it is version ${version}`, { subject: key })
}

function warnOfExpiry({ findings, clock }: FsckContext, key: string, { expires }: Metadata): void {
  if (expires > clock.now()) return
  findings.push({ severity: 'warning', code: 'expired', key, message: `expired at ${formatTime(expires)}` })
}

type View = { readonly snapshot: Snapshot; readonly targets: Targets; readonly channels: ReadonlyMap<string, Targets> }

/** Like loadRepository, but a role that is broken does not hide the others. */
async function checkRoles(context: FsckContext, root: Signed<Root>): Promise<View | undefined> {
  const timestamp = await checkRole(context, timestampKey, undefined, decodeTimestamp, topAuthority(root.value, 'timestamp'))
  if (timestamp === undefined) return undefined
  const snapshotKey = metadataKey('snapshot', timestamp.snapshot.version)
  const snapshot = await checkRole(context, snapshotKey, timestamp.snapshot, decodeSnapshot, topAuthority(root.value, 'snapshot'))
  if (snapshot === undefined) return undefined
  const targets = await checkTargetsRole(context, snapshot, 'targets', topAuthority(root.value, 'targets'))
  if (targets === undefined) return undefined
  const channels = new Map<string, Targets>()
  for (const { name } of targets.delegations?.roles ?? []) {
    const channel = await checkTargetsRole(context, snapshot, name, channelAuthority(targets, name))
    if (channel !== undefined) channels.set(name, channel)
  }
  return { snapshot, targets, channels }
}

async function checkTargetsRole(
  context: FsckContext,
  snapshot: Snapshot,
  role: string,
  authority: Authority,
): Promise<Targets | undefined> {
  const named = snapshot.meta.get(role)
  if (named !== undefined) return await checkRole(context, metadataKey(role, named.version), named, decodeTargets, authority)
  const key = metadataKey('snapshot', snapshot.version)
  report(context, key, new BinderyError('bad-format', `names no ${role}.json`))
  return undefined
}

type Decode<T extends Metadata> = (file: Uint8Array) => Signed<T>

async function checkRole<T extends Metadata>(
  context: FsckContext,
  key: string,
  named: MetaFile | undefined,
  decode: Decode<T>,
  authority: Authority,
): Promise<T | undefined> {
  return await attempt(context, key, async () => {
    const file = await readKey(context.store, key)
    if (named !== undefined) checkMetaFile(file, named, key, '5.5.2')
    const signed = decoding(key, () => decode(file))
    verifySignatures(signed, authority, key, '5.3.4')
    if (named !== undefined) checkVersion(signed.value, named.version, key)
    checkEachSignature(context, key, signed, authority.keys)
    warnOfExpiry(context, key, signed.value)
    return signed.value
  })
}

async function checkTargets(context: FsckContext, role: string, { targets }: Targets): Promise<void> {
  for (const [path, file] of targets) await attempt(context, `${role}: ${path}`, async () => await checkBlob(context, path, file))
}

async function checkBlob({ store, meter }: FsckContext, path: string, file: TargetFile): Promise<void> {
  const key = blobKey(path, digestOf(path, file))
  const size = await store.size(key)
  if (size === undefined) throw new BinderyError('not-found', 'is missing', { subject: key })
  if (size !== file.length) throw new BinderyError('bad-digest', `has ${size} bytes instead of ${file.length}`, { subject: key })
  const found = await measureTarget(store.stream(key), path, file)
  meter.advance(found.size)
  if (found.sha256 !== digestOf(path, file)) throw new BinderyError('bad-digest', 'has other contents than its name says', { subject: key })
  if (!found.hasPieces) throw new BinderyError('bad-digest', 'has other pieces than its channel says', { subject: key })
}

async function reportOrphans(
  { store, findings }: FsckContext,
  keys: readonly string[],
  { snapshot, targets, channels }: View,
): Promise<void> {
  const own = [targets, ...channels.values()].flatMap((role) => targetKeys(role.targets))
  const blobs = new Set([...own, ...(await formerBlobs(store, snapshot))])
  for (const key of keys) {
    const message = blobs.has(key) ? undefined : orphanMessage(key, snapshot)
    if (message !== undefined) findings.push({ severity: 'note', code: 'orphan', key, message })
  }
}

/** Metadata of earlier versions is what a repository has; `bundles/` has a list of its own; all else that nothing names is left over. */
function orphanMessage(key: string, snapshot: Snapshot): string | undefined {
  if (key === timestampKey || key === 'SHA256.sig' || key.startsWith('bundles/')) return undefined
  if (key.startsWith('blobs/')) return 'belongs to no release'
  const name = parseMetadataKey(key)
  if (name === undefined) return 'is no file of a repository'
  if (name.role === 'root') return undefined
  const newest = name.role === 'snapshot' ? snapshot.version : snapshot.meta.get(name.role)?.version
  return newest !== undefined && name.version <= newest ? undefined : 'was never published'
}
