import { showPath } from '../base/path.ts'
import { bytesJson } from './entry-json.ts'
import type { RelPath } from '../base/path.ts'
import type { Noise } from '../engine/capture/noise/judge.ts'
import type { Stamps } from '../engine/capture/noise/stamps.ts'

export type NoisyFile = { readonly path: RelPath; readonly noise: Noise }

/** `path  gzip, man`, `path  ar, stamps at bytes 877-894, 8216-8235`, `path  stamps in line 2`. */
export function noiseLine({ path, noise }: NoisyFile): string {
  const stamps = noise.kind === 'stamps' ? [placesOf(noise.stamps)] : []
  return `${showPath(path)}  ${[...noise.formats, ...stamps].join(', ')}\n`
}

export function noiseJson({ path, noise }: NoisyFile): string {
  const stamps = noise.kind === 'stamps' ? { stamps: noise.stamps } : {}
  return `${JSON.stringify({ ...bytesJson('path', path), change: 'noise', formats: noise.formats, ...stamps })}\n`
}

const mostPlaces = 8

function placesOf(stamps: Stamps): string {
  const places =
    stamps.kind === 'text'
      ? stamps.lines.map(({ line }) => String(line))
      : stamps.runs.map(({ offset, length }) => `${offset}-${offset + length - 1}`)
  const shown = places.slice(0, mostPlaces).join(', ')
  const more = places.length > mostPlaces ? ` and ${places.length - mostPlaces} more` : ''
  if (stamps.kind === 'binary') return `stamps at bytes ${shown}${more}`
  return `stamps in ${places.length === 1 ? 'line' : 'lines'} ${shown}${more}`
}
