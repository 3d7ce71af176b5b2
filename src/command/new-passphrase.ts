import { BinderyError } from '../base/error.ts'
import type { AskPassphrase } from '../port/ambient.ts'

/** Asks twice, since nothing else tells a person of a slip. */
export async function newPassphrase(ask: AskPassphrase, what: string): Promise<string> {
  const passphrase = await ask(`passphrase for ${what}: `)
  if (passphrase === '') throw new BinderyError('usage', 'the passphrase is empty', { hint: '--no-passphrase makes a key without one' })
  if ((await ask('the same once more: ')) !== passphrase) throw new BinderyError('usage', 'the two passphrases differ')
  return passphrase
}
