import { latin1 } from '../../../base/bytes.ts'
import type { ByteStream } from '../../../base/bytes.ts'

/** The lines of a large text that hold `word`, without their ends; no other line becomes text. */
export async function* linesWith(word: string, text: ByteStream): AsyncIterable<string> {
  let begun = ''
  for await (const bytes of text) {
    const part = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const [first, last] = [part.indexOf(10), part.lastIndexOf(10)]
    if (first < 0) {
      begun += latin1(part)
      continue
    }
    const line = begun + latin1(part.subarray(0, first))
    if (line.includes(word)) yield line
    yield* linesIn(part.subarray(first + 1, last + 1), word)
    begun = latin1(part.subarray(last + 1))
  }
  if (begun.includes(word)) yield begun
}

/** Of whole lines. */
function* linesIn(lines: Buffer, word: string): Iterable<string> {
  for (let at = lines.indexOf(word), end = 0; at >= 0; at = lines.indexOf(word, end)) {
    const start = lines.lastIndexOf(10, at) + 1
    end = lines.indexOf(10, at)
    yield latin1(lines.subarray(start, end))
  }
}
