/**
 * In which order the addresses of a repository are asked: the configuration's mirrors first, then the URLs of
 * `enroll`, each once. One that has failed in this run is asked last from then on, so that a mirror that hangs costs
 * its time-out once and not for every file.
 */
export type MirrorOrder = {
  of(urls: readonly string[]): readonly string[]
  failed(url: string): void
}

export function mirrorOrder(configured: readonly string[]): MirrorOrder {
  const bad = new Set<string>()
  return {
    of: (urls) => {
      const all = [...new Set([...configured, ...urls])]
      return [...all.filter((url) => !bad.has(url)), ...all.filter((url) => bad.has(url))]
    },
    failed: (url) => void bad.add(url),
  }
}
