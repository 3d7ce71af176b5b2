import { fromLatin1, fromUtf8 } from './bytes.ts'
import { BinderyError } from './error.ts'

/** The text of a file that somebody wrote or sent. Throws `bad-format` where it is no UTF-8. */
export function utf8Text(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new BinderyError('bad-format', 'is no UTF-8 text', { cause })
  }
}

/** The same of a word of a state file, whose texts are one char per byte. */
export function utf8OfLatin1(text: string): string {
  return utf8Text(fromLatin1(text))
}
