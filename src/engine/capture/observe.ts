import { isWithin, parentPath, rootPath } from '../../base/path.ts'
import { describePaths, isOwnState, scanTree } from '../tree/scan.ts'
import { changedPart } from './changes.ts'
import type { Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Meter } from '../../port/ambient.ts'
import type { DiskReader } from '../../port/disk.ts'
import type { Sandbox } from '../../port/sandbox.ts'
import type { Sides } from './changes.ts'

export type ObserveOptions = {
  /** Left out, with everything below. */
  readonly exclude: readonly RelPath[]
  readonly signal: AbortSignal
  /** For whole trees that are read; advances by bytes. */
  readonly meter: (label: string) => Meter
}

/** Lets `work` run commands in the sandbox, and finds out what they changed. Nothing is taken from time stamps. */
export async function observe(sandbox: Sandbox, work: () => Promise<void>, options: ObserveOptions): Promise<Sides> {
  const within = { ...options, exclude: [...options.exclude, ...sandbox.outside] }
  // Where commands change the tree itself, it cannot be asked afterwards what it was.
  const inPlace = sandbox.before === sandbox.after
  const whole = inPlace ? await scan(sandbox.before, 'reading the tree', within) : undefined
  await work()
  const touched = await sandbox.touched()
  if (touched === undefined) {
    const old = whole ?? (await scan(sandbox.before, 'reading the tree', within))
    return changedPart({ old, new: await scan(sandbox.after, 'looking for changes', within) })
  }
  const paths = withParents(touched.filter((path) => !isOutside(path, within)))
  return changedPart({ old: await part(sandbox.before, paths, options), new: await part(sandbox.after, paths, options) })
}

async function scan(disk: DiskReader, label: string, options: ObserveOptions): Promise<Manifest> {
  const meter = options.meter(label)
  try {
    return await scanTree(disk, { exclude: (path) => isOutside(path, options), meter, signal: options.signal })
  } finally {
    meter.end()
  }
}

function isOutside(path: RelPath, { exclude }: ObserveOptions): boolean {
  return isOwnState(path) || exclude.some((top) => isWithin(path, top))
}

function withParents(paths: readonly RelPath[]): readonly RelPath[] {
  const all = new Set<RelPath>([rootPath])
  for (const path of paths) {
    for (let at = path; !all.has(at); at = parentPath(at)) all.add(at)
  }
  return [...all]
}

async function part(disk: DiskReader, paths: readonly RelPath[], { signal }: ObserveOptions): Promise<Manifest> {
  return { entries: [...(await describePaths(disk, paths, { signal })).values()] }
}
