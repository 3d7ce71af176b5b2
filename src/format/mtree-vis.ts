/** The spellings of vis(3) that mtree programs write (OpenBSD none, FreeBSD and NetBSD C style, libarchive octal). */

const letters: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', s: ' ', t: '\t', v: '\v', E: '\x1b' }

const escape = /\\(?:([0-7]{1,3})|M-([!-~])|M\^([@-_?])|\^([@-_?])|([abfnrstvE])|([^\w])|)/g

/** Bytes as latin1; undefined for a backslash that means nothing. */
export function unvis(word: string): string | undefined {
  let bad = false
  const text = word.replaceAll(
    escape,
    (_, octal?: string, meta?: string, metaControl?: string, control?: string, letter?: string, self?: string) => {
      if (octal !== undefined) return byte(parseInt(octal, 8))
      if (meta !== undefined) return byte(meta.charCodeAt(0) | 0x80)
      if (metaControl !== undefined) return byte(controlCode(metaControl) | 0x80)
      if (control !== undefined) return byte(controlCode(control))
      if (letter !== undefined) return letters[letter] as string
      if (self === undefined) bad = true
      return self ?? ''
    },
  )
  return bad ? undefined : text
}

function byte(code: number): string {
  return String.fromCharCode(code & 0xff)
}

function controlCode(shown: string): number {
  return shown === '?' ? 0x7f : shown.charCodeAt(0) & 0x1f
}
