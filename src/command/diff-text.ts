import { showPath } from '../base/path.ts'
import { bytesJson, entryJson } from './entry-json.ts'
import type { Entry } from '../base/entry.ts'
import type { Aspect, Difference } from '../engine/tree/diff.ts'

/** The two ways (beside a packing list) in which `bindery diff` writes a difference. */

/** `+ path`, `- path`, `M path  mode 0644 -> 0755, content`. */
export function readableLine(difference: Difference): string {
  const { path, kind } = difference
  const shown = showPath(path)
  if (kind === 'added') return `+ ${shown}\n`
  if (kind === 'removed') return `- ${shown}\n`
  const changes = difference.aspects.map((aspect) => change(aspect, difference.old as Entry, difference.new as Entry))
  return `M ${shown}  ${changes.join(', ')}\n`
}

export function change(aspect: Aspect, old: Entry, next: Entry): string {
  const before = detail(aspect, old)
  const after = detail(aspect, next)
  return before === after ? aspect : `${aspect} ${before} -> ${after}`
}

function detail(aspect: Aspect, entry: Entry): string {
  switch (aspect) {
    case 'kind':
      return entry.kind
    case 'content':
      return entry.kind === 'file' ? `${entry.size} bytes` : ''
    case 'target':
      return entry.kind === 'symlink' ? showPath(entry.target) : ''
    case 'device':
      return entry.kind === 'char' || entry.kind === 'block' ? `${entry.major},${entry.minor}` : ''
    case 'links':
      return entry.kind === 'hardlink' ? showPath(entry.leader) : 'none'
    case 'mode':
      return `0${entry.mode.toString(8).padStart(3, '0')}`
    case 'owner':
      return `${entry.uid}:${entry.gid}`
    case 'mtime':
      return ''
    case 'flags':
      return entry.flags?.join(',') ?? 'none'
    case 'xattrs':
      return ''
  }
}

export function jsonLine({ path, kind, aspects, old, new: next }: Difference): string {
  const sides = { ...(old === undefined ? {} : { old: entryJson(old) }), ...(next === undefined ? {} : { new: entryJson(next) }) }
  return `${JSON.stringify({ ...bytesJson('path', path), change: kind, aspects, ...sides })}\n`
}
