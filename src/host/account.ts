import { readFileSync } from 'node:fs'
import { BinderyError } from '../base/error.ts'

export type Account = { readonly name: string; readonly uid: number; readonly gid: number }

/** Of passwd(5): ours where somebody has made it, else the one that owns nothing. */
const usual = ['_bindery', 'nobody']

const hint = "name another user by 'fetch-user' in bindery.conf"

/** The account of that name, or the usual one. Throws `not-found`, and `usage` for root. */
export function findAccount(user: string | undefined, file = '/etc/passwd'): Account {
  const accounts = accountsOf(file)
  const names = user === undefined ? usual : [user]
  const account = names.flatMap((name) => accounts.find((one) => one.name === name) ?? [])[0]
  if (account === undefined) throw new BinderyError('not-found', `has no user ${names.join(' or ')} to fetch as`, { subject: file, hint })
  if (account.uid === 0 || account.gid === 0)
    throw new BinderyError('usage', `is root, or of its group, and fetch-user must not be`, { subject: account.name, hint })
  return account
}

function accountsOf(file: string): readonly Account[] {
  try {
    return readFileSync(file, 'latin1').split('\n').flatMap(accountOf)
  } catch (cause) {
    throw new BinderyError('io', 'cannot be read', { subject: file, hint, cause })
  }
}

function accountOf(line: string): readonly Account[] {
  const [name = '', , uid = '', gid = ''] = line.split(':')
  const isNumber = (text: string): boolean => /^[0-9]{1,10}$/.test(text)
  return isNumber(uid) && isNumber(gid) ? [{ name, uid: Number(uid), gid: Number(gid) }] : []
}
