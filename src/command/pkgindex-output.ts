import { basename, dirname, join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, equalBytes, oneChunk } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { compress, decompress } from '../engine/dist/wire.ts'
import { openSealedIndex } from '../engine/pkg/index/open-index.ts'
import { sealedIndex } from '../engine/pkg/index/sealed-index.ts'
import { openSigner } from '../engine/repo/keys.ts'
import { encodeBinderyIndex, encodePackageRecord } from '../format/openbsd/bindery-index.ts'
import { decodeIndexState, encodeIndexState } from '../format/openbsd/index-state.ts'
import { encodePkgupIndex } from '../format/openbsd/pkgup-index.ts'
import { openInput, writeFileAtomically } from '../host/source.ts'
import { readKeyFile, signatureComment } from './signed-files.ts'
import { wholeOf } from './whole-number.ts'
import type { MirrorIndex } from '../engine/pkg/index/mirror-index.ts'
import type { BinderyIndex, IndexedPackage } from '../format/openbsd/bindery-index.ts'
import type { KnownPackage } from '../format/openbsd/index-state.ts'
import type { Signer } from '../engine/repo/key-file.ts'
import type { Context, Input } from './command.ts'

/** Where an index is written, and what is remembered beside it. */
export type IndexOutput =
  | { readonly kind: 'stdout'; readonly json: boolean }
  | {
      readonly kind: 'file'
      readonly file: string
      readonly state: string
      readonly partial: boolean
      readonly sealed: Sealing | undefined
    }

type Sealing = { readonly file: string; readonly signer: Signer; readonly comment: string; readonly lifetime: number }

const usualDays = 30
const daySeconds = 86_400

/** Keys are opened before anything is read. */
export async function openOutput(context: Context, input: Input): Promise<IndexOutput> {
  const file = input.value('output')
  if (file === undefined || file === '-') return { kind: 'stdout', json: input.flag('json') }
  const state = input.value('state') ?? join(dirname(file), `.${basename(file)}.state`)
  return { kind: 'file', file, state: resolve(state), partial: input.flag('partial'), sealed: await openSealing(context, input, file) }
}

async function openSealing(context: Context, input: Input, file: string): Promise<Sealing | undefined> {
  const seckey = input.value('seckey')
  const days = wholeOf(input, 'expires', 1, 3650)
  if (seckey === undefined) {
    if (days !== undefined) throw new BinderyError('usage', '--expires goes with --seckey')
    return undefined
  }
  const signer = await readKeyFile(context, seckey, (bytes) =>
    openSigner(bytes, async () => await context.askPassphrase(`passphrase for ${basename(seckey)}: `)),
  )
  const comment = signatureComment(seckey, signer.comment)
  return { file: join(dirname(file), 'index.bindery.zst'), signer, comment, lifetime: (days ?? usualDays) * daySeconds }
}

/** Empty where nothing is remembered; what is damaged costs a full run, and is told. */
export async function readState(context: Context, output: IndexOutput, place: string): Promise<ReadonlyMap<string, KnownPackage>> {
  if (output.kind === 'stdout') return new Map()
  try {
    const bytes = await readIfThere(output.state)
    return bytes === undefined ? new Map() : await about(output.state, () => decodeIndexState(bytes, place))
  } catch (error) {
    if (!isBinderyError(error, 'bad-format')) throw error
    context.say(`${output.state}: ${error.message}; everything is read anew`)
    return new Map()
  }
}

const maxFile = 1 << 30

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return await collectBytes(await openInput(file, oneChunk(new Uint8Array(0))), maxFile)
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

export async function writeState(
  output: IndexOutput,
  place: string,
  packages: readonly KnownPackage[],
  former: ReadonlyMap<string, KnownPackage>,
): Promise<void> {
  if (output.kind === 'stdout') return
  // The very values that were read: nothing was read anew, and nothing went.
  if (packages.length === former.size && packages.every((known) => former.get(known.file) === known)) return
  await writeFileAtomically(output.state, oneChunk(encodeIndexState(place, packages)))
}

/** `all`: what the signed index says of each package. */
export async function writeIndex(
  context: Context,
  { file, sealed }: IndexOutput & { readonly kind: 'file' },
  index: MirrorIndex,
  all: () => Promise<readonly IndexedPackage[]>,
): Promise<void> {
  await writeGzipIfNew(file, encodePkgupIndex(index))
  if (sealed !== undefined) await writeSealed(context, sealed, index.quirksDate, await all())
}

/** Compressed. A file that says the same keeps its time: clients ask whether it is newer. */
export async function writeGzipIfNew(file: string, text: Uint8Array): Promise<void> {
  const former = await readIfThere(file)
  if (former !== undefined && (await saysTheSame(former, text))) return
  await writeFileAtomically(file, compress(oneChunk(text), 'gzip'))
}

async function saysTheSame(gzip: Uint8Array, text: Uint8Array): Promise<boolean> {
  try {
    const former = await collectBytes(decompress(oneChunk(gzip), text.length), text.length)
    return former !== undefined && equalBytes(former, text)
  } catch (error) {
    if (isBinderyError(error)) return false
    throw error
  }
}

/** Signed anew where it says something else, or half of its time has passed. */
async function writeSealed(context: Context, sealed: Sealing, quirksDate: string, packages: readonly IndexedPackage[]): Promise<void> {
  const made = Math.floor(context.clock.now() / 1000)
  const index = { quirksDate, packages, made, expires: made + sealed.lifetime }
  const former = await readIfThere(sealed.file)
  if (former !== undefined && (await isGoodStill(former, index, sealed))) return
  await writeFileAtomically(sealed.file, oneChunk(await sealedIndex(index, sealed)))
}

async function isGoodStill(file: Uint8Array, index: BinderyIndex, { signer, lifetime }: Sealing): Promise<boolean> {
  try {
    const former = await openSealedIndex(file, signer)
    const isSame = equalBytes(encodeBinderyIndex(former), encodeBinderyIndex({ ...index, made: former.made, expires: former.expires }))
    return isSame && former.expires - index.made > lifetime / 2 && former.made <= index.made
  } catch (error) {
    if (isBinderyError(error)) return false
    throw error
  }
}

/** On stdout: as genpkgup prints it, or one object for each of `packages`. */
export async function printIndex(context: Context, index: MirrorIndex, packages: readonly IndexedPackage[] | undefined): Promise<void> {
  if (packages === undefined) return await context.out(encodePkgupIndex(index))
  await context.out(packages.map((one) => `${encodePackageRecord(one)}\n`).join(''))
}
