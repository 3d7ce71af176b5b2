import { equalBytes, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { formatDistName, parseDistName } from '../base/name.ts'
import { encodePax } from './pax.ts'
import { blockSize, extension } from './tar.ts'
import type { DistName } from '../base/name.ts'

/**
 * A dist's first two blocks: a pax global header whose comment names the dist, which every tar skips in silence.
 */
export const nameHeaderSize: number = 2 * blockSize

const mark = 'bindery dist'
const version = 1

/** What the header says; `order` is the version of the rule that orders the members. */
export type NameHeader = { readonly name: DistName; readonly order: number }

export function encodeNameHeader({ name, order }: NameHeader): Uint8Array {
  const comment = `${mark} ${version} order=${order} ${formatDistName(name)}`
  return extension('g', encodePax(new Map([['comment', comment]])))
}

/** Whether these first bytes of a tar could belong to a dist; at least 1024 of them. */
export function isNameHeader(blocks: Uint8Array): boolean {
  return (
    latin1(blocks.subarray(0, 17)) === 'pax_global_header' &&
    latin1(blocks.subarray(blockSize, nameHeaderSize)).includes(` comment=${mark} `)
  )
}

/** `bad-format` for anything but what `encodeNameHeader` writes. */
export function decodeNameHeader(blocks: Uint8Array): NameHeader {
  if (blocks.length < nameHeaderSize || !isNameHeader(blocks)) {
    throw new BinderyError('bad-format', 'is no dist', { hint: 'bindery cut makes a dist from a tree' })
  }
  const comment = /^[0-9]+ comment=bindery dist ([0-9]+) order=([0-9]+) ([!-~]+)\n/.exec(latin1(blocks.subarray(blockSize, nameHeaderSize)))
  const name = comment === null ? undefined : parseDistName(comment[3] as string)
  if (comment === null || name === undefined) throw new BinderyError('bad-format', 'is no dist: its first header is damaged')
  if (comment[1] !== String(version)) throw newer(`version ${comment[1] as string}`)
  const header = { name, order: Number(comment[2]) }
  if (!equalBytes(encodeNameHeader(header), blocks.subarray(0, nameHeaderSize))) {
    throw new BinderyError('bad-format', 'is no dist: its first header is not in its canonical form')
  }
  return header
}

/** A dist that this bindery cannot read. */
export function newer(what: string): BinderyError {
  return new BinderyError('bad-format', `is a dist of ${what}`, { hint: 'a newer bindery reads it' })
}
