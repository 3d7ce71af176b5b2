import { equalBytes } from '../../../base/bytes.ts'
import { readElf } from '../../../format/elf.ts'

/** Where a digest of the rest of the file stands. */
export type Identifier = { readonly offset: number; readonly length: number }

/** A build id is the digest of a file (ld, `--build-id`); a debug link ends in the CRC of the file that holds the symbols (gdb, "Separate Debug Files"). */
const [buildId, debugLink] = ['.note.gnu.build-id', '.gnu_debuglink']
/** Sizes of the name and the description, type 3 and the name `GNU`. */
const noteHeader = 16
const [leastId, mostId] = [8, 64]
const crcSize = 4

/** Those that two builds of one file have at the same place. */
export function identifiersOf(a: Uint8Array, b: Uint8Array): readonly Identifier[] {
  const second = identifiersIn(b)
  return identifiersIn(a).filter((one) => second.some((other) => other.offset === one.offset && other.length === one.length))
}

function identifiersIn(bytes: Uint8Array): readonly Identifier[] {
  return (readElf(bytes)?.sections ?? []).flatMap(({ name, offset, size }) => {
    if (name === buildId) return idOf(bytes.subarray(offset, offset + size), offset)
    return name === debugLink && size > crcSize ? [{ offset: offset + size - crcSize, length: crcSize }] : []
  })
}

function idOf(note: Uint8Array, offset: number): readonly Identifier[] {
  if (note.length < noteHeader) return []
  const length = new DataView(note.buffer, note.byteOffset, note.length).getUint32(4, true)
  const head = new Uint8Array([4, 0, 0, 0, length, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0])
  const isOne =
    length >= leastId && length <= mostId && length <= note.length - noteHeader && equalBytes(note.subarray(0, noteHeader), head)
  return isOne ? [{ offset: offset + noteHeader, length }] : []
}
