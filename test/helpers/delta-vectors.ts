import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** The vectors of doc/spec/delta.md. Used by every supported line of Node: nothing but its built-in modules. */
export type DeltaVector = {
  readonly name: string
  readonly what: string
  readonly delta: Uint8Array
  readonly old: Uint8Array
  /** What comes of it, or the code of the error. */
  readonly result: { readonly kind: 'new'; readonly bytes: Uint8Array } | { readonly kind: 'refused'; readonly code: string }
}

type Line = {
  readonly name: string
  readonly what: string
  readonly delta: string
  readonly old: number
  readonly new?: number
  readonly refused?: string
}

const file = new URL('../vectors/delta.jsonl', import.meta.url)

export function deltaVectors(): readonly DeltaVector[] {
  const lines = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly gzip?: string })
  const sides = lines.flatMap(({ gzip }) => (gzip === undefined ? [] : [new Uint8Array(gunzipSync(Buffer.from(gzip, 'base64')))]))
  const side = (index: number): Uint8Array => {
    const bytes = sides[index]
    assert.ok(bytes)
    return bytes
  }
  return (lines.slice(sides.length) as Line[]).map((line) => ({
    ...line,
    delta: new Uint8Array(Buffer.from(line.delta, 'hex')),
    old: side(line.old),
    result: line.new === undefined ? { kind: 'refused', code: line.refused as string } : { kind: 'new', bytes: side(line.new) },
  }))
}
