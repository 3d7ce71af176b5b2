import { sha256 } from '../../src/base/digest.ts'

/** Where a target's bytes lie in a repository: `base/amd64/FILE` as `blobs/base/amd64/<sha256>.FILE`. */
export function storeKeyOf(target: string, bytes: Uint8Array): string {
  const slash = target.lastIndexOf('/')
  return `blobs/${target.slice(0, slash + 1)}${sha256(bytes)}.${target.slice(slash + 1)}`
}
