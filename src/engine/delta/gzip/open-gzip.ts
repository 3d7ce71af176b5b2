import { crc32 } from 'node:zlib'
import { concatBytes, equalBytes } from '../../../base/bytes.ts'
import { isBinderyError } from '../../../base/error.ts'
import { closeGzip } from './close-gzip.ts'
import { mostMembers, readHeader, trailerSize } from '../../../format/gzip.ts'
import { explain } from './explain.ts'
import { inflateTokens } from './inflate.ts'
import { newChains } from './predict.ts'
import { encodeRecipe } from './recipe.ts'
import { familyCount, rulesOf } from './rules.ts'
import type { Header } from '../../../format/gzip.ts'
import type { Explained, Explanation } from './explain.ts'
import type { Inflated } from './inflate.ts'
import type { Chains } from './predict.ts'
import type { Member } from './recipe.ts'
import type { Rules } from './rules.ts'

/** What a gzip file says besides its content; enough to make the same bytes again. */
export type OpenedGzip = { readonly content: Uint8Array; readonly recipe: Uint8Array }

/** Undefined where the file is no gzip file that can be re-created bit for bit at a gain. `limit`: most bytes of content. */
export function openGzip(bytes: Uint8Array, limit: number): OpenedGzip | undefined {
  try {
    return open(bytes, limit)
  } catch (error) {
    // A content that takes too long to compress is left closed.
    if (isBinderyError(error, 'over-limit')) return undefined
    throw error
  }
}

function open(bytes: Uint8Array, limit: number): OpenedGzip | undefined {
  const chains = newChains()
  const contents: Uint8Array[] = []
  const members: Member[] = []
  let at = 0
  let left = limit
  // Those of a file are alike.
  let expected = bytes.length
  for (;;) {
    const opened = openMember(bytes, { at, limit: left, expected }, chains)
    if (opened === 'none') break
    if (opened === 'costly' || members.length === mostMembers) return undefined
    contents.push(opened.content)
    members.push(opened.member)
    left -= opened.content.length
    expected = 2 * (opened.next - at)
    at = opened.next
  }
  if (members.length === 0) return undefined
  const recipe = encodeRecipe({ members, tail: bytes.subarray(at) })
  const content = concatBytes(contents)
  const pays = recipe.length < bytes.length && recipe.length - textOf(members) <= mostCost(bytes.length)
  return pays && equalBytes(closeGzip(content, recipe, bytes.length), bytes) ? { content, recipe } : undefined
}

/** A recipe may take a quarter of the file, and a little for small ones. */
function mostCost(size: number): number {
  return 24 + size / 4
}

function textOf(members: readonly Member[]): number {
  return members.reduce((size, { header }) => size + header.optional.length, 0)
}

type Opened = { readonly content: Uint8Array; readonly member: Member; readonly next: number }

type Place = { readonly at: number; readonly limit: number; readonly expected: number }

/** None where no whole member begins at `at`: what is there is kept as it is. */
function openMember(bytes: Uint8Array, { at, limit, expected }: Place, chains: Chains): Opened | 'none' | 'costly' {
  const header = readHeader(bytes, at)
  const inflated = header && inflateTokens(bytes, at + 10 + header.optional.length, limit, expected)
  if (!header || !inflated || bytes.length - inflated.next < trailerSize) return 'none'
  const next = inflated.next + trailerSize
  const explanation = bestExplanation({ bytes, inflated, chains }, header, mostCost(next - at))
  if (explanation === undefined) return 'costly'
  const content = contentOf(inflated)
  const { rules, exceptions, ...corrections } = explanation
  const trailer = bytes.subarray(inflated.next, next)
  const usual = equalBytes(trailer, usualTrailer(content))
  return { content, next, member: { header, rules, size: content.length, trailer: usual ? undefined : trailer, exceptions, corrections } }
}

/** A copy where more memory would be kept than it takes. */
function contentOf({ padded, size }: Inflated): Uint8Array {
  return padded.buffer.byteLength > 2 * padded.length ? padded.slice(0, size) : padded.subarray(0, size)
}

function usualTrailer(content: Uint8Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(trailerSize))
  view.setUint32(0, crc32(content), true)
  view.setUint32(4, content.length, true)
  return new Uint8Array(view.buffer)
}

/** How much of the content is looked at before other rules are tried. */
const trialSize = 1 << 15
/** How much is gone through, in all, to find better rules than those that hold nearly. */
const mostSearched = 1 << 23

/** The first rules that explain everything; or else those that need least, as far as that is looked for. */
function bestExplanation(subject: Explained, header: Header, most: number): Explanation | undefined {
  const { size } = subject.inflated
  let best: Explanation | undefined
  let promising: Explanation | undefined
  let searched = 0
  for (const rules of likelyRules(header, subject.inflated)) {
    const trial = explain(subject, rules, promising?.cost ?? most, trialSize)
    if (trial === undefined) continue
    if (promising === undefined || trial.cost < promising.cost) promising = trial
    if (size > trialSize && (trial.cost > 0 || searched > mostSearched)) continue
    const whole = size > trialSize ? explain(subject, rules, best?.cost ?? most) : trial
    if (whole && (best === undefined || whole.cost < best.cost)) best = whole
    if (best?.cost === 0) break
    searched += size
  }
  return best ?? (promising && explain(subject, promising.rules, most))
}

/** All that there are, those first that what the header says and the size of the first block make likely. */
function likelyRules({ effort }: Header, { blocks }: Inflated): readonly Rules[] {
  const levels = effort === 2 ? [9, 8, 7, 6, 5, 4, 3, 2, 1] : effort === 4 ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : [6, 9, 5, 7, 8, 4, 3, 2, 1]
  const families = Array.from({ length: familyCount }, (_, family) => family)
  if (blocks[0]?.tokens === 16383) families.sort((a, b) => Number(b === 1) - Number(a === 1))
  return levels.flatMap((level) => families.map((family) => rulesOf(16 * family + level))).filter((rules) => rules !== undefined)
}
