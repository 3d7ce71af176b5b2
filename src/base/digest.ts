import { createHash } from 'node:crypto'
import type { ByteStream } from './bytes.ts'

/** A sha256 in 64 lower-case hex digits. */
export type Sha256 = string & { readonly __brand: 'Sha256' }

export function sha256(bytes: Uint8Array): Sha256 {
  return createHash('sha256').update(bytes).digest('hex') as Sha256
}

export type Hasher = { update(bytes: Uint8Array): void; digest(): Sha256 }

export function sha256Hasher(): Hasher {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') as Sha256 }
}

/** Undefined unless `text` is 64 hex digits; upper case is folded. */
export function parseSha256(text: string): Sha256 | undefined {
  return /^[0-9a-fA-F]{64}$/.test(text) ? (text.toLowerCase() as Sha256) : undefined
}

/** Size and digest of a whole stream. */
export async function digestStream(stream: ByteStream): Promise<{ readonly size: number; readonly sha256: Sha256 }> {
  const hasher = sha256Hasher()
  let size = 0
  for await (const bytes of stream) {
    hasher.update(bytes)
    size += bytes.length
  }
  return { size, sha256: hasher.digest() }
}
