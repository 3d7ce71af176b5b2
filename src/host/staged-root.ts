import { lstatSync, readlinkSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { absolutePath } from './system-error.ts'

/** A root that is a link to one of the trees beside it (doc/spec/staged.md). */
export type StagedRoot = {
  /** Absolute path of the link. */
  readonly link: string
  /** Of the tree that it led to when the run began. */
  readonly tree: string
}

/** Undefined for any other root; `not-found` where the current directory was removed. What is behind the link is looked at once: a run sees one tree from its beginning to its end. */
export function stagedRootOf(root: string): StagedRoot | undefined {
  const link = absolutePath(root)
  const number = numberBehind(link)
  if (number === undefined) return undefined
  const tree = join(`${link}.trees`, number)
  return statSync(tree, { throwIfNoEntry: false })?.isDirectory() === true ? { link, tree } : undefined
}

function numberBehind(link: string): string | undefined {
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined
  const target = readlinkSync(link)
  const number = basename(target)
  return dirname(target) === `${basename(link)}.trees` && /^[1-9][0-9]{0,14}$/.test(number) ? number : undefined
}
