import { BinderyError } from '../base/error.ts'
import { keyAccount } from '../engine/repo/key-account.ts'
import { draftKeyChange, draftRenewal } from '../engine/repo/key-change.ts'
import { channelsRole } from '../engine/repo/key-table.ts'
import { emptyKeyring } from '../engine/repo/keyring.ts'
import { loadRepository } from '../engine/repo/repository.ts'
import { publishStage } from '../engine/repo/stage-publish.ts'
import { topRoles } from '../format/tuf.ts'
import { openRepositoryFolder, writeRepositoryFolder } from '../host/repository-folder.ts'
import { findRoleKey, readPublicKey } from './key-operands.ts'
import { keyringOf, lifetimesOf } from './repository-options.ts'
import { signOrStage } from './sign-drafts.ts'
import { wholeOf } from './whole-number.ts'
import type { RoleAccount } from '../engine/repo/key-account.ts'
import type { KeyChange, NamedKey } from '../engine/repo/key-change.ts'
import type { MakeDrafts } from '../engine/repo/key-commit.ts'
import type { Store } from '../port/store.ts'
import type { Context, Input } from './command.ts'

export type ChangeAction = 'add' | 'revoke' | 'rotate' | 'announce' | 'renew'

/** Here, with the keys at hand; or into a folder that others sign; or out of one that they have signed. */
export async function changeKeys(action: ChangeAction, context: Context, input: Input, operands: readonly string[]): Promise<number> {
  const [unsigned, signed] = [input.value('unsigned'), input.value('signed')]
  if (unsigned !== undefined && signed !== undefined) throw new BinderyError('usage', '--unsigned and --signed exclude each other')
  if (signed !== undefined && (operands.length > 0 || input.value('threshold') !== undefined))
    throw new BinderyError('usage', '--signed takes no ROLE: it is in its folder')
  if (signed === undefined && operands.length === 0) throw new BinderyError('usage', `'${action}' takes a role`)
  await writeRepositoryFolder(input.required('repo'), `keys ${action}`, async (store) => {
    if (signed !== undefined) return await finish(context, input, store, signed)
    await signOrStage(context, input, store, await draftsOf(action, { context, input, store, operands }))
  })
  return 0
}

async function finish(context: Context, input: Input, store: Store, folder: string): Promise<void> {
  const keys = input.value('keys')
  const keyring = keys === undefined ? emptyKeyring : await keyringOf(context, keys)
  const stage = await openRepositoryFolder(folder)
  const roles = await publishStage({ store, stage, keyring, clock: context.clock, lifetimes: lifetimesOf(input) })
  context.explain(roles.length === 0 ? 'already there' : `signed: ${roles.join(', ')}`)
}

type Asked = { readonly context: Context; readonly input: Input; readonly store: Store; readonly operands: readonly string[] }

async function draftsOf(action: ChangeAction, asked: Asked): Promise<MakeDrafts> {
  const [names = '', ...keys] = asked.operands
  const roles = names.split(',')
  if (action === 'renew') {
    if (asked.operands.length > 1 || asked.input.value('threshold') !== undefined)
      throw new BinderyError('usage', "'renew' takes a role alone: its keys stay as they are")
    return (repository, drafting) => draftRenewal(repository, roles, drafting)
  }
  const change = await changeOf(action, asked, { roles, keys })
  return (repository, drafting) => draftKeyChange(repository, change, drafting)
}

type Named = { readonly roles: readonly string[]; readonly keys: readonly string[] }

async function changeOf(action: Exclude<ChangeAction, 'renew'>, asked: Asked, { roles, keys }: Named): Promise<KeyChange> {
  const threshold = wholeOf(asked.input, 'threshold', 1, 1000)
  const change = { roles, add: [], remove: [], announce: [], threshold }
  const isIdle = keys.length === 0 && (threshold === undefined || action !== 'add')
  if (isIdle && action !== 'rotate') throw new BinderyError('usage', `'${action}' takes a role and its keys`)
  switch (action) {
    case 'add':
      return { ...change, add: await newKeys(asked, keys) }
    case 'announce':
      return { ...change, announce: await newKeys(asked, keys) }
    case 'revoke':
      return { ...change, remove: await Promise.all(keys.map(async (key) => await oldKey(asked, key, await accountsFor(asked, roles)))) }
    case 'rotate':
      return { ...change, ...(await rotation(asked, keys, await accountsFor(asked, roles))) }
  }
}

async function newKeys({ context, input }: Asked, operands: readonly string[]): Promise<readonly NamedKey[]> {
  return await Promise.all(operands.map(async (operand) => await readPublicKey(context, operand, input.value('keys'))))
}

async function oldKey({ context, input }: Asked, operand: string, accounts: readonly RoleAccount[]): Promise<string> {
  const id = await findRoleKey(context, operand, input.value('keys'), accounts)
  if (id !== undefined) return id
  const names = accounts.map(({ role }) => role).join(', ')
  throw new BinderyError('not-found', `is no key of ${names}`, { subject: operand, hint: "'bindery keys list' shows them" })
}

async function accountsFor({ store }: Asked, roles: readonly string[]): Promise<readonly RoleAccount[]> {
  const all = keyAccount(await loadRepository(store))
  const isMeant = (role: string): boolean =>
    roles.includes(role) || (roles.includes(channelsRole) && !(topRoles as readonly string[]).includes(role))
  return all.filter(({ role }) => isMeant(role))
}

/** `[OLD] [NEW]`: what is left out is the only one there is, of the role's keys and of those that were announced. */
async function rotation(
  asked: Asked,
  operands: readonly string[],
  accounts: readonly RoleAccount[],
): Promise<Pick<KeyChange, 'add' | 'remove'>> {
  const [first, second, more] = operands
  if (more !== undefined) throw new BinderyError('usage', "'rotate' exchanges one key: rotate ROLE [OLD] [NEW]")
  if (first !== undefined && second !== undefined)
    return { remove: [await oldKey(asked, first, accounts)], add: await newKeys(asked, [second]) }
  const old =
    first === undefined ? undefined : await findRoleKey(asked.context, first, asked.input.value('keys'), accounts.map(withoutNext))
  const isNew = first !== undefined && old === undefined
  return {
    remove: [
      old ??
        onlyOne(
          accounts.flatMap(({ keys }) => keys.map(({ id }) => id)),
          'OLD',
          'key',
        ),
    ],
    add: isNew ? await newKeys(asked, [first]) : [announcedKey(accounts)],
  }
}

function withoutNext(account: RoleAccount): RoleAccount {
  return { ...account, next: [] }
}

function announcedKey(accounts: readonly RoleAccount[]): NamedKey {
  const announced = new Map(accounts.flatMap(({ next }) => next.map((key) => [key.id, key] as const)))
  const { id, key, holder } = announced.get(onlyOne([...announced.keys()], 'NEW', 'announced key')) as RoleAccount['next'][number]
  return { key, holder: holder ?? id.slice(0, 16) }
}

function onlyOne(ids: readonly string[], operand: string, what: string): string {
  const [id, more] = new Set(ids)
  if (id !== undefined && more === undefined) return id
  throw new BinderyError('usage', `the role has ${id === undefined ? 'no' : 'more than one'} ${what}: say which is ${operand}`, {
    hint: 'bindery keys rotate ROLE OLD NEW.pub',
  })
}
