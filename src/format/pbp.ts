import { fromLatin1, latin1 } from '../base/bytes.ts'
import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath, rootPath, showPath } from '../base/path.ts'
import type { Sha256 } from '../base/digest.ts'
import type { RelPath } from '../base/path.ts'

/** The texts inside a PBP, PC-BSD's patch of a PBI, and in the tree of a PBI (doc/spec/pbi.md). Paths are bytes as latin1. */

/** `PBI-rmList`: a path a line. */
export function decodeRemovals(bytes: Uint8Array): readonly RelPath[] {
  return linesOf(bytes).map(pathOf)
}

export type Permission = { readonly mode: number; readonly path: RelPath }

/** `PBI-permList`: each line looks like a command and is none. */
export function decodePermissions(bytes: Uint8Array): readonly Permission[] {
  return linesOf(bytes).map((line) => {
    const [, mode, path] = /^chmod ([0-7]{3,4}) (.+)$/.exec(line) ?? []
    if (mode === undefined || path === undefined)
      throw new BinderyError('hostile', `a line of the permission list is no 'chmod MODE PATH': '${showPath(line.slice(0, 100))}'`)
    return { mode: Number.parseInt(mode, 8), path: pathOf(path) }
  })
}

/** `FILE.sha256`: the digest of the old file, alone or with its name behind. */
export function decodeOldDigest(bytes: Uint8Array): Sha256 | undefined {
  return parseSha256(latin1(bytes.subarray(0, 65)).split(/\s/)[0] as string)
}

const hashSeparator = ':::'

/** `.pbi-hash-list` in the tree of a PBI, and `PBI-hashList` in a patch of ours: `path:::sha256`. */
export function decodeHashList(bytes: Uint8Array): ReadonlyMap<RelPath, Sha256> {
  return new Map(
    linesOf(bytes).map((line) => {
      const at = line.lastIndexOf(hashSeparator)
      const digest = at < 0 ? undefined : parseSha256(line.slice(at + hashSeparator.length))
      if (digest === undefined) throw new BinderyError('bad-format', `a line of the hash list is no 'path:::sha256'`)
      return [pathOf(line.slice(0, at)), digest] as const
    }),
  )
}

export function encodeHashList(digests: Iterable<readonly [RelPath, Sha256]>): Uint8Array {
  return encodeLines([...digests].map(([path, digest]) => `${path}${hashSeparator}${digest}`))
}

export function encodePermissions(permissions: readonly Permission[]): Uint8Array {
  return encodeLines(permissions.map(({ mode, path }) => `chmod ${mode.toString(8).padStart(4, '0')} ${path}`))
}

/** Whether a path may stand in a list whose lines a shell may read: PC-BSD's reader runs them. */
export function isPlainPath(path: RelPath): boolean {
  return /^[A-Za-z0-9._/+@%,=:][A-Za-z0-9._/+@%,=:-]*$/.test(path)
}

export function encodeLines(lines: readonly string[]): Uint8Array {
  return fromLatin1(lines.map((line) => `${line}\n`).join(''))
}

function linesOf(bytes: Uint8Array): readonly string[] {
  const text = latin1(bytes)
  if (text === '') return []
  if (!text.endsWith('\n')) throw new BinderyError('bad-format', 'a list ends within a line')
  return text.slice(0, -1).split('\n')
}

/** Below the folder of the PBI, `./` before it or not. */
function pathOf(text: string): RelPath {
  const path = parseRelPath(text.replace(/^\.\//, '').replace(/\/$/, ''))
  if (path !== undefined && path !== rootPath) return path
  throw new BinderyError('hostile', `'${showPath(text.slice(0, 200))}' is no path inside the PBI`)
}
