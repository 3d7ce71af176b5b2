import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync, lstatSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as tick } from 'node:timers/promises'
import { finish, startBindery } from './stage.ts'

/** How many of the changed paths are old and how many new; a path that is neither ends the demo. */
export type Halves = { readonly old: number; readonly new: number }

/**
 * Starts an install on a copy of `machine` and kills it without warning once some of the changed paths are new and some
 * are not; `early` are those that are likely to be among the first. Where the install was too quick it is tried again,
 * from the same state.
 */
export async function killInstall(work: string, changed: readonly string[], early: readonly string[]): Promise<Halves> {
  execFileSync('cp', ['-a', 'machine', 'machine.before'], { cwd: work })
  const watched = [...early, ...changed.filter((_, i) => i % 20 === 0)]
  for (let attempt = 1; attempt <= 10; attempt++) {
    const child = startBindery(work, ['-C', 'machine', 'install'])
    const ended = finish(child)
    while (child.exitCode === null && !watched.some((path) => isNew(work, path))) await tick()
    child.kill('SIGKILL')
    await ended
    const halves = countHalves(work, changed)
    if (halves.old > 0 && halves.new > 0) {
      rmSync(join(work, 'machine.before'), { recursive: true })
      return halves
    }
    rmSync(join(work, 'machine'), { recursive: true })
    execFileSync('cp', ['-a', 'machine.before', 'machine'], { cwd: work })
  }
  throw new Error('ten installs were never caught in their middle')
}

/** The paths whose content or target differs between the trees, in byte order. */
export function changedPaths(work: string): readonly string[] {
  const paths = new Set(['old', 'new'].flatMap((tree) => readdirSync(join(work, tree), { recursive: true }) as string[]))
  return [...paths].filter((path) => contentOf(work, 'old', path) !== contentOf(work, 'new', path)).sort()
}

function countHalves(work: string, changed: readonly string[]): Halves {
  let fresh = 0
  for (const path of changed) {
    const seen = contentOf(work, 'machine', path)
    if (seen === contentOf(work, 'new', path)) fresh++
    else if (seen !== contentOf(work, 'old', path)) throw new Error(`${path} is neither its old nor its new version after the kill`)
  }
  return { old: changed.length - fresh, new: fresh }
}

function isNew(work: string, path: string): boolean {
  const before = lstatSync(join(work, 'old', path), { throwIfNoEntry: false })
  const now = lstatSync(join(work, 'machine', path), { throwIfNoEntry: false })
  return now?.mtimeMs !== before?.mtimeMs || now?.size !== before?.size
}

function contentOf(work: string, tree: string, path: string): string {
  const file = join(work, tree, path)
  const stat = lstatSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return 'absent'
  if (stat.isSymbolicLink()) return `link ${readlinkSync(file)}`
  return stat.isFile() ? `file ${readFileSync(file, 'latin1')}` : 'directory'
}
