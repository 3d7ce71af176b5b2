import { collectBytes, latin1, oneChunk, utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { markVerified } from '../../src/base/verified.ts'
import { writeDist } from '../../src/engine/dist/write.ts'
import { lstatDeep } from '../../src/engine/client/apply/aside.ts'
import { installIncoming } from '../../src/engine/client/apply/install.ts'
import { makeStateFolders } from '../../src/engine/client/state.ts'
import { scanTree } from '../../src/engine/tree/scan.ts'
import { encodeManifest } from '../../src/format/manifest.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { plant } from './plant.ts'
import { recovery } from './recovery.ts'
import type { ByteStream } from '../../src/base/bytes.ts'
import type { Sha256 } from '../../src/base/digest.ts'
import type { FileEntry, Manifest } from '../../src/base/entry.ts'
import type { DistName } from '../../src/base/name.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Incoming, StateFile } from '../../src/engine/client/incoming.ts'
import type { InstallInput } from '../../src/engine/client/apply/install.ts'
import type { Done } from '../../src/engine/client/apply/transaction.ts'
import type { ReleaseState } from '../../src/format/release-state.ts'
import type { Update } from '../../src/format/update.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { Literal } from './plant.ts'

/** A client without network: releases are planted trees, and what the network half would hand over is made by hand. */

export type Release = { readonly disk: Disk; readonly manifest: Manifest; readonly name: DistName }

const role = { product: 'base', arch: 'amd64' }

/** Every tree holds the folders above the state, so that making it changes nothing else. */
export async function release(
  revision: string,
  literal: Literal,
  prepare: (disk: Disk) => Promise<void> = async () => {},
): Promise<Release> {
  const disk = memoryDisk()
  await plant(disk, { 'var/db': { kind: 'dir' }, ...literal })
  await prepare(disk)
  return { disk, manifest: await scanTree(disk), name: { product: 'base', revision, date: '20260101', arch: 'amd64' } }
}

/** A machine on which a release is installed. */
export async function machine(on: Disk, literal: Literal): Promise<Disk> {
  await plant(on, { 'var/db': { kind: 'dir' }, ...literal })
  const before = await on.lstat('var/db' as RelPath)
  await makeStateFolders(on)
  await on.mkdir('var/db/bindery/channel/base-amd64' as RelPath, 0o755)
  await on.create('var/db/bindery/channel/base-amd64/release' as RelPath, oneChunk(utf8('old\n')))
  await on.create('var/db/bindery/channel/base-amd64/2.delta' as RelPath, oneChunk(utf8('obsolete\n')))
  await on.setTimes([{ path: 'var/db' as RelPath, mtime: before?.mtime ?? { sec: 0, nsec: 0 } }])
  return on
}

export function incoming(old: Release, next: Release, changes: Partial<Incoming> = {}): Incoming {
  return {
    channel: role,
    installed: { name: old.name, sequence: 1, tar: nothing, manifest: nothing } satisfies ReleaseState,
    update: markVerified(record(next)),
    manifest: markVerified(next.manifest),
    tar: () => writeDist(next.name, next.manifest, ({ path }) => next.disk.read(path)),
    passed: [],
    oldContents: async (files) => await contentsOf(old.disk, files),
    stateFiles: [
      stateFile('release', `${next.name.revision}\n`),
      // As of what is compressed on the way: a wrong estimate.
      { ...stateFile('1.delta', 'delta\n'), size: 4711 },
      { path: '2.delta' as RelPath, content: 'remove', mode: 0o600, size: 0 },
    ],
    fetched: { route: 'full', steps: 0, bytes: 0 },
    cached: [],
    ...changes,
  }
}

async function contentsOf(disk: Disk, files: readonly FileEntry[]): Promise<ReadonlyMap<Sha256, Uint8Array>> {
  return new Map(await Promise.all(files.map(async ({ path, sha256: digest }) => [digest, await bytesOf(disk.read(path))] as const)))
}

async function bytesOf(content: ByteStream): Promise<Uint8Array> {
  return (await collectBytes(content, 1 << 30)) as Uint8Array
}

const nothing = { sha256: sha256(utf8('')), size: 0 }

function record({ name }: Release): Update {
  const manifest = { target: 'base/amd64/manifest', size: 0 }
  return {
    sequence: 2,
    release: { name, tar: nothing },
    manifest,
    full: [],
    deltas: [],
    notices: [],
    postSteps: [],
    reboot: 'none',
    security: false,
  }
}

function stateFile(path: string, text: string): StateFile {
  return { path: path as RelPath, content: () => oneChunk(utf8(text)), mode: 0o644, size: text.length }
}

export function installInput(disk: Disk, old: Release, next: Release, changes: Partial<InstallInput> = {}): InstallInput {
  return {
    disk,
    incoming: incoming(old, next),
    installed: old.manifest,
    config: defaultConfig,
    clock: { now: () => 1_700_000_000_000 },
    recovery,
    ...changes,
  }
}

export async function install(disk: Disk, old: Release, next: Release, changes: Partial<InstallInput> = {}): Promise<Done> {
  return await installIncoming(installInput(disk, old, next, changes))
}

/** Everything of a tree but bindery's state, as text, counts of links included: two trees are the same when these are. */
export async function picture(disk: Disk): Promise<string> {
  const manifest = await scanTree(disk)
  const links: string[] = []
  for (const { path, kind } of manifest.entries) if (kind !== 'dir') links.push(`${path} has ${(await disk.lstat(path))?.nlink ?? 0} links`)
  return `${latin1(encodeManifest(manifest))}${links.join('\n')}`
}

/** Tree and channel. */
export async function whole(disk: Disk): Promise<string> {
  return `${await picture(disk)}${JSON.stringify(await channelState(disk))}`
}

/** The state of the channel, by file. */
export async function channelState(disk: Disk): Promise<Readonly<Record<string, string>>> {
  const folder = 'var/db/bindery/channel/base-amd64' as RelPath
  const names = [...(await disk.readdir(folder))].sort()
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await text(disk, `${folder}/${name}`)] as const)))
}

export async function text(disk: Disk, path: string): Promise<string> {
  const parts: string[] = []
  for await (const bytes of disk.read(path as RelPath)) parts.push(Buffer.from(bytes).toString('utf8'))
  return parts.join('')
}

/** What lies in the stages and stores, without what a rollback needs of them. */
export async function leftovers(disk: Disk, areas: readonly string[] = ['var/db/bindery']): Promise<readonly string[]> {
  const found: string[] = []
  for (const area of areas) {
    for (const kind of ['stage', 'store']) {
      if ((await lstatDeep(disk, `${area}/${kind}` as RelPath)) === undefined) continue
      for (const name of await disk.readdir(`${area}/${kind}` as RelPath)) found.push(`${kind}/${name}`)
    }
  }
  for (const name of await disk.readdir('var/db/bindery' as RelPath))
    if (name.startsWith('journal') || name.endsWith('.new')) found.push(name)
  return found
}
