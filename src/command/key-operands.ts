import { basename, join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { isHolder, maxHolderChars } from '../format/key-notes.ts'
import { decodePublicKey } from '../format/signify.ts'
import { ed25519Key, tufKeyId } from '../format/tuf.ts'
import { isRegularFile } from '../host/source.ts'
import { readKeyFile } from './signed-files.ts'
import type { RoleAccount } from '../engine/repo/key-account.ts'
import type { NamedKey } from '../engine/repo/key-change.ts'
import type { Context } from './command.ts'

/** How people name keys: by the file of the public half, by whose it is, by the beginning of its id. */

/** A `.pub` file, or the name of one in the folder of keys. Whoever holds the key is called as the file is. */
export async function readPublicKey(context: Pick<Context, 'stdin'>, operand: string, folder: string | undefined): Promise<NamedKey> {
  const beside = folder === undefined ? undefined : join(folder, `${operand}.pub`)
  const file = !(await isRegularFile(operand)) && beside !== undefined && (await isRegularFile(beside)) ? beside : operand
  const key = ed25519Key((await readKeyFile(context, file, decodePublicKey)).publicKey)
  const holder = basename(file).replace(/\.pub$/, '')
  if (!isHolder(holder))
    throw new BinderyError('usage', `names a key: one line of at most ${maxHolderChars} plain characters`, { subject: basename(file) })
  return { key, holder }
}

const minPrefix = 8

/** The id of a key that one of the roles has, or that is announced for it; undefined where it is none of these. */
export async function findRoleKey(
  context: Pick<Context, 'stdin'>,
  operand: string,
  folder: string | undefined,
  roles: readonly RoleAccount[],
): Promise<string | undefined> {
  const known = roles.flatMap(({ keys, next }) => [...keys, ...next])
  const isNamed = ({ id, holder }: (typeof known)[number]): boolean =>
    holder === operand || (operand.length >= minPrefix && id.startsWith(operand.toLowerCase()))
  const ids = [...new Set(known.filter(isNamed).map(({ id }) => id))]
  if (ids.length > 1) throw new BinderyError('usage', `'${operand}' is more than one key: ${ids.join(', ')}`)
  if (ids[0] !== undefined) return ids[0]
  const read = await readPublicKey(context, operand, folder).catch((error: unknown) =>
    error instanceof BinderyError && error.code === 'not-found' ? undefined : Promise.reject(error),
  )
  return read !== undefined && known.some(({ id }) => id === tufKeyId(read.key)) ? tufKeyId(read.key) : undefined
}
