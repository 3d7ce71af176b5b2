import { createHash } from 'node:crypto'
import { BinderyError } from '../../../base/error.ts'
import { mostDepth } from '../../../format/container-delta.ts'
import { endsAsZip } from '../../../format/zip.ts'
import { openAr, openPbi, openTar, openZip } from './archives.ts'
import { kindOfContainer } from './kind.ts'
import { closedLayout, packedLayout } from './layout.ts'
import { needsXz, openPacked, packMemory, unpack, unpackMemory } from './methods.ts'
import { isSignedGzip } from './signed-gzip.ts'
import type { Method } from '../../../format/container-delta.ts'
import type { Place } from './archives.ts'
import type { Layout } from './layout.ts'
import type { Opened } from './methods.ts'
import type { LoadXz } from '../../../port/xz.ts'
import type { ContainerTools } from './tools.ts'

/** What is to be opened, and how: of the new side recipes are wanted, of the old one contents alone. */
export type Opening = {
  readonly loadXz: LoadXz
  readonly side: 'old' | 'new'
  /** Digests of pieces that stay closed. */
  readonly closed: ReadonlySet<string>
  readonly signal?: AbortSignal | undefined
}

export type OpenedContainer = Layout & {
  /** Digests of the pieces that were met, and of those among them that stay closed. */
  readonly met: ReadonlySet<string>
  readonly kept: ReadonlySet<string>
  readonly pieces: readonly PieceAccount[]
}

/** How a piece was handled. */
export type PieceAccount = {
  /** Of the member that it is; empty for all of the file. */
  readonly path: string
  readonly method: Method
  readonly size: number
  /** Undefined where it stays closed. */
  readonly opened: { readonly contentSize: number; readonly recipeSize: number; readonly by: string } | undefined
  readonly why?: 'unchanged' | 'damaged, or too large' | 'no known compressor makes these bytes'
}

/** What an opening may still take. */
type Job = Opening & {
  left: number
  piecesLeft: number
  readonly met: Set<string>
  readonly kept: Set<string>
  readonly pieces: PieceAccount[]
}

/** Of all contents together, and of one. */
const mostContent = 1 << 30
const mostOfOne = 192 << 20
const mostPieces = 1 << 18
/** A content that is more than so many times its piece says nothing, or means no good. */
const mostRatio = 2048
const alwaysAllowed = 1 << 20
/** What a reader is asked for: closing, and opening, of one piece at the top. */
export const mostMemory: number = 320 << 20

export async function openContainer(bytes: Uint8Array, opening: Opening): Promise<OpenedContainer> {
  const job: Job = { ...opening, left: mostContent, piecesLeft: mostPieces, met: new Set(), kept: new Set(), pieces: [] }
  const layout = await openBytes(job, bytes, { path: '', depth: 0, memory: mostMemory })
  return { ...layout, met: job.met, kept: job.kept, pieces: job.pieces }
}

async function openBytes(job: Job, bytes: Uint8Array, place: Place): Promise<Layout> {
  job.signal?.throwIfAborted()
  const inner = { open: openBytes.bind(undefined, job), piece: openPiece.bind(undefined, job) }
  const kind = place.depth > mostDepth ? 'other' : kindOfContainer(bytes)
  switch (kind) {
    case 'other':
      return (place.depth <= mostDepth && endsAsZip(bytes) ? await openZip(bytes, place, inner) : undefined) ?? closedLayout(bytes)
    case 'tar':
      return await openTar(bytes, place, inner)
    case 'ar':
      return (await openAr(bytes, place, inner)) ?? closedLayout(bytes)
    case 'zip':
      return (await openZip(bytes, place, inner)) ?? closedLayout(bytes)
    case 'gzip':
      return await openPiece(job, isSignedGzip(bytes) ? 'signed gzip' : 'gzip', bytes, place)
    case 'bzip2':
      return (await openPbi(bytes, place, inner)) ?? (await openPiece(job, kind, bytes, place))
    default:
      return await openPiece(job, kind, bytes, place)
  }
}

/** Closed where that is not possible, not allowed or not wanted. */
async function openPiece(job: Job, method: Method, bytes: Uint8Array, place: Place): Promise<Layout> {
  const digest = createHash('sha256').update(bytes).digest('base64')
  job.met.add(digest)
  const closed = (why: Exclude<PieceAccount['why'], undefined>): Layout => {
    job.pieces.push({ path: place.path, method, size: bytes.length, opened: undefined, why })
    job.kept.add(digest)
    return closedLayout(bytes)
  }
  if (job.closed.has(digest)) return closed('unchanged')
  const tools = { xz: needsXz(method) ? await job.loadXz() : undefined }
  const content = place.depth < mostDepth && job.piecesLeft > 0 ? contentOf(job, method, bytes, place.memory, tools) : undefined
  if (content === undefined) return closed('damaged, or too large')
  const opened = job.side === 'old' ? { content, recipe: noRecipe, by: '' } : openNew(method, bytes, content, place.memory, tools)
  if (opened === undefined) return closed('no known compressor makes these bytes')
  job.left -= content.length
  job.piecesLeft--
  const { recipe, by } = opened
  job.pieces.push({
    path: place.path,
    method,
    size: bytes.length,
    opened: { contentSize: content.length, recipeSize: recipe.length, by },
  })
  const memory = place.memory - bytes.length - content.length
  const inner = await openBytes(job, content, { path: place.path, depth: place.depth + 1, memory })
  return packedLayout({ method, size: bytes.length, contentSize: content.length, recipe }, inner)
}

const noRecipe = new Uint8Array(0)

function contentOf(job: Job, method: Method, bytes: Uint8Array, memory: number, tools: ContainerTools): Uint8Array | undefined {
  const byRatio = Math.max(alwaysAllowed, mostRatio * bytes.length)
  const limit = Math.min(job.left, mostOfOne, byRatio, memory - unpackMemory(method, bytes.length, 0))
  return limit <= 0 ? undefined : unpack(method, bytes, { limit }, tools)
}

function openNew(method: Method, bytes: Uint8Array, content: Uint8Array, memory: number, tools: ContainerTools): Opened | undefined {
  try {
    // The recipe of xz tells its need; of the others it does not depend on that.
    if (method !== 'xz' && packMemory(method, content.length, bytes.length, noRecipe) > memory) return undefined
    const opened = openPacked(method, bytes, content, tools)
    return opened && packMemory(method, content.length, bytes.length, opened.recipe) <= memory ? opened : undefined
  } catch (error) {
    // A parser that stumbles costs bytes, not the delta.
    if (error instanceof BinderyError) return undefined
    throw error
  }
}
