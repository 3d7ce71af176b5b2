import { showPath } from '../base/path.ts'
import { dotted, runWithOperands, toolError } from './disk-tools.ts'
import type { RelPath } from '../base/path.ts'
import type { DiskTools } from './disk-tools.ts'

export type Node = { readonly kind: 'fifo' | 'char' | 'block'; readonly major?: number; readonly minor?: number }

/** FIFOs and devices through mkfifo(1) and mknod(8), of mode 0600; mknod on the BSDs has no option for it. */
export async function makeNode(tools: DiskTools, path: RelPath, node: Node): Promise<void> {
  const program = node.kind === 'fifo' ? 'mkfifo' : 'mknod'
  const numbers = node.kind === 'fifo' ? [] : [node.kind === 'char' ? 'c' : 'b', String(node.major ?? 0), String(node.minor ?? 0)]
  const shell = ['sh', '-c', `umask 077; exec ${program} "$@"`, program]
  const result = await runWithOperands(tools, shell, [dotted(path), ...numbers])
  if (result.status !== 0) throw toolError(program, result, showPath(path))
}
