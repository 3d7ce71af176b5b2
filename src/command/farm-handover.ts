import { join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, fromUtf8 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { packageKey, readBuilt } from '../engine/farm/build/collect.ts'
import { handedPackage } from '../engine/farm/sign/choose.ts'
import { payloadDigest } from '../engine/farm/sign/payload.ts'
import { requestFiles } from '../engine/farm/sign/request.ts'
import { handoverText } from '../engine/farm/sign/summary.ts'
import { packTransport } from '../engine/farm/sign/transport.ts'
import { readMirror } from '../engine/pkg/index/read-mirror.ts'
import { folderOf } from '../format/handover.ts'
import { folderStore } from '../host/folder-store.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import { openInput, openSource } from '../host/source.ts'
import { sharedFlags } from './flags.ts'
import { publishedFolder } from './farm-published.ts'
import { print, writeOutput } from './output.ts'
import type { BuiltPackage } from '../format/built.ts'
import type { HandedPackage, HandedSet, Handover } from '../format/handover.ts'
import type { LastSet } from '../engine/farm/sign/choose.ts'
import type { OpenSource } from '../host/source.ts'
import type { Command, Context, Input } from './command.ts'

export const farmHandover: Command = {
  name: 'farm handover',
  summary: 'make one request out of built packages, for whoever signs them',
  operands: 'BUILT...',
  operandCount: { min: 1, max: Infinity },
  options: {
    output: { ...sharedFlags.output, help: 'the request to write; nothing is written where there is nothing to sign' },
    last: { kind: 'value', value: 'DIR', help: 'what farm publish writes to: only what is new since is handed over' },
    selected: { kind: 'value', value: 'FILE', help: 'what farm select --json printed, to tell security updates' },
    json: { ...sharedFlags.json, help: 'print JSON instead of the summary, one package a line' },
  },
  examples: [
    'bindery farm handover built/amd64 built/arm64 --last /var/www/pub/OpenBSD -o request.tar',
    'bindery farm handover built --selected ports.json -o /media/usb/request.tar',
  ],
  run: async (context, input) => {
    const output = input.required('output')
    if (output === '-') throw new BinderyError('usage', '--output takes a file: stdout is for the summary')
    const security = await securityOf(context, input)
    const last = input.value('last')
    const draft = await draftHandover(context, { folders: input.operands, last, security, isWanted: () => true })
    const { handover } = draft
    if (handover.sets.length === 0) context.say('there is nothing to sign')
    else await writeHandover(context, output, draft)
    await tell(context, handover, input.flag('json'))
    return 0
  },
}

/** What is to be handed over, and where it is. */
export type HandoverDraft = { readonly handover: Handover; readonly found: readonly FoundSet[]; readonly last: ReadonlyMap<string, Last> }

export type HandoverOrder = {
  /** As `farm build` leaves them. */
  readonly folders: readonly string[]
  /** What `farm publish` writes to. */
  readonly last: string | undefined
  /** By pkgpath. */
  readonly security: ReadonlyMap<string, readonly string[]>
  readonly isWanted: (built: BuiltPackage) => boolean
}

export async function draftHandover(
  context: Context,
  { folders, last: published, security, isWanted }: HandoverOrder,
): Promise<HandoverDraft> {
  const found = await gather(folders, isWanted)
  const last = new Map<string, Last>()
  for (const set of found) last.set(folderOf(set), await readLast(context, published, set))
  const sets = await Promise.all(found.map(async (set) => await handedSet(set, last.get(folderOf(set)) as Last, security)))
  return { handover: { sets: sets.filter(({ packages }) => packages.length > 0) }, found, last }
}

/** The packages of one release and architecture, of all folders that have some. */
type FoundSet = { readonly release: string; readonly arch: string; readonly packages: ReadonlyMap<string, FoundPackage> }
type FoundPackage = { readonly built: BuiltPackage; readonly file: string }

async function gather(folders: readonly string[], isWanted: HandoverOrder['isWanted']): Promise<readonly FoundSet[]> {
  const sets = new Map<string, { release: string; arch: string; packages: Map<string, FoundPackage> }>()
  for (const folder of folders) {
    const built = await about(folder, async () => await readBuilt(folderStore(folder)))
    if (built === undefined) throw new BinderyError('not-found', 'holds nothing that farm build has built', { subject: folder })
    const set = sets.get(folderOf(built)) ?? { release: built.release, arch: built.arch, packages: new Map<string, FoundPackage>() }
    sets.set(folderOf(built), set)
    for (const one of built.packages.filter(isWanted)) {
      const twin = set.packages.get(one.file)
      if (twin !== undefined && twin.built.sha256 !== one.sha256)
        throw new BinderyError('conflict', `was built twice, and is not the same in ${folder}`, { subject: twin.file })
      set.packages.set(one.file, { built: one, file: join(folder, packageKey(one.file)) })
    }
  }
  return [...sets.values()].toSorted((a, b) => (folderOf(a) < folderOf(b) ? -1 : 1))
}

type Last = LastSet & { readonly list: Uint8Array | undefined }

const maxList = 64 << 20
const readAtOnce = 8

async function readLast(context: Context, published: string | undefined, set: FoundSet): Promise<Last> {
  const none: Last = {
    list: undefined,
    pkgpaths: new Map(),
    payloadOf: async () => await Promise.reject(new Error('there is no last set')),
  }
  if (published === undefined) return none
  const folder = publishedFolder(resolve(published), set)
  const mirror = mirrorFolder(folder)
  const list = await mirror.read('SHA256.sig', maxList)
  if (list === undefined) return none
  const files = (await mirror.list()).filter(({ name }) => name.endsWith('.tgz'))
  const reading = await readMirror(mirror, files, { known: new Map(), key: undefined, atOnce: readAtOnce, signal: context.signal })
  const [wrong] = reading.unreadable
  if (wrong !== undefined) throw wrong.error
  return {
    list,
    pkgpaths: new Map(reading.packages.map(({ file, pkgpath }) => [file, pkgpath])),
    payloadOf: async (file) => await withSource(join(folder, file), payloadDigest),
  }
}

async function withSource<T>(file: string, use: (source: OpenSource) => Promise<T>): Promise<T> {
  const source = await openSource(file)
  try {
    return await about(file, async () => await use(source))
  } finally {
    await source.close()
  }
}

async function handedSet(set: FoundSet, last: Last, security: ReadonlyMap<string, readonly string[]>): Promise<HandedSet> {
  const packages: HandedPackage[] = []
  for (const [, { built, file }] of [...set.packages].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const choice = { built, payload: async () => await withSource(file, payloadDigest), security: security.get(portOf(built)) }
    const handed = await handedPackage(choice, last)
    if (handed !== undefined) packages.push(handed)
  }
  return { release: set.release, arch: set.arch, basis: last.list === undefined ? undefined : sha256(last.list), packages }
}

function portOf({ pkgpath }: BuiltPackage): string {
  return pkgpath.replace(/,.*/, '')
}

export async function writeHandover(context: Context, output: string, { handover, found, last }: HandoverDraft): Promise<void> {
  let open: OpenSource | undefined
  const fileOf = async (set: HandedSet, { file }: HandedPackage): Promise<OpenSource> => {
    await open?.close()
    const its = found.find((one) => folderOf(one) === folderOf(set))?.packages.get(file) as FoundPackage
    open = await openSource(its.file)
    if (open.size !== its.built.size) throw new BinderyError('bad-digest', 'is not what was built', { subject: its.file })
    return open
  }
  const lastListOf = (set: HandedSet): Uint8Array => last.get(folderOf(set))?.list as Uint8Array
  try {
    await writeOutput(context, output, packTransport(requestFiles(handover, { fileOf, lastListOf })))
  } finally {
    await open?.close()
  }
}

async function tell(context: Context, handover: Handover, json: boolean): Promise<void> {
  if (!json) return await print(context, handoverText(handover))
  for (const { release, arch, packages } of handover.sets)
    for (const one of packages) await print(context, `${JSON.stringify({ release, arch, ...one })}\n`)
}

const maxSelected = 64 << 20

/** By pkgpath: CVEs, and the subjects of commits that sound like it. */
async function securityOf(context: Context, input: Input): Promise<ReadonlyMap<string, readonly string[]>> {
  const file = input.value('selected')
  if (file === undefined) return new Map()
  const bytes = await collectBytes(await openInput(file, context.stdin), maxSelected)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxSelected} bytes`, { subject: file })
  return await about(file, () => new Map(fromUtf8(bytes).split('\n').flatMap(selectedLine)))
}

function selectedLine(line: string, index: number): readonly (readonly [string, readonly string[]])[] {
  if (line === '') return []
  const wrong = new BinderyError('bad-format', `line ${index + 1} is not what farm select --json prints`)
  try {
    const record = JSON.parse(line) as { pkgpath?: unknown; security?: { cves?: unknown; because?: unknown } }
    if (typeof record.pkgpath !== 'string') throw wrong
    if (record.security === undefined) return []
    const texts = [record.security.cves, record.security.because].flat()
    if (!texts.every((text) => typeof text === 'string')) throw wrong
    return [[record.pkgpath, texts]]
  } catch (cause) {
    throw cause === wrong ? wrong : new BinderyError(wrong.code, wrong.message, { cause })
  }
}
