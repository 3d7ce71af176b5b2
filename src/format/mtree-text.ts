/** How mtree(5) writes bytes in words: octal `\ooo`, which every reader understands (doc/spec/manifest.md, "Words"). */

const unsafeByte = /[^!-~]|[#\\=]/
const unsafeBytes = /[^!-~]|[#\\=]/g

/** Bytes as latin1 to one word: everything outside `!` to `~`, and `#`, `\` and `=`, becomes `\ooo`. */
export function escapeWord(text: string): string {
  if (!unsafeByte.test(text)) return text
  return text.replaceAll(unsafeBytes, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

/** Undo `escapeWord`; undefined where a backslash is not followed by three octal digits up to 377. */
export function unescapeWord(word: string): string | undefined {
  if (!word.includes('\\')) return word
  let bad = false
  const text = word.replaceAll(/\\([0-3][0-7]{2})?/g, (_, octal: string | undefined) => {
    if (octal === undefined) bad = true
    return octal === undefined ? '' : String.fromCharCode(parseInt(octal, 8))
  })
  return bad ? undefined : text
}
