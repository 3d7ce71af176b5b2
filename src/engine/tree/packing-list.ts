import type { Difference } from './diff.ts'

/**
 * A packing list: what a binary patch must carry, and `@remove PATH` for what it must take away, in latin1. A time stamp
 * alone is no reason to ship something. Directories end in `/`, as in package packing lists.
 */
export function packingList(differences: readonly Difference[]): string {
  return differences.map(packingLine).join('')
}

function packingLine({ path, kind, aspects, new: next }: Difference): string {
  if (kind === 'removed') return `@remove ${packingName(path)}\n`
  if (kind === 'changed' && aspects.every((aspect) => aspect === 'mtime')) return ''
  const name = packingName(path)
  return `${name.startsWith('@') ? `\\100${name.slice(1)}` : name}${next?.kind === 'dir' ? '/' : ''}\n`
}

/** Control bytes and backslashes as `\ooo`, which `tar -T` of GNU reads; every other byte as it is. */
function packingName(path: string): string {
  return path.replaceAll(/[\u0000-\u001f\u007f\\]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`)
}
