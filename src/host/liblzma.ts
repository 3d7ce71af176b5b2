import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { concatBytes } from '../base/bytes.ts'
import type { Xz, XzOptions } from '../port/xz.ts'

/**
 * liblzma as WebAssembly (npm: node-liblzma, of which nothing but the compiled library and its loader are used). Undefined where the
 * package is not installed.
 */
export async function loadLiblzma(): Promise<Xz | undefined> {
  const library = await (loading ??= start())
  return (
    library && {
      compress: (content, options) => compress(library, content, options),
      decompress: (bytes, limit) => decompress(library, bytes, limit),
    }
  )
}

/** Of the library's functions those that are called: struct lzma_stream, as wasm32 lays it out, is all that they share with us. */
type Library = {
  readonly HEAPU8: Uint8Array
  _malloc(size: number): number
  _free(pointer: number): void
  _lzma_easy_encoder(stream: number, preset: number, check: number): number
  _lzma_auto_decoder(stream: number, memory: bigint, flags: number): number
  _lzma_code(stream: number, action: number): number
  _lzma_end(stream: number): void
}

let loading: Promise<Library | undefined> | undefined

async function start(): Promise<Library | undefined> {
  try {
    const wasm = createRequire(import.meta.url).resolve('node-liblzma/wasm/liblzma.wasm')
    const { default: create } = await import('node-liblzma/wasm/liblzma.js')
    return (await create({ wasmBinary: await readFile(wasm) })) as Library
  } catch (error) {
    if (error instanceof Error && 'code' in error && /MODULE_NOT_FOUND|ENOENT/.test(String(error.code))) return undefined
    throw error
  }
}

const streamSize = 96
const field = { nextIn: 0, sizeIn: 4, nextOut: 16, sizeOut: 20 } as const
const action = { run: 0, finish: 3 } as const
const result = { ok: 0, end: 1 } as const
const extreme = 2 ** 31
const bufferSize = 256 << 10
/** Of a decoder: the largest preset's dictionary, and a little. */
const decoderMemory = 70n << 20n

function compress(library: Library, content: Uint8Array, { preset, isExtreme, check }: XzOptions): Uint8Array | undefined {
  return run(library, content, Infinity, (stream) => library._lzma_easy_encoder(stream, preset + (isExtreme ? extreme : 0), check))
}

/** The .xz and the .lzma format, by their first bytes. */
function decompress(library: Library, bytes: Uint8Array, limit: number): Uint8Array | undefined {
  return run(library, bytes, limit, (stream) => library._lzma_auto_decoder(stream, decoderMemory, 0))
}

/** Undefined where the library refuses, the input does not end with the stream, or more than `limit` bytes come out. */
function run(library: Library, input: Uint8Array, limit: number, begin: (stream: number) => number): Uint8Array | undefined {
  const memory = library._malloc(streamSize + 2 * bufferSize)
  if (memory === 0) return undefined
  library.HEAPU8.fill(0, memory, memory + streamSize)
  try {
    if (begin(memory) !== result.ok) return undefined
    return pump(library, memory, input, limit)
  } finally {
    library._lzma_end(memory)
    library._free(memory)
  }
}

function pump(library: Library, stream: number, input: Uint8Array, limit: number): Uint8Array | undefined {
  const [inAt, outAt] = [stream + streamSize, stream + streamSize + bufferSize]
  const parts: Uint8Array[] = []
  let [taken, size] = [0, 0]
  for (;;) {
    const fields = new DataView(library.HEAPU8.buffer, stream, streamSize)
    if (fields.getUint32(field.sizeIn, true) === 0) {
      const part = input.subarray(taken, taken + bufferSize)
      library.HEAPU8.set(part, inAt)
      fields.setUint32(field.nextIn, inAt, true)
      fields.setUint32(field.sizeIn, part.length, true)
      taken += part.length
    }
    fields.setUint32(field.nextOut, outAt, true)
    fields.setUint32(field.sizeOut, bufferSize, true)
    const found = library._lzma_code(stream, taken === input.length ? action.finish : action.run)
    // The memory may have grown, and be another one.
    const after = new DataView(library.HEAPU8.buffer, stream, streamSize)
    const made = bufferSize - after.getUint32(field.sizeOut, true)
    size += made
    if (size > limit) return undefined
    parts.push(library.HEAPU8.slice(outAt, outAt + made))
    if (found === result.end) return taken === input.length && after.getUint32(field.sizeIn, true) === 0 ? concatBytes(parts) : undefined
    if (found !== result.ok) return undefined
  }
}
