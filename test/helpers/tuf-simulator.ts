import { sha256 } from '../../src/base/digest.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { refreshTrust } from '../../src/engine/repo/trust.ts'
import { canonical, encodeSigned, metaFile } from '../../src/format/tuf.ts'
import { ed25519Signer } from './tuf-signers.ts'
import type { MetadataSource, RefreshInput, Trust, TrustStore } from '../../src/engine/repo/trust.ts'
import type { DelegatedRole, Metadata, Root, Snapshot, TargetFile, Targets, Timestamp, TopRole } from '../../src/format/tuf.ts'
import type { TestSigner } from './tuf-signers.ts'

/**
 * A TUF repository in memory, after the idea of python-tuf's test bed: a test edits roles, publishes them, honestly or
 * not, and looks at what a client makes of it. Time is the test's own.
 */
export const day = 24 * 3600 * 1000

type Roles = { root: Root; timestamp: Timestamp; snapshot: Snapshot; targets: Targets }

export type Simulator = {
  /** Milliseconds; also what the client's clock says. */
  now: number
  /** Whether timestamp and snapshot carry lengths and hashes. */
  hashes: boolean
  /** Answers `unchanged` to those who know the current state. */
  etags: boolean
  readonly roles: Roles
  readonly delegated: Map<string, Targets>
  readonly signers: Map<string, readonly TestSigner[]>
  /** Every file of the past by the name under which a consistent repository serves it, and timestamp.json. */
  readonly files: Map<string, Uint8Array>
  readonly requests: string[]
  readonly source: MetadataSource
  /** Changes a role without publishing it. */
  edit<R extends keyof Roles>(role: R, change: (value: Roles[R]) => Partial<Roles[R]>): void
  /** Signs the next version of each role and serves it. */
  publish(...roles: readonly string[]): void
  /** The same with a version that the test chooses. */
  publishAs(role: string, version: number): void
  addTarget(role: string, path: string, content: string): void
  delegate(delegator: string, role: Pick<DelegatedRole, 'name'> & Partial<DelegatedRole>): void
  /** Gives a top role these keys and publishes a root that is signed by the old and the new root keys. */
  setKeys(role: TopRole, signers: readonly TestSigner[], threshold?: number): void
}

export function simulate(): Simulator {
  let nextKey = 1
  const signers = new Map<string, readonly TestSigner[]>()
  const newSigner = (role: string): TestSigner => {
    const signer = ed25519Signer(nextKey++)
    signers.set(role, [...(signers.get(role) ?? []), signer])
    return signer
  }
  const sim: Simulator = {
    now: Date.UTC(2026, 0, 1),
    hashes: false,
    etags: false,
    roles: firstRoles(newSigner, Date.UTC(2026, 0, 1) + 30 * day),
    delegated: new Map(),
    signers,
    files: new Map(),
    requests: [],
    source: { fetch: async (file, limit, etag) => answer(sim, file, limit, etag) },
    edit: (role, change) => void (sim.roles[role] = { ...sim.roles[role], ...change(sim.roles[role]) }),
    publish: (...roles) => {
      for (const role of roles) sim.publishAs(role, valueOf(sim, role).version + 1)
    },
    publishAs: (role, version) => publishAs(sim, role, version),
    addTarget: (role, path, content) => addTarget(sim, role, path, content),
    delegate: (delegator, role) => delegate(sim, delegator, { keyIds: [newSigner(role.name).keyId], ...role }),
    setKeys: (role, keys, threshold = 1) => setKeys(sim, role, keys, threshold),
  }
  for (const role of ['root', 'targets', 'snapshot', 'timestamp']) publishAs(sim, role, 1)
  return sim
}

function firstRoles(newSigner: (role: string) => TestSigner, expires: number): Roles {
  const keyed = (['root', 'timestamp', 'snapshot', 'targets'] as const).map((role) => ({ role, signer: newSigner(role) }))
  const keys = new Map(keyed.map(({ signer }) => [signer.keyId, signer.key]))
  const roles = Object.fromEntries(
    keyed.map(({ role, signer }) => [role, { keyIds: [signer.keyId], threshold: 1 }]),
  ) as unknown as Root['roles']
  const common = { version: 1, expires }
  return {
    root: { ...common, kind: 'root', consistentSnapshot: true, keys, roles },
    timestamp: { ...common, kind: 'timestamp', snapshot: { version: 1 } },
    snapshot: { ...common, kind: 'snapshot', meta: new Map() },
    targets: { ...common, kind: 'targets', targets: new Map() },
  }
}

function valueOf(sim: Simulator, role: string): Metadata {
  const value = Object.hasOwn(sim.roles, role) ? sim.roles[role as keyof Roles] : sim.delegated.get(role)
  if (value === undefined) throw new Error(`no role ${role}`)
  return value
}

function publishAs(sim: Simulator, role: string, version: number): void {
  const value = { ...valueOf(sim, role), version }
  if (Object.hasOwn(sim.roles, role)) Object.assign(sim.roles, { [role]: value })
  else sim.delegated.set(role, value as Targets)
  const file = signBy(value, sim.signers.get(role) ?? [])
  sim.files.set(role === 'timestamp' ? 'timestamp.json' : `${version}.${encodeURIComponent(role)}.json`, file)
  const meta = sim.hashes ? metaFile(version, file) : { version }
  if (value.kind === 'targets') sim.edit('snapshot', (snapshot) => ({ meta: new Map([...snapshot.meta, [role, meta]]) }))
  if (value.kind === 'snapshot') sim.edit('timestamp', () => ({ snapshot: meta }))
}

export function signBy(value: Metadata, signers: readonly TestSigner[]): Uint8Array {
  const message = canonical(value)
  return encodeSigned(
    value,
    signers.map(({ keyId, sign }) => ({ keyId, sig: sign(message) })),
  )
}

function addTarget(sim: Simulator, role: string, path: string, content: string): void {
  const bytes = utf8(content)
  editTargets(sim, role, ({ targets }) => ({
    targets: new Map<string, TargetFile>([...targets, [path, { length: bytes.length, hashes: { sha256: sha256(bytes) } }]]),
  }))
}

function delegate(sim: Simulator, delegator: string, role: Pick<DelegatedRole, 'name' | 'keyIds'> & Partial<DelegatedRole>): void {
  const full = { threshold: 1, terminating: false, scope: { kind: 'paths', patterns: ['*'] } as const, ...role }
  const keys = (sim.signers.get(role.name) ?? []).map(({ keyId, key }) => [keyId, key] as const)
  editTargets(sim, delegator, ({ delegations }) => ({
    delegations: { keys: new Map([...(delegations?.keys ?? []), ...keys]), roles: [...(delegations?.roles ?? []), full] },
  }))
  const expires = sim.roles.targets.expires
  if (!sim.delegated.has(role.name)) sim.delegated.set(role.name, { kind: 'targets', version: 0, expires, targets: new Map() })
}

function editTargets(sim: Simulator, role: string, change: (value: Targets) => Partial<Targets>): void {
  if (role === 'targets') return sim.edit('targets', change)
  const value = sim.delegated.get(role)
  if (value === undefined) throw new Error(`no role ${role}`)
  sim.delegated.set(role, { ...value, ...change(value) })
}

function setKeys(sim: Simulator, role: TopRole, signers: readonly TestSigner[], threshold: number): void {
  const old = sim.signers.get('root') ?? []
  const keyIds = signers.map(({ keyId }) => keyId)
  sim.edit('root', ({ keys, roles }) => ({
    keys: new Map([...keys, ...signers.map(({ keyId, key }) => [keyId, key] as const)]),
    roles: { ...roles, [role]: { keyIds, threshold } },
  }))
  sim.signers.set(role, signers)
  const all = role === 'root' ? [...old, ...signers] : old
  sim.signers.set('root', all)
  sim.publish('root')
  sim.signers.set('root', role === 'root' ? signers : old)
}

function answer(sim: Simulator, file: string, limit: number, etag: string | undefined): Awaited<ReturnType<MetadataSource['fetch']>> {
  sim.requests.push(etag === undefined ? file : `${file} if not ${etag}`)
  const bytes = sim.files.get(file)
  if (bytes === undefined) return { kind: 'absent' }
  const state = sha256(bytes).slice(0, 8)
  if (sim.etags && etag === state) return { kind: 'unchanged' }
  // Endless data: a source that does not keep the limit itself.
  return { kind: 'bytes', bytes: bytes.subarray(0, limit + 1), ...(sim.etags ? { etag: state } : {}) }
}

export type Client = {
  readonly store: TrustStore
  readonly files: Map<string, Uint8Array>
  refresh(input?: Partial<RefreshInput>): Promise<Trust>
  /** Role names and versions that are trusted, for instance `root 2`. */
  trusted(): string[]
}

/** A client that trusts the repository's first root, or the one given. */
export function clientOf(sim: Simulator, rootFile = sim.files.get('1.root.json') as Uint8Array): Client {
  const files = new Map([['root.json', rootFile]])
  const store: TrustStore = {
    load: async (file) => files.get(file),
    save: async (file, bytes) => void files.set(file, bytes),
    remove: async (file) => void files.delete(file),
  }
  return {
    store,
    files,
    refresh: async (input) =>
      await refreshTrust({ store, source: sim.source, clock: { now: () => sim.now }, order: 'specification', ...input }),
    trusted: () =>
      [...files.keys()]
        .filter((file) => file.endsWith('.json'))
        .sort()
        .map((file) => `${file.slice(0, -5)} ${versionOf(files.get(file) as Uint8Array)}`),
  }
}

function versionOf(file: Uint8Array): number {
  return (JSON.parse(Buffer.from(file).toString()) as { signed: { version: number } }).signed.version
}
