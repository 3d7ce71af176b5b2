import { enrolledPriority } from '../../../format/conf-value.ts'
import type { Mirror } from '../../../format/conf-value.ts'

/**
 * In which order the addresses of a repository are asked: by the numbers of the configuration, those of `enroll` with
 * theirs, each once. One that has failed in this run is asked last from then on, so that a mirror that hangs costs
 * its time-out once and not for every file.
 */
export type MirrorOrder = {
  of(urls: readonly string[]): readonly string[]
  failed(url: string): void
}

export function mirrorOrder(configured: readonly Mirror[]): MirrorOrder {
  const bad = new Set<string>()
  return {
    of: (urls) => {
      const all = byPriority(configured, urls).map(({ url }) => url)
      return [...all.filter((url) => !bad.has(url)), ...all.filter((url) => bad.has(url))]
    },
    failed: (url) => void bad.add(url),
  }
}

/** What the configuration says of an address holds, also of one that `enroll` was given. */
export function byPriority(configured: readonly Mirror[], enrolled: readonly string[]): readonly Mirror[] {
  const mirrors = new Map<string, Mirror>()
  for (const mirror of [...configured, ...enrolled.map((url) => ({ url, priority: enrolledPriority }))])
    if (!mirrors.has(mirror.url)) mirrors.set(mirror.url, mirror)
  return [...mirrors.values()].sort((a, b) => a.priority - b.priority)
}
