import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/** A list of ports, one fullpkgpath a line, as SUBDIRLIST of bsd.port.subdir.mk(5) takes it; empty lines and `#` comments are passed over. */

const maxBytes = 16 << 20
/** The name of a folder under another, and flavors and subpackages behind commas: nothing that a shell or a path would take otherwise. */
const pattern = /^[A-Za-z0-9][\w.+@~-]*(?:\/[A-Za-z0-9_][\w.+@~-]*)+(?:,-?[\w.+@~]*)*$/

/** Each line once, in their order. Throws `bad-format` with the number of the line. */
export function decodePortsList(bytes: Uint8Array): readonly string[] {
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const lines = latin1(bytes)
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
  const wrong = lines.findIndex((line) => line !== '' && !isFullPkgpath(line))
  if (wrong >= 0) throw new BinderyError('bad-format', `line ${wrong + 1} is no pkgpath`)
  return [...new Set(lines.filter((line) => line !== ''))]
}

/** Throws `bad-format`. */
export function fullPkgpath(text: string): string {
  if (isFullPkgpath(text)) return text
  throw new BinderyError('bad-format', `'${text.slice(0, 100)}' is no pkgpath`)
}

function isFullPkgpath(text: string): boolean {
  return pattern.test(text) && text.length <= 1024
}
