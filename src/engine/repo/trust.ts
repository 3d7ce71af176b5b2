import { equalBytes } from '../../base/bytes.ts'
import { parseSha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { markVerified } from '../../base/verified.ts'
import { isRootCheckRecent, loadCheckState, saveCheckState } from './check-state.ts'
import { covers, delegatedAuthority, searchTarget } from './delegations.ts'
import { checkFresh, isGood, startSession } from './refresh-session.ts'
import { storeName } from './role-files.ts'
import { askTimestamp, loadTimestamp, timeOf, updateSnapshot, updateTargets, updateTimestamp } from './update-roles.ts'
import { authorityOf, checkFirstRoot, loadTrustedRoot, updateRoot } from './update-root.ts'
import type { Verified } from '../../base/verified.ts'
import type { Root, RoleKeys, Signed, Snapshot, TargetFile, Targets, Timestamp } from '../../format/tuf.ts'
import type { CheckState } from './check-state.ts'
import type { LoadRole } from './delegations.ts'
import type { Session } from './refresh-session.ts'
import type { FoundTarget, RefreshInput, TargetInfo, Trust, TrustStore } from './trust-types.ts'
import type { TimestampAnswer } from './update-roles.ts'
import type { Authority } from './verify-signatures.ts'

export { loadTrustedRoot } from './update-root.ts'
export type { FoundTarget, MetadataSource, RefreshInput, Trust, TrustStore } from './trust-types.ts'

/**
 * The TUF client workflow (specification 1.0.34, section 5; doc/spec/trust.md). Every check names its clause. State is
 * only ever written for a file that has passed all of its checks, so that a refresh can fail anywhere and be repeated.
 */

/** Ties a new, empty store to a root that came by a trusted way. Throws `exists` for a store that has one. */
export async function establishTrust(store: TrustStore, rootFile: Uint8Array): Promise<Verified<Root>> {
  const root = checkFirstRoot(rootFile)
  if ((await store.load(storeName('root'))) !== undefined)
    throw new BinderyError('exists', 'is trusted already', { subject: storeName('root') })
  await store.save(storeName('root'), rootFile)
  return markVerified(root.value)
}

/**
 * Brings the store up to date with the source and answers a consistent view. Throws `bad-signature`, `under-threshold`, `downgrade`,
 * `fast-forward`, `expired`, `mix-and-match`, `incomplete`, `over-limit`, `bad-format`, `not-found`, and what the ports throw.
 */
export async function refreshTrust(input: RefreshInput): Promise<Trust> {
  const session = startSession(input)
  const root = await loadTrustedRoot(session)
  const view = input.order === 'specification' ? await followSpecification(session, root) : await askTimestampFirst(session, root)
  return trustOf(session, view)
}

type View = {
  readonly root: Signed<Root>
  readonly timestamp: Signed<Timestamp>
  readonly snapshot: Signed<Snapshot>
  readonly targets: Signed<Targets>
  /** The time that expiry was checked against, in milliseconds. */
  readonly now: number
}

/** 5.3 to 5.6 in their order; `answer` is that for timestamp.json, where it was asked for before. */
async function followSpecification(session: Session, trustedRoot: Signed<Root>, answer?: TimestampAnswer): Promise<View> {
  const root = await updateRoot(session, trustedRoot)
  const stored = await loadTimestamp(session, root)
  // 5.3.10, after 5.3.11: a time that a stolen timestamp key has signed must not outlive the key.
  checkFresh(session, root, timeOf(session, stored?.timestamp), { subject: storeName('root'), clause: '5.3.10' })
  // An answer from before a new root may be signed by keys that have just gone.
  const { bytes } = root === trustedRoot && answer !== undefined ? answer : await askTimestamp(session)
  return await completeView(session, root, await updateTimestamp(session, root, stored?.timestamp, bytes))
}

async function completeView(session: Session, root: Signed<Root>, timestamp: Signed<Timestamp>): Promise<View> {
  const now = timeOf(session, timestamp)
  const snapshot = await updateSnapshot(session, root, timestamp, now)
  const view = { root, timestamp, snapshot, now }
  return { ...view, targets: await loadRole(session, view, 'targets', authorityOf(root, 'targets')) }
}

async function loadRole(session: Session, view: Omit<View, 'targets'>, role: string, authority: Authority): Promise<Signed<Targets>> {
  // 5.3.12
  const consistent = view.root.value.consistentSnapshot
  return await updateTargets({ session, role, authority, snapshot: view.snapshot, consistent, now: view.now })
}

/**
 * While the stored timestamp is good and a new root was looked for within a day, one conditional request decides:
 * unchanged, and everything stands. Anything else goes the whole way (doc/decisions/0042).
 */
async function askTimestampFirst(session: Session, root: Signed<Root>): Promise<View> {
  const state = await loadCheckState(session.store)
  const stored = await loadTimestamp(session, root)
  if (stored === undefined || !isRootCheckRecent(state, session.start) || !isFresh(session, root, stored.timestamp)) {
    return await refreshAndNote(session, root, state)
  }
  const answer = await askTimestamp(session, stored, state)
  if (!equalBytes(answer.bytes, stored.bytes)) return await refreshAndNote(session, root, state, answer)
  const view = await completeView(session, root, stored.timestamp)
  await saveCheckState(session.store, state, state.rootChecked, answer)
  return view
}

async function refreshAndNote(session: Session, root: Signed<Root>, state: CheckState, early?: TimestampAnswer): Promise<View> {
  const answer = early ?? (await askTimestamp(session))
  const view = await followSpecification(session, root, answer)
  await saveCheckState(session.store, state, session.start, answer)
  return view
}

function isFresh(session: Session, root: Signed<Root>, timestamp: Signed<Timestamp>): boolean {
  const now = timeOf(session, timestamp)
  return [root, timestamp].every(({ value }) => isGood(session, value, now))
}

/** Two machines that keep time may differ by this much, in milliseconds. */
const clockTolerance = 300_000

function trustOf(session: Session, view: View): Trust {
  const seen: { readonly expires: number }[] = [view.root, view.timestamp, view.snapshot, view.targets].map(({ value }) => value)
  const load = cachedRoles(session, view, (role) => void seen.push(role))
  const top = view.targets.value
  const clockBehind = view.now - session.clockNow
  const findTarget = async (path: string): Promise<Verified<FoundTarget> | undefined> => {
    const found = await searchTarget(path, top, load, session.limits.visitedRoles)
    return found === undefined ? undefined : markVerified({ ...found.file, path, role: found.role })
  }
  return {
    findTarget,
    target: async (path) => {
      const found = await findTarget(path)
      return found === undefined ? undefined : markVerified(targetInfo(path, found.value))
    },
    targetsOf: async (role) => markVerified(await listTargets(role, top, load)),
    delegated: (top.delegations?.roles ?? []).map(({ name }) => name),
    staleSince: () => {
      const first = Math.min(...seen.map(({ expires }) => expires))
      return first > view.now ? undefined : first
    },
    now: view.now,
    changed: session.changed,
    root: markVerified(view.root.value),
    ...(clockBehind > clockTolerance ? { clockBehind } : {}),
  }
}

/** Each delegation once: by its object, since another delegation to the same role asks for other signatures. */
function cachedRoles(session: Session, view: View, see: (role: Targets) => void): LoadRole {
  const loaded = new Map<RoleKeys, Targets>()
  return async (role, authority) => {
    const known = loaded.get(authority.role)
    if (known !== undefined) return known
    const { value } = await loadRole(session, view, role, authority)
    loaded.set(authority.role, value)
    see(value)
    return value
  }
}

async function listTargets(role: string, top: Targets, load: LoadRole): Promise<readonly TargetInfo[]> {
  const delegation = top.delegations?.roles.find(({ name }) => name === role)
  if (delegation === undefined) throw new BinderyError('not-found', `targets.json does not delegate to a role '${role}'`)
  const { targets } = await load(role, delegatedAuthority('targets', top, delegation))
  // 4.5: a role is only trusted with the paths that were delegated to it.
  return [...targets].filter(([path]) => covers(delegation, path)).map(([path, file]) => targetInfo(path, file))
}

function targetInfo(path: string, { length, hashes, custom }: TargetFile): TargetInfo {
  const sha256 = parseSha256(hashes['sha256'] ?? '')
  if (sha256 === undefined) throw new BinderyError('not-supported', 'has no sha256', { subject: path })
  return { path, length, sha256, ...(custom === undefined ? {} : { custom }) }
}
