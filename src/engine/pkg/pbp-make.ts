import { equalBytes, utf8 } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { showPath } from '../../base/path.ts'
import { encodeHashList, encodeLines, encodePermissions, isPlainPath } from '../../format/pbp.ts'
import { makeBsdiff } from '../delta/bsdiff.ts'
import { countMember, sumMember, valueOf } from './pbi.ts'
import { dateOf } from './pbi-pack.ts'
import { patchMembers, pbpNames } from './pbp.ts'
import { fileNode, tarOfTree, withParents } from './tree.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { RelPath } from '../../base/path.ts'
import type { Permission } from '../../format/pbp.ts'
import type { PbiContents } from './pbi-pack.ts'
import type { FileNode, FileTree, TreeNode } from './tree.ts'

/** What `packPbi` makes a PBP of: the difference of two PBIs, file by file. */
export async function makePbp(old: Omit<PbiContents, 'icon'>, next: PbiContents): Promise<PbiContents> {
  const header = new Map(next.header)
  for (const member of [sumMember, countMember]) header.delete(member)
  header.set(patchMembers.versions, line(`${await versionOf(old.header)}:${await versionOf(next.header)}`))
  const date = await valueOf(old.header, 'pbi_mdate')
  if (date !== undefined) header.set(patchMembers.oldDate, line(date))
  return { header, icon: next.icon, payload: await differences(old.payload, next.payload, await dateOf(next.header)) }
}

function line(text: string): TreeNode {
  return fileNode(utf8(`${text}\n`))
}

export async function versionOf(header: FileTree): Promise<string> {
  const version = await valueOf(header, 'pbi_version')
  if (version !== undefined && !version.includes(':')) return version
  throw new BinderyError('not-supported', 'has no pbi_version that can stand in a patch')
}

async function differences(old: FileTree, next: FileTree, seconds: number): Promise<FileTree> {
  const made = new Map<RelPath, TreeNode>()
  const newFiles = new Map<RelPath, TreeNode>()
  const permissions: Permission[] = []
  for (const [path, node] of next) {
    const former = old.get(path)
    // All symbolic links go along, as PC-BSD's tool has it.
    if (node.kind === 'symlink' || former === undefined || former.kind !== node.kind) newFiles.set(path, node)
    else if (former.mode !== node.mode && !isPlainPath(path)) newFiles.set(path, node)
    else {
      if (former.mode !== node.mode) permissions.push({ path, mode: node.mode })
      if (former.kind === 'file' && node.kind === 'file') await differ({ path, former, node, next }, made, newFiles)
    }
  }
  const removals = [...old].filter(([path, node]) => next.get(path)?.kind !== node.kind).map(([path]) => oneLine(path))
  // What is below a folder goes before it.
  made.set(pbpNames.removals as RelPath, fileNode(encodeLines(removals.reverse())))
  made.set(pbpNames.newFiles as RelPath, fileNode(await tarOfTree(newFiles, seconds)))
  made.set(pbpNames.permissions as RelPath, fileNode(encodePermissions(permissions)))
  made.set(pbpNames.hashes as RelPath, fileNode(encodeHashList(await digestsOf(next))))
  return withParents(made)
}

type Pair = { readonly path: RelPath; readonly former: FileNode; readonly node: FileNode; readonly next: FileTree }

async function differ({ path, former, node, next }: Pair, made: Map<RelPath, TreeNode>, newFiles: Map<RelPath, TreeNode>): Promise<void> {
  const [before, after] = [await former.content(), await node.content()]
  if (equalBytes(before, after)) return
  const names = [`${path}.bsdiff`, `${path}.sha256`] as [RelPath, RelPath]
  const patch = names.some((name) => next.get(name)?.kind === 'dir') ? undefined : makeBsdiff(before, after)
  if (patch === undefined || patch.length >= after.length) {
    newFiles.set(path, node)
    return
  }
  made.set(names[0], fileNode(patch))
  made.set(names[1], line(sha256(before)))
}

async function digestsOf(tree: FileTree): Promise<ReadonlyMap<RelPath, Sha256>> {
  const digests = new Map<RelPath, Sha256>()
  for (const [path, node] of tree) if (node.kind === 'file') digests.set(oneLine(path), sha256(await node.content()))
  return digests
}

function oneLine(path: RelPath): RelPath {
  if (!path.includes('\n')) return path
  throw new BinderyError('not-supported', 'has a line end in its name, for which a patch has no place', { subject: showPath(path) })
}
