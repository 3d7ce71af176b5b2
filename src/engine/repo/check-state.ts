import { parseSha256, sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeLines, encodeLines } from '../../format/lines.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { TimestampAnswer } from './update-roles.ts'
import type { TrustStore } from './trust-types.ts'

/**
 * The file `checked` beside the stored metadata: what makes the next check cheap. Nothing in it is trusted with more
 * than that: it is no metadata, and losing it costs one full refresh.
 */
export type CheckState = {
  /** When a new root was last looked for, in milliseconds. */
  readonly rootChecked: number
  /** The source's name for a state of timestamp.json, and the digest of that state. */
  readonly etag?: { readonly value: string; readonly of: Sha256 }
}

const file = 'checked'
const format = { firstLine: 'bindery-checked 1', maxBytes: 16_384, maxLines: 3 }
const maxEtagChars = 2048
/** How long news of a root may be missed by one who can forge `not modified`, or rather by us (doc/decisions/0042). */
const rootCheckInterval = 24 * 3600 * 1000

export function isRootCheckRecent({ rootChecked }: CheckState, now: number): boolean {
  return rootChecked <= now && now - rootChecked < rootCheckInterval
}

export async function loadCheckState(store: TrustStore): Promise<CheckState> {
  const bytes = await store.load(file)
  try {
    return bytes === undefined ? { rootChecked: 0 } : decode(bytes)
  } catch (error) {
    if (error instanceof BinderyError) return { rootChecked: 0 }
    throw error
  }
}

/** Writes only what has changed: a check that finds nothing new must not wear flash. */
export async function saveCheckState(store: TrustStore, old: CheckState, rootChecked: number, answer: TimestampAnswer): Promise<void> {
  const etag = answer.etag === undefined || !isEtag(answer.etag) ? undefined : { value: answer.etag, of: sha256(answer.bytes) }
  if (old.rootChecked === rootChecked && old.etag?.value === etag?.value && old.etag?.of === etag?.of) return
  await store.save(file, encode({ rootChecked, ...(etag === undefined ? {} : { etag }) }))
}

/** One char per byte; a source may put more into it than the header that it comes from. */
function isEtag(text: string): boolean {
  return text.length > 0 && text.length <= maxEtagChars && /^[\u0000-\u00ff]*$/.test(text)
}

function encode({ rootChecked, etag }: CheckState): Uint8Array {
  const lines = [{ key: 'root-checked', value: String(Math.floor(rootChecked / 1000)) }]
  if (etag !== undefined) lines.push({ key: 'timestamp', value: etag.of }, { key: 'etag', value: etag.value })
  return encodeLines(format, lines)
}

function decode(bytes: Uint8Array): CheckState {
  const lines = new Map(decodeLines(format, bytes).map(({ key, value }) => [key, value]))
  const seconds = lines.get('root-checked') ?? ''
  const of = parseSha256(lines.get('timestamp') ?? '')
  const value = lines.get('etag')
  const rootChecked = /^[0-9]{1,12}$/.test(seconds) ? Number(seconds) * 1000 : 0
  return { rootChecked, ...(of === undefined || value === undefined || !isEtag(value) ? {} : { etag: { value, of } }) }
}
