import { BinderyError } from '../../base/error.ts'
import { readVarint } from '../../format/varint.ts'
import type { Cursor } from '../../format/varint.ts'

/** How the bytes of a section are coded, by number in the format. */
export const codings = { plain: 0 } as const

/**
 * A batch may be divided into sections, each a coding and how many new bytes it makes; without them it is plain all
 * through. Others than plain are refused: this reader knows none yet.
 */
export function refuseOtherCodings(sections: Cursor, newSize: number): void {
  if (sections.bytes.length === 0) return
  let sum = 0
  while (sections.at < sections.bytes.length) {
    const coding = readVarint(sections)
    const size = readVarint(sections)
    if (coding !== codings.plain)
      throw new BinderyError('bad-format', `the delta has a coding unknown here (${coding})`, { hint: 'it may need a newer bindery' })
    if (size === 0) throw new BinderyError('bad-format', 'a section of the delta makes nothing')
    sum += size
  }
  if (sum !== newSize) throw new BinderyError('bad-format', 'the sections of a batch of the delta do not add up')
}
