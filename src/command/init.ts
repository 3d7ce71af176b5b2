import { mkdir } from 'node:fs/promises'
import { initialKeys, initRepository, refuseExisting } from '../engine/repo/init.ts'
import { openKeyring } from '../engine/repo/keyring.ts'
import { generateKey } from '../engine/repo/keys.ts'
import { folderStore } from '../host/folder-store.ts'
import { refuseKeys, removeKeys, writeKeyFolder } from '../host/key-folder.ts'
import { writeRepositoryFolder } from '../host/repository-folder.ts'
import { systemError } from '../host/system-error.ts'
import { sharedFlags } from './flags.ts'
import { newPassphrase } from './new-passphrase.ts'
import { lifetimeOptions, lifetimesOf } from './repository-options.ts'
import type { Random } from '../port/ambient.ts'
import type { Store } from '../port/store.ts'
import type { Command } from './command.ts'

export const init: Command = {
  name: 'init',
  summary: 'make a repository with its role keys',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    repo: sharedFlags.repo,
    keys: { ...sharedFlags.keys, help: 'the folder where the secret role keys go' },
    'no-passphrase': { kind: 'flag', help: 'do not encrypt the secret keys' },
    ...lifetimeOptions,
  },
  examples: ['bindery init -r /var/www/updates -k /root/keys', 'bindery init -r repo -k keys --no-passphrase'],
  run: async (context, input) => {
    const folder = input.required('repo')
    const keys = input.required('keys')
    const lifetimes = lifetimesOf(input)
    await refuseKeys(keys, initialKeys)
    await refuseExisting(folderStore(folder))
    // One passphrase for all the new keys: whoever wants several runs `keygen`.
    const passphrase = input.flag('no-passphrase') ? undefined : await newPassphrase(context.askPassphrase, 'the new keys')
    const pairs = await makePairs(context.random, passphrase)
    await mkdir(folder, { recursive: true }).catch((cause: unknown) => Promise.reject(systemError(cause, folder)))
    await writeRepositoryFolder(folder, 'init', async (store) => {
      await writeKeyFolder(keys, pairs)
      const keyring = openKeyring(pairs, async () => passphrase ?? '')
      await orTakeBack(store, keys, () => initRepository({ store, keyring, clock: context.clock, lifetimes }))
    })
    context.explain(`the root of trust, for clients to enroll with, is ${folder}/metadata/1.root.json`)
    return 0
  },
}

type Pair = { readonly name: string; readonly secret: Uint8Array; readonly public: Uint8Array }

async function makePairs(random: Random, passphrase: string | undefined): Promise<Pair[]> {
  const pairs: Pair[] = []
  for (const name of initialKeys) {
    const pair = await generateKey(random, { comment: `bindery ${name}`, ...(passphrase === undefined ? {} : { passphrase }) })
    pairs.push({ name, secret: pair.secretKeyFile, public: pair.publicKeyFile })
  }
  return pairs
}

/** Half a repository would be in the way of the next try. */
async function orTakeBack(store: Store, keys: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    await removeKeys(keys, initialKeys)
    for (const key of await store.list('metadata/')) await store.delete(key)
    throw error
  }
}
