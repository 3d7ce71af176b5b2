import { statSync } from 'node:fs'
import { BinderyError, unreachable } from '../base/error.ts'
import { openDestdir } from './sandbox-destdir.ts'
import { openOverlay } from './sandbox-overlay.ts'
import { openSnapshot } from './sandbox-snapshot.ts'
import { absolutePath, systemError } from './system-error.ts'
import type { SandboxKind, Sandboxes } from '../port/sandbox.ts'

export const hostSandboxes: Sandboxes = {
  open: async (kind, root, options) => {
    const tree = absolutePath(root)
    refuseOthers(tree)
    switch (kind) {
      case 'overlay':
        requireRoot(kind)
        return await openOverlay(tree, options)
      case 'snapshot':
        requireRoot(kind)
        return await openSnapshot(tree)
      case 'destdir':
        return await openDestdir(tree, options)
      default:
        return unreachable(kind)
    }
  },
}

function refuseOthers(root: string): void {
  try {
    if (statSync(root).isDirectory()) return
  } catch (error) {
    throw systemError(error, root)
  }
  throw new BinderyError('wrong-type', 'is no directory', { subject: root })
}

function requireRoot(kind: SandboxKind): void {
  if (process.geteuid?.() === 0) return
  throw new BinderyError('permission', `only root can make a sandbox of the kind ${kind}`, {
    hint: 'run it as root, or choose the sandbox destdir',
  })
}
