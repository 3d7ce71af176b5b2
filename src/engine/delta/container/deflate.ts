import { concatBytes } from '../../../base/bytes.ts'
import { headerBytes, trailerSize } from '../../../format/gzip.ts'
import { crc32 } from 'node:zlib'
import { BinderyError } from '../../../base/error.ts'
import { closeGzip } from '../gzip/close-gzip.ts'
import { openGzip } from '../gzip/open-gzip.ts'
import { decodeRecipe } from '../gzip/recipe.ts'
import { newChains } from '../gzip/predict.ts'
import type { Chains } from '../gzip/predict.ts'
import type { Opened } from './methods.ts'

/** gzip files, and deflate streams without that frame: those of a zip archive are looked at as if they had one. */

export function openGzipFile(bytes: Uint8Array, limit: number): Opened | undefined {
  const opened = openGzip(bytes, limit)
  return opened && { ...opened, by: rulesName(opened.recipe, opened.content.length) }
}

let chains: Chains | undefined

export function closeGzipFile(content: Uint8Array, recipe: Uint8Array, size: number): Uint8Array {
  return closeGzip(content, recipe, size, (chains ??= newChains()))
}

const frame = headerBytes({ flags: 0, time: 0, effort: 0, system: 3, optional: new Uint8Array(0) })

export function openDeflate(bytes: Uint8Array, content: Uint8Array): Opened | undefined {
  const trailer = new Uint8Array(trailerSize)
  const view = new DataView(trailer.buffer)
  view.setUint32(0, crc32(content), true)
  view.setUint32(4, content.length, true)
  const opened = openGzipFile(concatBytes([frame, bytes, trailer]), content.length)
  return opened?.content.length === content.length ? opened : undefined
}

export function closeDeflate(content: Uint8Array, recipe: Uint8Array, size: number): Uint8Array {
  const made = closeGzipFile(content, recipe, frame.length + size + trailerSize)
  if (made.length !== frame.length + size + trailerSize)
    throw new BinderyError('bad-format', 'a piece comes out of another size than the delta says')
  return made.subarray(frame.length, frame.length + size)
}

const families = ['gzip', 'zlib', 'zlib with memLevel 9'] as const

function rulesName(recipe: Uint8Array, size: number): string {
  const { members } = decodeRecipe(recipe, size)
  const names = members.map(({ rules, exceptions, corrections }) => {
    const inexact = exceptions.length + corrections.gaps.length > 0 ? ', corrected' : ''
    return `${families[rules.number >> 4]} -${rules.number & 15}${inexact}`
  })
  return [...new Set(names)].join('; ')
}
