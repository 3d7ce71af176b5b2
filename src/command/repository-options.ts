import { BinderyError } from '../base/error.ts'
import { usualLifetimes } from '../engine/repo/commit.ts'
import { openKeyring } from '../engine/repo/keyring.ts'
import { readKeyFolder } from '../host/key-folder.ts'
import type { Lifetimes } from '../engine/repo/commit.ts'
import type { Keyring } from '../engine/repo/keyring.ts'
import type { Context, Input, OptionTable } from './command.ts'

/** Flags of the verbs that sign metadata. */
export const lifetimeOptions = {
  expires: { kind: 'value', value: 'DAYS', help: `how long long-lived metadata is good (default: ${usualLifetimes.role})` },
  'timestamp-days': { kind: 'value', value: 'DAYS', help: `how long timestamp.json is good (default: ${usualLifetimes.timestamp})` },
} as const satisfies OptionTable

export function lifetimesOf(input: Input): Lifetimes {
  return {
    role: wholeOf(input, 'expires', 1, 3650) ?? usualLifetimes.role,
    timestamp: wholeOf(input, 'timestamp-days', 1, 3650) ?? usualLifetimes.timestamp,
  }
}

/** The whole number of a flag; undefined where it was not given. */
export function wholeOf(input: Input, name: string, min: number, max: number): number | undefined {
  const text = input.value(name)
  if (text === undefined) return undefined
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : NaN
  if (value >= min && value <= max) return value
  throw new BinderyError('usage', `--${name} takes a whole number from ${min} to ${max}, not '${text}'`)
}

export async function keyringOf(context: Context, folder: string): Promise<Keyring> {
  return openKeyring(await readKeyFolder(folder), context.askPassphrase)
}
