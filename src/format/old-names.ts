import { BinderyError } from '../base/error.ts'
import { parseRelPath, rootPath } from '../base/path.ts'
import { decodeNode, encodeNode } from './journal-node.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { RelPath } from '../base/path.ts'
import type { Node } from './journal-node.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `old-names` (doc/spec/client-state.md): what bindery keeps of earlier releases under second names. */
export const maxOldNamesBytes = 64 << 20
const format: LinesFormat = { firstLine: 'bindery-old-names 1', maxBytes: maxOldNamesBytes, maxLines: 400_000 }

/** In byte order of their paths. */
export function encodeOldNames(nodes: readonly Node[]): Uint8Array {
  return encodeLines(
    format,
    nodes.flatMap((node) => [
      { key: 'path', value: node.path },
      { key: 'node', value: encodeNode(node) },
    ]),
  )
}

/** Throws `bad-format`, `over-limit`, `not-supported`, or `hostile` for a path that leads elsewhere. */
export function decodeOldNames(bytes: Uint8Array): readonly Node[] {
  const lines = decodeLines(format, bytes)
  const nodes: Node[] = []
  for (let i = 0; i < lines.length; i += 2) nodes.push(decodePair(lines[i], lines[i + 1], nodes.at(-1)?.path))
  return nodes
}

function decodePair(path: StateLine | undefined, node: StateLine | undefined, before: RelPath | undefined): Node {
  if (path?.key !== 'path' || node?.key !== 'node')
    throw new BinderyError('bad-format', 'a path and what it is do not follow on each other')
  const parsed = parseRelPath(path.value)
  if (parsed === undefined || parsed === rootPath) throw new BinderyError('hostile', 'a path leads elsewhere')
  if (before !== undefined && before >= parsed) throw new BinderyError('bad-format', 'the paths are not in byte order')
  return decodeNode(node.value, parsed)
}
