import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { collectBytes, oneChunk } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { check } from '../../src/command/check.ts'
import { enroll } from '../../src/command/enroll.ts'
import { writeDist } from '../../src/engine/dist/write.ts'
import { signedFile } from '../../src/engine/repo/commit.ts'
import { publish } from '../../src/engine/repo/publish.ts'
import { loadRepository } from '../../src/engine/repo/repository.ts'
import { parseWantedNeed } from '../../src/engine/repo/wanted-need.ts'
import { scanTree } from '../../src/engine/tree/scan.ts'
import { hostDisk } from '../../src/host/disk.ts'
import { memoryHttp } from '../../src/host/memory-http.ts'
import { hostStepRunner } from '../../src/host/step-runner.ts'
import { noise, openWorkshop, releaseName } from './repository.ts'
import { resign } from './resign.ts'
import { runCommand } from './run-command.ts'
import { folderInMemory } from './temporary.ts'
import type { Command } from '../../src/command/command.ts'
import type { Metadata, Snapshot, Timestamp } from '../../src/format/tuf.ts'
import type { Page } from '../../src/host/memory-http.ts'
import type { HttpClient } from '../../src/port/http.ts'
import type { Workshop } from './repository.ts'
import type { Store } from '../../src/port/store.ts'
import type { Outcome } from './run-command.ts'

/** The commands of a client that follows two channels, and a repository of which every key is at hand, to attack it with. */

export const base = 'http://updates.test/'

export type Pages = ReadonlyMap<string, Page>

export type Attacked = {
  /** The repository with the first release of base and comp; with the second, which machines have heard of; with the last. */
  readonly pages: {
    readonly first: Pages
    readonly heard: Pages
    readonly last: Pages
    /** Base needs what nobody follows. */ readonly needy: Pages
  }
  readonly last: string
  /** Of the last state, changed, and signed by the keys of these names. */
  timestamp(change: Partial<Timestamp>, keys: readonly string[]): Promise<Uint8Array>
  snapshot(change: Partial<Snapshot>): Promise<Uint8Array>
  /** The last state with targets of base changed by whoever has the keys of its channel. */
  resigned(change: Parameters<typeof resign>[1]): Promise<Pages>
  /** What all machines lie in. */
  readonly folder: string
  machine(): Promise<Machine>
  end(): void
}

export type Machine = {
  run(command: Command, http: HttpClient, clock?: () => number, words?: readonly string[]): Promise<Outcome>
  /** All of the tree but bindery's state, as text. */
  tree(): string
  /** The metadata and releases that it believes. */
  trusted(): string
  /** What is installed of a product. */
  version(product: string): string
  now(): number
}

export async function openAttacked(): Promise<Attacked> {
  const work = folderInMemory('bindery-attacks-')
  const workshop = await openWorkshop()
  const { store } = workshop
  await askForTwo(workshop)
  const release = async (product: string, revision: string, ...needs: readonly string[]): Promise<void> => {
    workshop.pass(1)
    const dist = await distOf(join(work, 'made', `${product}-${revision}`), product, revision)
    await publish({ ...workshop.input([dist], { needs: needs.map(parseWantedNeed), deltas: 1 }), keyring: workshop.keyring })
  }
  await release('base', '1')
  await release('comp', '1')
  const first = await pagesOf(store)
  await release('base', '2')
  await release('comp', '2', 'base>=2')
  const heard = await pagesOf(store)
  await release('extra', '1')
  await release('base', '3', 'extra>=1')
  const needy = await pagesOf(store)
  await release('base', '4')
  await release('comp', '4', 'base>=4')
  const last = await pagesOf(store)
  const forge = async (value: Metadata, keys: readonly string[]): Promise<Uint8Array> => {
    const ids = [...(await loadRepository(store)).root.signed.value.keys.keys()]
    return signedFile(value.kind, value, await workshop.holding(...keys).signers(ids)).file
  }
  return {
    pages: { first, heard, needy, last },
    last: '4',
    timestamp: async (change, keys) => await forge({ ...(await loadRepository(store)).timestamp.signed.value, ...change }, keys),
    snapshot: async (change) => await forge({ ...(await loadRepository(store)).snapshot.signed.value, ...change }, ['snapshot']),
    resigned: async (change) => {
      await resign(workshop, change)
      return await pagesOf(store)
    },
    folder: work,
    machine: await machines(work, workshop, first, heard),
    end: () => rmSync(work, { recursive: true }),
  }
}

/** The role of the timestamp has two keys, both of which must sign. */
async function askForTwo({ store, holding }: Workshop<Store>): Promise<void> {
  const { root } = await loadRepository(store)
  const { value } = root.signed
  const keyIds = [...value.roles.timestamp.keyIds, ...value.roles.snapshot.keyIds]
  const next = { ...value, version: 2, roles: { ...value.roles, timestamp: { keyIds, threshold: 2 } } }
  const { file } = signedFile('root', next, await holding('root').signers([...value.keys.keys()]))
  await store.put('metadata/2.root.json', oneChunk(file))
}

async function distOf(folder: string, product: string, revision: string): Promise<Uint8Array> {
  mkdirSync(join(folder, product), { recursive: true })
  writeFileSync(join(folder, product, 'large'), noise(product.length, 20_000))
  writeFileSync(join(folder, product, 'version'), revision)
  // Too much of it is new for a delta to be only a few bytes.
  writeFileSync(join(folder, product, 'part'), noise(Number(revision) + 100, 5000))
  const disk = hostDisk(folder)
  const name = releaseName(revision, { product })
  return (await collectBytes(
    writeDist(name, await scanTree(disk), (entry) => disk.read(entry.path)),
    Infinity,
  )) as Uint8Array
}

async function pagesOf(store: Store): Promise<Pages> {
  const pages = new Map<string, Page>()
  for (const key of await store.list('')) {
    const bytes = (await store.get(key)) as Uint8Array
    pages.set(base + key, { bytes, etag: `"${sha256(bytes).slice(0, 16)}"` })
  }
  return pages
}

/** Machines with the first releases, that have heard of the second. */
async function machines(work: string, { store, clock }: Workshop<Store>, first: Pages, heard: Pages): Promise<Attacked['machine']> {
  const enrolled = join(work, 'enrolled')
  for (const product of ['base', 'comp']) cpSync(join(work, 'made', `${product}-1`), enrolled, { recursive: true })
  const root = join(work, '1.root.json')
  writeFileSync(root, (await store.get('metadata/1.root.json')) as Uint8Array)
  const begun = machineAt(enrolled, clock.now)
  for (const channel of ['base', 'comp'])
    await done(begun.run(enroll, memoryHttp(new Map(first)), undefined, [base, root, `${channel}/amd64`]))
  await done(begun.run(check, memoryHttp(new Map(heard))))
  let count = 0
  return async () => {
    const folder = join(work, `machine-${++count}`)
    cpSync(enrolled, folder, { recursive: true, preserveTimestamps: true })
    return await Promise.resolve(machineAt(folder, clock.now))
  }
}

async function done(outcome: Promise<Outcome>): Promise<void> {
  const { status, error } = await outcome
  if (status !== 0) throw error ?? new Error(`status ${status}`)
}

function machineAt(root: string, now: () => number): Machine {
  return {
    now,
    run: async (command, http, clock = now, words = []) =>
      await runCommand(command, words, { root, http, clock: { now: clock }, steps: hostStepRunner(root) }),
    version: (product) => readFileSync(join(root, product, 'version'), 'utf8'),
    tree: () => textOf(root, (path) => !path.startsWith('var')),
    trusted: () => textOf(root, (path) => /^var\/db\/bindery\/(?:trust|channel)\//.test(path)),
  }
}

function textOf(root: string, isMeant: (path: string) => boolean): string {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(isMeant).sort()
  return paths.map((path) => lineOf(root, path)).join('\n')
}

function lineOf(root: string, path: string): string {
  const { mode, mtimeMs } = statSync(join(root, path))
  const content = statSync(join(root, path)).isFile() ? sha256(readFileSync(join(root, path))) : ''
  return `${path} ${mode} ${mtimeMs} ${content}`
}
