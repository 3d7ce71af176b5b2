import { createHash } from 'node:crypto'
import { collectBytes, concatBytes, fromHex, utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { formatDistName } from '../../src/base/name.ts'
import { writeDist } from '../../src/engine/dist/write.ts'
import { usualLifetimes } from '../../src/engine/repo/commit.ts'
import { checkRepository } from '../../src/engine/repo/fsck.ts'
import { initialKeys, initRepository } from '../../src/engine/repo/init.ts'
import { openKeyring } from '../../src/engine/repo/keyring.ts'
import { generateKey } from '../../src/engine/repo/keys.ts'
import { publish } from '../../src/engine/repo/publish.ts'
import { scanTree } from '../../src/engine/tree/scan.ts'
import { noNotes } from '../../src/engine/update/compose.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { memoryStore } from '../../src/host/memory-store.ts'
import { file, plant } from './plant.ts'
import type { DistName } from '../../src/base/name.ts'
import type { Finding } from '../../src/engine/repo/fsck-findings.ts'
import type { KeyFile, Keyring } from '../../src/engine/repo/keyring.ts'
import type { PublishInput } from '../../src/engine/repo/publish.ts'
import type { DraftedRelease } from '../../src/engine/repo/release-draft.ts'
import type { Progress, Random } from '../../src/port/ambient.ts'
import type { ByteSource, Spool } from '../../src/port/source.ts'
import type { Store } from '../../src/port/store.ts'
import type { Literal } from './plant.ts'

/** A repository with its keys in memory, and dists from tree literals to publish in it. */

const day = 86_400_000
export const silentProgress: Progress = { start: () => ({ advance: () => {}, end: () => {} }) }

export function sourceOf(bytes: Uint8Array): ByteSource & { close(): Promise<void> } {
  return { size: bytes.length, read: async (start, end) => bytes.slice(start, end), close: async () => {} }
}

export const memorySpool: Spool = async (stream) => {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part)
  return sourceOf(concatBytes(parts))
}

/** `base` on `amd64` where the rest is not said. */
export function releaseName(revision: string, rest: Partial<DistName> = {}): DistName {
  return { product: 'base', revision, date: '20260101', arch: 'amd64', ...rest }
}

/** The uncompressed tar. */
export async function makeDist(name: DistName, literal: Literal): Promise<Uint8Array> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return (await collectBytes(
    writeDist(name, await scanTree(disk), (entry) => disk.read(entry.path)),
    Infinity,
  )) as Uint8Array
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(seed: number, size: number): Uint8Array {
  return new Uint8Array(createHash('shake256', { outputLength: size }).update(String(seed)).digest())
}

/** A tree that differs from release to release in one small file, with a large one that stays. */
export async function smallDist(revision: string, rest: Partial<DistName> = {}): Promise<Uint8Array> {
  const literal = { 'bin/sh': file(noise(1, 100_000)), 'etc/version': `${revision}\n`, [`usr/share/${revision}`]: `only in ${revision}\n` }
  return await makeDist(releaseName(revision, rest), literal)
}

let made = 0

/** Not random: keys that differ from each other and are the same in every run. */
const countingRandom: Random = {
  bytes: (count) => (fromHex(sha256(utf8(`${made++}`))) as Uint8Array).subarray(0, count),
}

export async function makeKeys(names: readonly string[], passphrase?: string): Promise<readonly Required<KeyFile>[]> {
  const keys: Required<KeyFile>[] = []
  for (const name of names) {
    const pair = await generateKey(countingRandom, { comment: name, ...(passphrase === undefined ? {} : { passphrase }) })
    keys.push({ name, secret: pair.secretKeyFile, public: pair.publicKeyFile })
  }
  return keys
}

export const noQuestions = async (): Promise<string> => {
  throw new Error('nobody is to be asked')
}

export type Workshop<S extends Store> = {
  readonly store: S
  readonly keys: readonly Required<KeyFile>[]
  readonly keyring: Keyring
  /** Some of the keys, by name. */
  holding(...names: readonly string[]): Keyring
  readonly clock: { now(): number }
  pass(days: number): void
  input(dists: readonly Uint8Array[], change?: Partial<PublishInput>): PublishInput
  publish(...dists: readonly Uint8Array[]): Promise<readonly DraftedRelease[]>
  fsck(change?: { readonly deep?: boolean; readonly store?: Store; readonly trustedRoot?: Uint8Array }): Promise<readonly Finding[]>
}

const usualStart = Date.UTC(2026, 0, 1, 12, 0, 0, 500)

export async function openWorkshop(): Promise<Workshop<ReturnType<typeof memoryStore>>>
export async function openWorkshop<S extends Store>(store: S, start?: number): Promise<Workshop<S>>
export async function openWorkshop(store: Store = memoryStore(), start = usualStart): Promise<Workshop<Store>> {
  let now = start
  const clock = { now: () => now }
  const keys = await makeKeys(initialKeys)
  const keyring = openKeyring(keys, noQuestions)
  await initRepository({ store, keyring, clock, lifetimes: usualLifetimes })
  const input: Workshop<Store>['input'] = (dists, change = {}) => ({
    store,
    dists: dists.map(sourceOf),
    clock,
    spool: memorySpool,
    deltas: 4,
    notes: noNotes,
    lifetimes: usualLifetimes,
    progress: silentProgress,
    signal: new AbortController().signal,
    explain: () => {},
    ...change,
  })
  return {
    store,
    keys,
    keyring,
    clock,
    input,
    holding: (...names) =>
      openKeyring(
        keys.filter(({ name }) => names.includes(name)),
        noQuestions,
      ),
    pass: (days) => void (now += days * day),
    publish: async (...dists) => await publish({ ...input(dists), keyring }),
    fsck: async (change = {}) =>
      await checkRepository({
        store,
        clock,
        deep: false,
        meter: silentProgress.start('', 0),
        signal: new AbortController().signal,
        ...change,
      }),
  }
}

export const namesOf = (releases: readonly DraftedRelease[]): readonly string[] =>
  releases.map(({ update }) => formatDistName(update.release.name))
