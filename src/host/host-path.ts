import { rootPath } from '../base/path.ts'
import type { RelPath } from '../base/path.ts'

/** A path as node:fs takes it: bytes where a string could not say them. */
export type HostPath = string | Buffer

export function hostPath(root: string, path: RelPath): HostPath {
  if (path === rootPath) return `${root}/.`
  return /[\u0080-\u00ff]/.test(path) ? Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]) : `${root}/${path}`
}
