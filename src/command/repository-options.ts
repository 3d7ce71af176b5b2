import { usualLifetimes } from '../engine/repo/commit.ts'
import { openKeyring } from '../engine/repo/keyring.ts'
import { readKeyFolder } from '../host/key-folder.ts'
import { wholeOf } from './whole-number.ts'
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

export async function keyringOf(context: Context, folder: string): Promise<Keyring> {
  return openKeyring(await readKeyFolder(folder), context.askPassphrase)
}
