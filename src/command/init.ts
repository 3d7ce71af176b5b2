import { mkdir } from 'node:fs/promises'
import { BinderyError } from '../base/error.ts'
import { initialKeys, initRepository, refuseExisting } from '../engine/repo/init.ts'
import { finishInit, foundedFiles, onlineKeys, stageInit } from '../engine/repo/init-stage.ts'
import { openKeyring } from '../engine/repo/keyring.ts'
import { generateKey } from '../engine/repo/keys.ts'
import { folderStore } from '../host/folder-store.ts'
import { refuseKeys, removeKeys, writeKeyFolder } from '../host/key-folder.ts'
import { openRepositoryFolder, writeRepositoryFolder } from '../host/repository-folder.ts'
import { systemError } from '../host/system-error.ts'
import { sharedFlags } from './flags.ts'
import { readPublicKey } from './key-operands.ts'
import { newPassphrase } from './new-passphrase.ts'
import { keyringOf, lifetimeOptions, lifetimesOf } from './repository-options.ts'
import { wholeOf } from './whole-number.ts'
import type { Founders } from '../engine/repo/init-stage.ts'
import type { NamedKey } from '../engine/repo/key-change.ts'
import type { Keyring } from '../engine/repo/keyring.ts'
import type { Random } from '../port/ambient.ts'
import type { Store } from '../port/store.ts'
import type { Command, Context, Input } from './command.ts'

export const init: Command = {
  name: 'init',
  summary: 'make a repository with its role keys',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    repo: sharedFlags.repo,
    keys: { ...sharedFlags.keys, help: 'the folder where the secret role keys go' },
    'no-passphrase': { kind: 'flag', help: 'do not encrypt the secret keys' },
    'root-key': { kind: 'list', value: 'FILE', help: 'the public key of someone who signs for root; with --unsigned and --signed' },
    'targets-key': { kind: 'list', value: 'FILE', help: 'the same for targets (default: whoever signs for root)' },
    threshold: { kind: 'value', value: 'N', help: 'how many of these keys must sign (default: 1)' },
    unsigned: { kind: 'value', value: 'DIR', help: 'write into DIR what the holders of these keys are to sign' },
    signed: { kind: 'value', value: 'DIR', help: 'make the repository of what they have signed in DIR' },
    ...lifetimeOptions,
  },
  examples: [
    'bindery init -r /var/www/updates -k /root/keys',
    'bindery init -r repo -k keys --no-passphrase',
    'bindery init -k online-keys --root-key alice.pub --root-key bob.pub --root-key carol.pub --threshold 2 --unsigned request',
    'bindery init -r repo -k online-keys --root-key alice.pub --root-key bob.pub --root-key carol.pub --threshold 2 --signed request',
  ],
  run: async (context, input) => {
    checkWay(input)
    const [unsigned, signed] = [input.value('unsigned'), input.value('signed')]
    if (unsigned !== undefined) await begin(context, input, unsigned)
    else if (signed !== undefined) await finish(context, input, signed)
    else await initHere(context, input)
    return 0
  },
}

function checkWay(input: Input): void {
  const [unsigned, signed] = [input.value('unsigned'), input.value('signed')]
  if (unsigned !== undefined && signed !== undefined) throw new BinderyError('usage', '--unsigned and --signed exclude each other')
  const isElsewhere = unsigned !== undefined || signed !== undefined
  const isFounded = input.list('root-key').length > 0
  if (isElsewhere && !isFounded) throw new BinderyError('usage', '--unsigned and --signed go with --root-key')
  const idle = ['root-key', 'targets-key'].find((name) => input.list(name).length > 0) ?? (input.value('threshold') && 'threshold')
  if (!isElsewhere && idle !== undefined)
    throw new BinderyError('usage', `--${idle} goes with --unsigned DIR: whoever holds the keys signs there`, {
      hint: 'without, init makes all keys itself',
    })
}

async function initHere(context: Context, input: Input): Promise<void> {
  const folder = input.required('repo')
  const keys = input.required('keys')
  const lifetimes = lifetimesOf(input)
  await refuseKeys(keys, initialKeys)
  await refuseExisting(folderStore(folder))
  const { pairs, keyring } = await newKeys(context, input, initialKeys)
  await writing(folder, async (store) => {
    await writeKeyFolder(keys, pairs)
    await orTakeBack(store, keys, initialKeys, () => initRepository({ store, keyring, clock: context.clock, lifetimes }))
  })
  tellRoot(context, folder)
}

/** Only the keys of this machine are made; DIR goes round among those who hold the others. */
async function begin(context: Context, input: Input, folder: string): Promise<void> {
  const keys = input.required('keys')
  const founders = await foundersOf(context, input)
  await refuseKeys(keys, onlineKeys)
  const { pairs, keyring } = await newKeys(context, input, onlineKeys)
  await writeKeyFolder(keys, pairs)
  const stage = folderStore(folder)
  try {
    await stageInit({ stage, keyring, founders, clock: context.clock, lifetimes: lifetimesOf(input) })
  } catch (error) {
    await removeKeys(keys, onlineKeys)
    throw error
  }
}

async function finish(context: Context, input: Input, from: string): Promise<void> {
  const folder = input.required('repo')
  const keyring = await keyringOf(context, input.required('keys'))
  const founders = await foundersOf(context, input)
  const founded = await foundedFiles(await openRepositoryFolder(from), founders)
  await refuseExisting(folderStore(folder))
  await writing(folder, async (store) => {
    await orTakeBack(store, undefined, [], () =>
      finishInit({ store, keyring, founded, clock: context.clock, lifetimes: lifetimesOf(input) }),
    )
  })
  tellRoot(context, folder)
}

async function foundersOf(context: Context, input: Input): Promise<Founders> {
  const read = async (name: string): Promise<readonly NamedKey[]> =>
    await Promise.all(input.list(name).map(async (file) => await readPublicKey(context, file, undefined)))
  return { root: await read('root-key'), targets: await read('targets-key'), threshold: wholeOf(input, 'threshold', 1, 1000) ?? 1 }
}

type NewKeys = { readonly pairs: readonly Pair[]; readonly keyring: Keyring }

/** One passphrase for all the new keys: whoever wants several runs `keygen`. */
async function newKeys(context: Context, input: Input, names: readonly string[]): Promise<NewKeys> {
  const passphrase = input.flag('no-passphrase') ? undefined : await newPassphrase(context.askPassphrase, 'the new keys')
  const pairs = await makePairs(context.random, names, passphrase)
  return { pairs, keyring: openKeyring(pairs, async () => passphrase ?? '') }
}

async function writing(folder: string, work: (store: Store) => Promise<void>): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => Promise.reject(systemError(cause, folder)))
  await writeRepositoryFolder(folder, 'init', work)
}

function tellRoot({ explain }: Context, folder: string): void {
  explain(`the root of trust, for clients to enroll with, is ${folder}/metadata/1.root.json`)
}

type Pair = { readonly name: string; readonly secret: Uint8Array; readonly public: Uint8Array }

async function makePairs(random: Random, names: readonly string[], passphrase: string | undefined): Promise<Pair[]> {
  const pairs: Pair[] = []
  for (const name of names) {
    const pair = await generateKey(random, { comment: `bindery ${name}`, ...(passphrase === undefined ? {} : { passphrase }) })
    pairs.push({ name, secret: pair.secretKeyFile, public: pair.publicKeyFile })
  }
  return pairs
}

/** Half a repository would be in the way of the next try. */
async function orTakeBack(store: Store, keys: string | undefined, names: readonly string[], work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (keys !== undefined) await removeKeys(keys, names)
    for (const key of await store.list('metadata/')) await store.delete(key)
    throw error
  }
}
