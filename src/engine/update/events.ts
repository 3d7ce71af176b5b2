import { diffManifests } from '../tree/diff.ts'
import type { Manifest } from '../../base/entry.ts'
import type { Event } from './rules.ts'

/** What an update does to each path; a new time alone is nothing that a rule could speak of. Folders are none of it. */
export function eventsBetween(old: Manifest, next: Manifest): readonly Event[] {
  return diffManifests(old, next).flatMap((difference): Event[] => {
    const entry = difference.new ?? difference.old
    if (entry?.kind === 'dir') return []
    const onlyTime = difference.aspects.length === 1 && difference.aspects[0] === 'mtime'
    return onlyTime ? [] : [{ path: difference.path, happening: difference.kind }]
  })
}
