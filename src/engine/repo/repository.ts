import { withSubject } from '../../base/about.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeRoot, decodeSnapshot, decodeTargets, decodeTimestamp, topRoles } from '../../format/tuf.ts'
import { metadataKey, parseMetadataKey, timestampKey } from './layout.ts'
import { checkMetaFile } from './role-files.ts'
import { isUnsigned, verifySignatures } from './verify-signatures.ts'
import type { MetaFile, Metadata, Root, RoleKeys, Signed, Snapshot, Targets, Timestamp, TopRole } from '../../format/tuf.ts'
import type { Store } from '../../port/store.ts'
import type { Authority } from './verify-signatures.ts'

/** A metadata file with what it says. */
export type Loaded<T extends Metadata> = { readonly file: Uint8Array; readonly signed: Signed<T> }

/**
 * The maker's view of a repository: what its newest timestamp leads to. Its signatures, versions and digests have been
 * checked against its own newest root; dates have not, since an expired repository can be renewed.
 */
export type Repository = {
  readonly root: Loaded<Root>
  /** Only where a publication was cut off between its root and its timestamp.json: whose keys signed what is there. */
  readonly formerRoot?: Loaded<Root>
  readonly timestamp: Loaded<Timestamp>
  readonly snapshot: Loaded<Snapshot>
  readonly targets: Loaded<Targets>
  /** By role name. */
  readonly channels: ReadonlyMap<string, Loaded<Targets>>
}

type Reader = Pick<Store, 'get'>

/** `not-found` where there is no repository; `bad-signature`, `bad-digest`, `bad-format` where it is not sound. */
export async function loadRepository(store: Store): Promise<Repository> {
  const root = await newestRoot(store)
  try {
    return await loadBelow(store, root, root)
  } catch (error) {
    const formerRoot = isUnsigned(error) ? await rootBefore(store, root) : undefined
    if (formerRoot === undefined) throw error
    return { ...(await loadBelow(store, root, formerRoot)), formerRoot }
  }
}

/** `signing` is the root that says who has signed what is there. */
export async function loadBelow(store: Reader, root: Loaded<Root>, { signed: signing }: Loaded<Root>): Promise<Repository> {
  const timestamp = await load(store, timestampKey, decodeTimestamp, topAuthority(signing.value, 'timestamp'))
  const { snapshot: named } = timestamp.signed.value
  const snapshot = await loadNamed(store, 'snapshot', named, decodeSnapshot, topAuthority(signing.value, 'snapshot'))
  const { meta } = snapshot.signed.value
  const targets = await loadNamed(store, 'targets', metaOf(meta, 'targets'), decodeTargets, topAuthority(signing.value, 'targets'))
  const channels = new Map<string, Loaded<Targets>>()
  for (const { name } of targets.signed.value.delegations?.roles ?? []) {
    channels.set(name, await loadNamed(store, name, metaOf(meta, name), decodeTargets, channelAuthority(targets.signed.value, name)))
  }
  return { root, timestamp, snapshot, targets, channels }
}

/** Undefined where there is none that this one follows. */
async function rootBefore(store: Store, root: Loaded<Root>): Promise<Loaded<Root> | undefined> {
  const version = root.signed.value.version - 1
  if (version === 0 || (await store.size(metadataKey('root', version))) === undefined) return undefined
  const before = await loadRoot(store, version)
  verifySignatures(root.signed, topAuthority(before.signed.value, 'root'), metadataKey('root', version + 1), '5.3.4')
  return before
}

async function newestRoot(store: Store): Promise<Loaded<Root>> {
  const versions = rootVersions(await store.list('metadata/'))
  const newest = versions.at(-1)
  if (newest === undefined) {
    throw new BinderyError('not-found', 'there is no repository', { hint: "make one with 'bindery init'" })
  }
  return await loadRoot(store, newest)
}

export async function loadRoot(store: Store, version: number): Promise<Loaded<Root>> {
  const key = metadataKey('root', version)
  const file = await readKey(store, key)
  const signed = decoding(key, () => decodeRoot(file))
  checkVersion(signed.value.version, version, key)
  verifySignatures(signed, topAuthority(signed.value, 'root'), key, '5.3.4')
  return { file, signed }
}

/** Versions of root files, in order. */
export function rootVersions(keys: readonly string[]): number[] {
  const names = keys.map(parseMetadataKey).filter((name) => name?.role === 'root')
  return names.map((name) => (name as { version: number }).version).sort((a, b) => a - b)
}

export function topAuthority(root: Root, role: TopRole): Authority {
  return { role: root.roles[role], keys: root.keys, of: 'root' }
}

/** Who may sign for a channel's role. */
export function channelAuthority(targets: Targets, role: string): Authority {
  const delegated = targets.delegations?.roles.find(({ name }) => name === role)
  if (targets.delegations === undefined || delegated === undefined) {
    throw new BinderyError('not-found', 'targets.json delegates to no such role', { subject: `role ${role}` })
  }
  return { role: delegated, keys: targets.delegations.keys, of: 'targets' }
}

export function authorityOf(root: Root, targets: Targets, role: string): Authority {
  const top: readonly string[] = topRoles
  return top.includes(role) ? topAuthority(root, role as TopRole) : channelAuthority(targets, role)
}

export function roleKeysOf(repository: Repository, role: string): RoleKeys {
  return authorityOf(repository.root.signed.value, repository.targets.signed.value, role).role
}

function metaOf(meta: ReadonlyMap<string, MetaFile>, role: string): MetaFile {
  const file = meta.get(role)
  if (file === undefined) throw new BinderyError('bad-format', `names no ${role}.json`, { subject: 'snapshot.json' })
  return file
}

type Decode<T extends Metadata> = (file: Uint8Array) => Signed<T>

async function loadNamed<T extends Metadata>(
  store: Reader,
  role: string,
  named: MetaFile,
  decode: Decode<T>,
  authority: Authority,
): Promise<Loaded<T>> {
  const key = metadataKey(role, named.version)
  checkMetaFile(await readKey(store, key), named, key, '5.5.2')
  const loaded = await load(store, key, decode, authority)
  checkVersion(loaded.signed.value.version, named.version, key)
  return loaded
}

async function load<T extends Metadata>(store: Reader, key: string, decode: Decode<T>, authority: Authority): Promise<Loaded<T>> {
  const file = await readKey(store, key)
  const signed = decoding(key, () => decode(file))
  verifySignatures(signed, authority, key, '5.3.4')
  return { file, signed }
}

export async function readKey(store: Reader, key: string): Promise<Uint8Array> {
  const bytes = await store.get(key)
  if (bytes === undefined) throw new BinderyError('not-found', 'is missing from the repository', { subject: key })
  return bytes
}

/** Gives errors of a decoder the file that they are about. */
export function decoding<T>(subject: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw withSubject(error, subject)
  }
}

function checkVersion(version: number, expected: number, subject: string): void {
  if (version !== expected) throw new BinderyError('mix-and-match', `says that it is version ${version}, not ${expected}`, { subject })
}
