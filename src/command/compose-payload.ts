import { join } from 'node:path'
import { sha256Hasher } from '../base/digest.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { formatDistName } from '../base/name.ts'
import { isWithin } from '../base/path.ts'
import { describeDist } from '../engine/dist/read.ts'
import { withoutSockets } from '../engine/dist/sockets.ts'
import { compressFrom, magicSize, wireCodecOf, wireSuffix } from '../engine/dist/wire.ts'
import { writeDist } from '../engine/dist/write.ts'
import { eventsBetween } from '../engine/update/events.ts'
import { namedPaths, withNamed } from '../engine/update/named-files.ts'
import { hostDisk } from '../host/disk.ts'
import { openInput, openSource, writeFileAtomically } from '../host/source.ts'
import { openBase } from './base-input.ts'
import { distNameOf } from './dist-name.ts'
import { tellLeftOut } from './left-out.ts'
import { pathInRoot } from './path-in-root.ts'
import { bytesOf, openTarFile } from './tar-file.ts'
import { openTree, scanWithProgress } from './tree-input.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { FileEntry, Manifest } from '../base/entry.ts'
import type { DistName } from '../base/name.ts'
import type { RelPath } from '../base/path.ts'
import type { Named } from '../engine/update/named-files.ts'
import type { Event } from '../engine/update/rules.ts'
import type { Descriptor } from '../format/descriptor.ts'
import type { Disk } from '../port/disk.ts'
import type { Base } from './base-input.ts'
import type { Context, Input } from './command.ts'

/** What an update brings: a dist, and what it does to each path. */
export type Payload = {
  readonly release: DistName
  readonly previous?: DistName
  readonly events: readonly Event[]
  /** Of the whole release. */
  readonly paths: readonly RelPath[]
  /** What comes or changes, alone. */
  part(): Part
  /** Where the named files are. */
  readonly disk: Disk
  /** The dist, into a folder. */
  write(folder: string): Promise<Descriptor['payload']>
  close(): Promise<void>
}

export type Part = { readonly manifest: Manifest; content(file: FileEntry): ByteStream }

/** Named files of the root, alone or laid over a base. */
export async function payloadOfFiles(context: Context, input: Input, slug: string): Promise<Payload> {
  const disk = openTree(context.root)
  const named = namedPaths(input.operands.map(pathInRoot))
  const operand = input.value('base')
  const base = operand === undefined ? undefined : await openBase(context, operand)
  try {
    const found = await scanWithProgress(disk, context, { exclude: (path) => !named.isOnTheWay(path) })
    const { kept, leftOut } = withoutSockets(withNamed(base?.manifest, found, named).entries)
    tellLeftOut(context, leftOut)
    const manifest = { entries: kept }
    const release = nameOf(context, input, base, slug)
    const content = (file: FileEntry): ByteStream =>
      base === undefined || named.has(file.path) ? disk.read(file.path, { end: file.size }) : base.content(file)
    return {
      release,
      ...(base?.name === undefined ? {} : { previous: base.name }),
      events: base === undefined ? namedEvents(manifest, named) : eventsBetween(base.manifest, manifest),
      paths: manifest.entries.map(({ path }) => path),
      disk,
      part: () => ({ manifest: base === undefined ? manifest : partOf(manifest, eventsBetween(base.manifest, manifest)), content }),
      write: async (folder) => {
        const tar = compressFrom(() => writeDist(release, manifest, content), 'zstd')
        return await writeHashed(context, folder, `${formatDistName(release)}.tar.zst`, tar).catch((error: unknown) =>
          Promise.reject(ofChange(error)),
        )
      },
      close: async () => await base?.close(),
    }
  } catch (error) {
    await base?.close()
    throw error
  }
}

/** What was looked at a moment ago, and is another one now. */
function ofChange(error: unknown): unknown {
  if (!isBinderyError(error, 'bad-digest')) return error
  const { subject } = error
  return new BinderyError('conflict', 'was changed while it was read', { subject, hint: 'run it again; nothing is left', cause: error })
}

/** Nobody knows what was there before. */
function namedEvents({ entries }: Manifest, named: Named): readonly Event[] {
  return entries.flatMap(({ path, kind }) => (kind !== 'dir' && named.has(path) ? [{ path, happening: 'changed' }] : []))
}

function nameOf(context: Context, input: Input, base: Base | undefined, slug: string): DistName {
  if (base === undefined) return distNameOf(context, input, { product: slug, revision: '1' })
  return distNameOf(context, input, base.name && { product: base.name.product, arch: base.name.arch })
}

/** The second of two releases, as it is. */
export async function payloadOfReleases(context: Context, input: Input): Promise<Payload> {
  const [from, to] = [input.required('from'), input.required('to')]
  const old = await describe(context, from)
  const next = await openBase(context, to)
  if (next.name === undefined) throw new BinderyError('wrong-type', 'is no dist', { subject: to })
  const file = `${formatDistName(next.name)}.tar${await suffixOf(to)}`
  const events = eventsBetween(old.manifest, next.manifest)
  return {
    release: next.name,
    previous: old.name,
    events,
    part: () => ({ manifest: partOf(next.manifest, events), content: (one) => next.content(one) }),
    paths: next.manifest.entries.map(({ path }) => path),
    disk: hostDisk(context.root),
    write: async (folder) => await writeHashed(context, folder, file, await openInput(to, context.stdin)),
    close: async () => await next.close(),
  }
}

/** With the folders above, and the files that others are names of. */
function partOf({ entries }: Manifest, events: readonly Event[]): Manifest {
  const wanted = new Set(events.map(({ path }) => path))
  for (const entry of entries) if (wanted.has(entry.path) && entry.kind === 'hardlink') wanted.add(entry.leader)
  const paths = [...wanted]
  return { entries: entries.filter(({ path, kind }) => wanted.has(path) || (kind === 'dir' && paths.some((one) => isWithin(one, path)))) }
}

async function describe(context: Context, file: string): ReturnType<typeof describeDist> {
  const source = await openTarFile({ file, raw: false }, context)
  try {
    return await describeDist(bytesOf(source))
  } finally {
    await source.close()
  }
}

async function suffixOf(file: string): Promise<string> {
  const source = await openSource(file)
  try {
    return wireSuffix[wireCodecOf(await source.read(0, Math.min(magicSize, source.size)))]
  } finally {
    await source.close()
  }
}

async function writeHashed({ signal }: Context, folder: string, file: string, content: ByteStream): Promise<Descriptor['payload']> {
  const hasher = sha256Hasher()
  const see = (bytes: Uint8Array): void => {
    signal.throwIfAborted()
    hasher.update(bytes)
  }
  const size = await writeFileAtomically(join(folder, file), hashed(content, see))
  return { file, size, sha256: hasher.digest() }
}

async function* hashed(content: ByteStream, see: (bytes: Uint8Array) => void): ByteStream {
  for await (const bytes of content) {
    see(bytes)
    yield bytes
  }
}
