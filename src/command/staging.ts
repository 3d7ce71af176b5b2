import { installStaged } from './install-staged.ts'
import { listTrees } from './list-trees.ts'
import { isNextWaiting, recoverNext } from './next-root.ts'
import { mendRoot, setMode } from './staged-mode.ts'
import { inOtherTree } from './other-tree.ts'

/** All that verbs ask of staged mode; a bundle that does without has none of it (doc/decisions/0220). */
export const staging = { inOtherTree, installStaged, isNextWaiting, listTrees, mendRoot, recoverNext, setMode }

export type Staging = typeof staging
