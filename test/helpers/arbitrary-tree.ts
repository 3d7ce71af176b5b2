import fc from 'fast-check'
import { oneChunk, utf8 } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { dir, fifo, file, hardlink, symlink } from './plant.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { Literal, Plant } from './plant.ts'

/** Small random trees over few names, so that two of them have much to do with each other. */

const paths = ['a', 'a/x', 'a/x/m', 'a/x/n', 'a/y', 'b', 'b/x', 'b/y', 'b/y/m', 'c', 'lib', 'lib/libc.so.1', 'lib/libz.so'] as const

const mtime = fc.record({ sec: fc.constantFrom(1_600_000_000, 1_650_000_000), nsec: fc.constantFrom(0, 1) })
const mode = fc.constantFrom(0o644, 0o755, 0o4755)
const content = fc.constantFrom('', 'one', 'two', 'three')

type Choice = Plant | 'link' | undefined

const choice: fc.Arbitrary<Choice> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(content, mode, mtime).map(([text, bits, time]) => file(text, { mode: bits, mtime: time })) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom(0o755, 0o700), mtime).map(([bits, time]) => dir({ mode: bits, mtime: time })) },
  { weight: 1, arbitrary: fc.constantFrom('x', '../c').map((target) => symlink(target)) },
  { weight: 1, arbitrary: fc.constant(fifo()) },
  { weight: 2, arbitrary: fc.constant('link' as const) },
  { weight: 3, arbitrary: fc.constant(undefined) },
)

export type TreeOptions = { readonly hardlinks: boolean; readonly fixed?: Literal }

/** Every tree that these choices make sense in: a name below no folder is left out, a link names an earlier file. */
export function arbitraryTree({ hardlinks, fixed = {} }: TreeOptions): fc.Arbitrary<Literal> {
  return fc.tuple(...paths.map(() => choice)).map((choices) => {
    const tree: Record<string, Plant | string> = {}
    for (const [i, path] of paths.entries()) {
      const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : undefined
      const plant = fixed[path] ?? resolve(choices[i], hardlinks ? Object.keys(tree).find((name) => isFile(tree[name])) : undefined)
      if (plant === undefined || (parent !== undefined && !isFolder(tree[parent]))) continue
      tree[path] = plant
    }
    return tree
  })
}

function resolve(choice: Choice, leader: string | undefined): Plant | undefined {
  if (choice !== 'link') return choice
  return leader === undefined ? undefined : hardlink(leader)
}

function isFile(plant: Plant | string | undefined): boolean {
  return typeof plant === 'object' && plant.kind === 'file'
}

function isFolder(plant: Plant | string | undefined): boolean {
  return typeof plant === 'object' && plant.kind === 'dir'
}

/** The same with names that have no room for anything more; `lengthen` is for its paths and edits. */
export function lengthened(tree: Literal): Literal {
  return Object.fromEntries(
    Object.entries(tree).map(([path, plant]) => [
      lengthen(path),
      typeof plant === 'object' && plant.kind === 'hardlink' ? hardlink(lengthen(plant.leader)) : plant,
    ]),
  )
}

export function lengthen(path: string): string {
  return path
    .split('/')
    .map((name) => name.padEnd(255, '-'))
    .join('/')
}

/** What a user may do to a tree. */
export type Edit = { readonly path: string; readonly what: 'write' | 'append' | 'chmod' | 'remove' | 'link' | 'touch' }

export const arbitraryEdits: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.record({
    path: fc.constantFrom(...paths, 'own', 'a/own', 'b/y/own'),
    what: fc.constantFrom('write', 'append', 'chmod', 'remove', 'link', 'touch'),
  }),
  { maxLength: 4 },
)

/** What makes no sense where it is told to happen does not happen. */
export async function applyEdit(disk: Disk, { path, what }: Edit): Promise<void> {
  const at = path as RelPath
  try {
    const stat = await disk.lstat(at)
    if (what === 'remove') await (stat?.kind === 'dir' ? disk.rmdir(at) : disk.unlink(at))
    else if (what === 'chmod') await disk.chmod(at, 0o711)
    else if (what === 'touch') await disk.setTimes([{ path: at, mtime: { sec: 1_690_000_000, nsec: 7 } }])
    else if (what === 'append' && stat?.kind === 'file') await disk.append(at, oneChunk(utf8(`user ${path}`)))
    else if (what === 'link' && stat?.kind === 'file') await disk.link(`${path}.backup` as RelPath, at)
    else if (what === 'write') {
      if (stat !== undefined && stat.kind !== 'dir') await disk.unlink(at)
      await disk.create(at, oneChunk(utf8(`user ${path}`)))
    }
  } catch (error) {
    if (!isBinderyError(error)) throw error
  }
}
