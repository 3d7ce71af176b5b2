import { inNextRoot } from './next-root.ts'
import { inNewTree } from './staged.ts'
import type { Context } from './command.ts'
import type { StagedWork } from './staged.ts'

/** In a tree beside, which a link is switched to, or in a root that the machine starts next. */
export async function inOtherTree(context: Context, work: StagedWork): Promise<number> {
  return context.staged === undefined ? await inNextRoot(context, work) : await inNewTree(context, work)
}
