import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1 } from '../src/base/bytes.ts'
import { linesWith } from '../src/engine/pkg/check/lines-with.ts'
import type { ByteStream } from '../src/base/bytes.ts'

async function* pieces(text: string, size: number): ByteStream {
  for (let at = 0; at < text.length; at += size) yield fromLatin1(text.slice(at, at + size))
}

test('lines with a word are found in whatever pieces a text arrives', async () => {
  const text = fc
    .array(fc.constantFrom('word', 'w', 'or', 'd', 'é', '\n', '\r\n', 'wordword'), { maxLength: 40 })
    .map((parts) => parts.join(''))
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 50 }), async (given, size) => {
      const found: string[] = []
      for await (const line of linesWith('word', pieces(given, size))) found.push(line)
      assert.deepEqual(
        found,
        given.split('\n').filter((line) => line.includes('word')),
      )
    }),
  )
})
