import { showSpan } from '../../base/show-span.ts'
import { formatTime } from '../../format/tuf.ts'
import type { RoleAccount } from './key-account.ts'

/** What should not stay as it is in the keys of a repository, before it is too late. */
export const warningKinds = [
  'expires',
  'one-person',
  'no-spare',
  'shared-key',
  'online-key',
  'cannot-sign',
  'offline-key-here',
  'no-next-key',
] as const

export type KeyWarning = {
  readonly kind: (typeof warningKinds)[number]
  readonly role: string
  readonly message: string
  readonly hint?: string
  /** Of `expires`: milliseconds since the epoch, and how many of the last 30, 7, 1 days have begun; 0 when it has expired. */
  readonly expires?: number
  readonly within?: number
}

export type DoctorInput = {
  readonly accounts: readonly RoleAccount[]
  readonly now: number
  /** Ids of the secret keys of the machine that renews the repository, where they were looked at. */
  readonly atHand?: ReadonlySet<string>
}

const day = 86_400_000
const onlineRoles = ['snapshot', 'timestamp']
/** Their keys stay away from the machine that publishes. */
const offlineRoles = ['root', 'targets']

export function examineKeys(input: DoctorInput): readonly KeyWarning[] {
  const { accounts, atHand } = input
  return [
    ...accounts.flatMap((account) => expiryOf(account, input.now)),
    ...accounts.filter(({ role }) => role === 'root').flatMap(rootWarnings),
    ...sharedKeys(accounts),
    ...(atHand === undefined ? [] : accounts.flatMap((account) => heldKeys(account, atHand))),
  ]
}

/** 30, 7 and 1 days before; what does not live that long, like timestamp.json, from half of its life on. */
function expiryOf({ role, metadata }: RoleAccount, now: number): readonly KeyWarning[] {
  if (metadata === undefined) return []
  const { expires, issued } = metadata
  const left = expires - now
  const window = Math.min(30 * day, issued === undefined ? Infinity : (expires - issued) / 2)
  if (left > window) return []
  const within = left <= 0 ? 0 : ([1, 7, 30].find((days) => left <= days * day) as number)
  const message =
    left <= 0 ? `expired at ${formatTime(expires)}; clients refuse it` : `expires in ${showSpan(left)}, at ${formatTime(expires)}`
  const renewal = onlineRoles.includes(role) ? 'bindery refresh' : `bindery keys renew ${role}`
  return [{ kind: 'expires', role, message, hint: `${renewal} signs it anew`, expires, within }]
}

function rootWarnings({ role, threshold, keys, next }: RoleAccount): readonly KeyWarning[] {
  const signers = distinct(keys.map(({ key }) => key.publicKey))
  const alone = `one key alone can change everything; whoever steals it owns all clients`
  const spare = `needs all of its ${signers === 1 ? 'one key' : `${signers} keys`}: when one is lost, nobody can change keys any more`
  return [
    ...(threshold > 1 ? [] : [{ kind: 'one-person', role, message: alone, hint: 'bindery keys add root KEY.pub --threshold 2' } as const]),
    ...(signers > threshold ? [] : [{ kind: 'no-spare', role, message: spare, hint: 'bindery keys add root KEY.pub' } as const]),
    ...(next.length > 0
      ? []
      : [{ kind: 'no-next-key', role, message: 'no next key is announced', hint: 'bindery keys announce root KEY.pub' } as const]),
  ]
}

function distinct(values: readonly string[]): number {
  return new Set(values).size
}

/** The same people may hold root and targets (doc/decisions/0176); all channels may have one key (0052). */
function sharedKeys(accounts: readonly RoleAccount[]): readonly KeyWarning[] {
  const holders = new Map<string, string[]>()
  for (const { role, keys } of accounts)
    for (const { key } of keys) holders.set(key.publicKey, [...(holders.get(key.publicKey) ?? []), role])
  return accounts.flatMap(({ role, keys }) =>
    keys.flatMap(({ key, id, holder }) => {
      const others = (holders.get(key.publicKey) ?? []).filter((other) => order(other) > order(role))
      const bad = others.filter((other) => kindOf(other) !== kindOf(role) && !(role === 'root' && other === 'targets'))
      return bad.map((other) => sharedKey(role, other, holder ?? id.slice(0, 16)))
    }),
  )

  function order(role: string): number {
    return accounts.findIndex((account) => account.role === role)
  }
}

function kindOf(role: string): string {
  return [...offlineRoles, ...onlineRoles].includes(role) ? role : 'channels'
}

function sharedKey(role: string, other: string, name: string): KeyWarning {
  const isOnline = onlineRoles.includes(other) && !onlineRoles.includes(role)
  const message = `its key ${name} signs for ${other} as well${isOnline ? ', and so lies on a server' : ''}`
  return { kind: isOnline ? 'online-key' : 'shared-key', role, message, hint: `bindery keys rotate ${other} ${name} NEW.pub` }
}

/** Of the machine where `refresh` runs. */
function heldKeys({ role, threshold, keys }: RoleAccount, atHand: ReadonlySet<string>): readonly KeyWarning[] {
  const held = keys.filter(({ id }) => atHand.has(id))
  if (onlineRoles.includes(role) && held.length < threshold) {
    return [{ kind: 'cannot-sign', role, message: `needs ${threshold} signatures, and ${held.length} of its secret keys are at hand` }]
  }
  if (!offlineRoles.includes(role)) return []
  return held.map(({ id, holder }) => ({
    kind: 'offline-key-here',
    role,
    message: `its secret key ${holder ?? id.slice(0, 16)} lies beside the online keys`,
    hint: 'move it to a machine without a network',
  }))
}
