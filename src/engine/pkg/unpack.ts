import { gunzipSync } from 'node:zlib'
import { latin1 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { bunzip2 } from '../../format/bzip2-decode.ts'
import { isXz } from '../../format/xz.ts'
import type { LoadXz, Xz } from '../../port/xz.ts'

/** What others compressed, by its first bytes. */

export type Codec = 'bzip2' | 'xz' | 'lzma' | 'gzip' | 'none'

export function codecOf(start: Uint8Array): Codec {
  const text = latin1(start.subarray(0, 3))
  if (text === 'BZh') return 'bzip2'
  if (isXz(start)) return 'xz'
  if (text.startsWith('\x1f\x8b')) return 'gzip'
  return text === '\x5d\0\0' ? 'lzma' : 'none'
}

const leastLimit = 16 << 20
const mostContent = 1 << 30
/** What programs and pictures come to is below 20. */
const mostRatio = 200

/** All of it; a bomb is `over-limit` before it is large. */
export async function unpack(bytes: Uint8Array, loadXz: LoadXz): Promise<Uint8Array> {
  const limit = Math.min(mostContent, leastLimit + mostRatio * bytes.length)
  const codec = codecOf(bytes)
  switch (codec) {
    case 'bzip2':
      return bunzip2(bytes, limit)
    case 'gzip':
      return gunzip(bytes, limit)
    case 'xz':
    case 'lzma':
      return await unxz(bytes, limit, codec, loadXz)
    case 'none':
      return bytes
  }
}

function gunzip(bytes: Uint8Array, limit: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit })
  } catch (cause) {
    throw new BinderyError('bad-format', `the gzip data are damaged, or hold more than ${limit} bytes`, { cause })
  }
}

async function unxz(bytes: Uint8Array, limit: number, codec: Codec, loadXz: LoadXz): Promise<Uint8Array> {
  const content = (await neededXz(loadXz)).decompress(bytes, limit)
  if (content === undefined) throw new BinderyError('bad-format', `the ${codec} data are damaged, or hold more than ${limit} bytes`)
  return content
}

export async function neededXz(loadXz: LoadXz): Promise<Xz> {
  const xz = await loadXz()
  if (xz !== undefined) return xz
  throw new BinderyError('not-supported', 'takes xz, which is not installed', { hint: 'install the npm package node-liblzma' })
}
