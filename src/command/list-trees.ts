import { readStanding, readTreeState } from '../engine/client/staged/place.ts'
import { releasesIn } from '../engine/client/staged/rules.ts'
import { groundsOf } from './staged.ts'
import type { Tree } from '../engine/client/staged/place.ts'
import type { Context } from './command.ts'

type Shown = {
  readonly tree: Tree
  readonly path: string
  readonly isCurrent: boolean
  readonly made: string
  readonly releases: readonly string[]
}

/** The trees of a staged root, oldest first, each with what is installed in it. */
export async function listTrees(context: Context, json: boolean): Promise<void> {
  const { place, diskOf, pathOf } = groundsOf(context)
  const { others, current } = await readStanding(place, diskOf)
  for (const tree of [...others, current].sort((a, b) => a.number - b.number)) {
    const disk = diskOf(tree.path)
    const state = await readTreeState(disk)
    const made = state === undefined ? '-' : new Date(state.made * 1000).toISOString().replace('.000', '')
    const releases = [...(await releasesIn(disk)).values()]
    const shown = { tree, path: pathOf(tree.path), isCurrent: tree === current, made, releases }
    await context.out(`${(json ? treeJson : treeText)(shown)}\n`)
  }
}

/** `tree 2 2026-02-01T10:00:00Z base-1.1-20260201-amd64 (current)`. */
function treeText({ tree, isCurrent, made, releases }: Shown): string {
  return `tree ${tree.number} ${made} ${releases.join(', ')}${isCurrent ? ' (current)' : ''}`
}

function treeJson({ tree, path, isCurrent, made, releases }: Shown): string {
  return JSON.stringify({ tree: tree.number, current: isCurrent, made, releases, path })
}
