import { installStaged } from './install-staged.ts'
import { listTrees } from './list-trees.ts'
import { mendRoot, setMode } from './staged-mode.ts'
import { inNewTree } from './staged.ts'

/** All that verbs ask of staged mode; a bundle that does without has none of it (doc/decisions/0220). */
export const staging = { inNewTree, installStaged, listTrees, mendRoot, setMode }

export type Staging = typeof staging
