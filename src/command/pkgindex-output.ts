import { basename, dirname, join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, equalBytes, oneChunk } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { compress } from '../engine/dist/wire.ts'
import { pkgupIndexOf } from '../engine/pkg/index/mirror-index.ts'
import { openSealedIndex } from '../engine/pkg/index/open-index.ts'
import { sealedIndex } from '../engine/pkg/index/sealed-index.ts'
import { openSigner } from '../engine/repo/keys.ts'
import { encodeBinderyIndex, packageRecord } from '../format/openbsd/bindery-index.ts'
import { decodeIndexState, encodeIndexState } from '../format/openbsd/index-state.ts'
import { encodePkgupIndex } from '../format/openbsd/pkgup-index.ts'
import { openInput, writeFileAtomically } from '../host/source.ts'
import { readKeyFile, signatureComment } from './signed-files.ts'
import { wholeOf } from './whole-number.ts'
import type { MirrorIndex } from '../engine/pkg/index/mirror-index.ts'
import type { BinderyIndex } from '../format/openbsd/bindery-index.ts'
import type { KnownPackage } from '../format/openbsd/index-state.ts'
import type { Signer } from '../engine/repo/keys.ts'
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

/** Answers whether anything was written. */
export async function writeIndex(context: Context, output: IndexOutput & { readonly kind: 'file' }, index: MirrorIndex): Promise<boolean> {
  const written = await writePkgupIndex(output.file, index)
  const { sealed } = output
  if (sealed === undefined) return written
  return (await writeSealed(context, sealed, index)) || written
}

/** obsdpkgup's, compressed; answers whether it is another than before. */
export async function writePkgupIndex(file: string, index: MirrorIndex): Promise<boolean> {
  return await writeIfNew(file, await compressed(encodePkgupIndex(pkgupIndexOf(index))))
}

async function compressed(text: Uint8Array): Promise<Uint8Array> {
  return (await collectBytes(compress(oneChunk(text), 'gzip'), Infinity)) as Uint8Array
}

/** A file that says the same keeps its time: clients ask whether it is newer. */
export async function writeIfNew(file: string, bytes: Uint8Array): Promise<boolean> {
  const former = await readIfThere(file)
  if (former !== undefined && equalBytes(former, bytes)) return false
  await writeFileAtomically(file, oneChunk(bytes))
  return true
}

/** Signed anew where it says something else, or half of its time has passed. */
async function writeSealed(context: Context, sealed: Sealing, { quirksDate, packages }: MirrorIndex): Promise<boolean> {
  const made = Math.floor(context.clock.now() / 1000)
  const index = { quirksDate, packages, made, expires: made + sealed.lifetime }
  const former = await readIfThere(sealed.file)
  if (former !== undefined && (await isGoodStill(former, index, sealed))) return false
  await writeFileAtomically(sealed.file, oneChunk(await sealedIndex(index, sealed)))
  return true
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

/** On stdout: as genpkgup prints it, or one object for each package. */
export async function printIndex(context: Context, index: MirrorIndex, json: boolean): Promise<void> {
  if (!json) return await context.out(encodePkgupIndex(pkgupIndexOf(index)))
  await context.out(index.packages.map((one) => `${JSON.stringify(packageRecord(one))}\n`).join(''))
}
