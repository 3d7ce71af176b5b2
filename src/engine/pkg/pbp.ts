import { sha256 } from '../../base/digest.ts'
import { BinderyError, toldOf } from '../../base/error.ts'
import { isWithin, showPath } from '../../base/path.ts'
import { decodeHashList, decodeOldDigest, decodePermissions, decodeRemovals } from '../../format/pbp.ts'
import { applyBsdiff } from '../delta/bsdiff.ts'
import { countMember, payloadOf, sumMember, valueOf } from './pbi.ts'
import { signatureName } from './pbi-signature.ts'
import { plainName } from './pbi-pack.ts'
import { fileNode, nodesOfTar, withParents } from './tree.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { RelPath } from '../../base/path.ts'
import type { Permission } from '../../format/pbp.ts'
import type { LoadXz } from '../../port/xz.ts'
import type { Pbi } from './pbi.ts'
import type { PbiContents } from './pbi-pack.ts'
import type { FileNode, FileTree, TreeNode } from './tree.ts'

/** Applies a PBP to the contents of a PBI: all in memory, so that nothing is half done, and a link in the way leads nowhere. */

export type Patched = PbiContents & {
  /** Files that the patch made, and of which nobody has said what they should be. */
  readonly unpromised: readonly RelPath[]
}

export const pbpNames = {
  removals: 'PBI-rmList',
  newFiles: 'PBI-newFiles.tar',
  permissions: 'PBI-permList',
  /** Of the whole new PBI; in patches that bindery made. */
  hashes: 'PBI-hashList',
} as const
export const patchMembers = { versions: 'pbi_patchfile' as RelPath, oldDate: 'pbi_patchmdate' as RelPath }
const ownHashList = '.pbi-hash-list' as RelPath
/** Of all files that are patched together. */
const mostMade = 1 << 30

export async function applyPbp(old: Omit<PbiContents, 'icon'>, patch: Pbi, loadXz: LoadXz): Promise<Patched> {
  await refuseOther(old.header, patch.header)
  if (patch.sum === 'absent') throw new BinderyError('bad-digest', `the patch has no ${sumMember}`)
  const steps = await stepsOf(await payloadOf(patch, loadXz))
  const tree = new Map(old.payload)
  const made = new Set<RelPath>()
  for (const path of steps.removals) remove(tree, path)
  for (const [path, node] of steps.newFiles) {
    put(tree, path, node)
    if (node.kind === 'file') made.add(path)
  }
  let room = mostMade
  for (const file of steps.files) {
    const node = await patched(tree.get(file.path), file, room)
    room -= node.size
    tree.set(file.path, node)
    made.add(file.path)
  }
  for (const { path, mode } of steps.permissions) setMode(tree, path, mode)
  const payload = withParents(tree)
  const unpromised = await checkPromises(payload, made, steps.hashes)
  return { header: newHeader(patch.header), icon: patch.icon, payload, unpromised }
}

// --- does it belong to this PBI?

async function refuseOther(old: FileTree, patch: FileTree): Promise<void> {
  const from = (await valueOf(patch, patchMembers.versions))?.split(':')
  if (from?.length !== 2) throw new BinderyError('bad-format', 'is no patch: its header has no pbi_patchfile like OLD:NEW')
  const told = { name: await valueOf(old, 'pbi_name'), version: await valueOf(old, 'pbi_version'), arch: await valueOf(old, 'pbi_arch') }
  for (const member of ['pbi_name', 'pbi_arch']) await mustBe(member, await valueOf(old, member), await valueOf(patch, member))
  const full = plainName(`${told.name}-${told.version}-${told.arch}`)
  const wanted = (from[0] as string).replace(/\.pbi$/, '')
  if (wanted !== told.version && plainName(wanted) !== full) await mustBe('pbi_version', told.version, wanted)
  const date = await valueOf(patch, patchMembers.oldDate)
  if (date !== undefined) await mustBe('pbi_mdate', await valueOf(old, 'pbi_mdate'), date)
  const [major, itsMajor] = [await majorOf(old), await majorOf(patch)]
  if (major !== undefined && itsMajor !== undefined) await mustBe('the major number of pbi_fbsdver', major, itsMajor)
}

async function majorOf(header: FileTree): Promise<string | undefined> {
  return /^\d+/.exec((await valueOf(header, 'pbi_fbsdver')) ?? '')?.[0]
}

async function mustBe(what: string, here: string | undefined, wanted: string | undefined): Promise<void> {
  if (here === wanted && here !== undefined) return
  throw new BinderyError('wrong-base', `the patch is for another PBI: ${what} is ${shown(here)}, and it wants ${shown(wanted)}`)
}

function shown(value: string | undefined): string {
  return value === undefined ? 'not told' : `'${showPath(value)}'`
}

// --- what it does

type FilePatch = { readonly path: RelPath; readonly patch: Uint8Array; readonly oldDigest: string }

type Steps = {
  readonly removals: readonly RelPath[]
  readonly newFiles: FileTree
  readonly files: readonly FilePatch[]
  readonly permissions: readonly Permission[]
  readonly hashes: ReadonlyMap<RelPath, Sha256>
}

/** Refuses what nobody knows. */
async function stepsOf(tree: FileTree): Promise<Steps> {
  const list = async (name: string): Promise<Uint8Array> => await contentOf(tree, name)
  const removals = await told(pbpNames.removals, async () => decodeRemovals(await list(pbpNames.removals)))
  const permissions = await told(pbpNames.permissions, async () => decodePermissions(await list(pbpNames.permissions)))
  const hashes = await told(pbpNames.hashes, async () => decodeHashList(await list(pbpNames.hashes)))
  const archive = await list(pbpNames.newFiles)
  const newFiles: FileTree = archive.length === 0 ? new Map() : await nodesOfTar(archive)
  const known: ReadonlySet<string> = new Set(Object.values(pbpNames))
  const files: FilePatch[] = []
  for (const [path, node] of tree) {
    if (known.has(path) || node.kind === 'dir') continue
    if (node.kind === 'file' && path.endsWith('.bsdiff')) files.push(await filePatchOf(tree, path, node))
    else if (!(path.endsWith('.sha256') && tree.has(path.replace(/\.sha256$/, '.bsdiff') as RelPath)))
      throw new BinderyError('not-supported', 'is nothing that belongs into a patch', { subject: showPath(path) })
  }
  return { removals, newFiles, files, permissions, hashes }
}

async function told<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toldOf(error, name)
  }
}

async function contentOf(tree: FileTree, name: string): Promise<Uint8Array> {
  const node = tree.get(name as RelPath)
  return node?.kind === 'file' ? await node.content() : new Uint8Array(0)
}

async function filePatchOf(tree: FileTree, at: RelPath, node: FileNode): Promise<FilePatch> {
  const path = at.replace(/\.bsdiff$/, '') as RelPath
  const oldDigest = decodeOldDigest(await contentOf(tree, `${path}.sha256`))
  if (oldDigest === undefined) throw new BinderyError('bad-format', 'has no digest of the old file beside it', { subject: showPath(at) })
  return { path, patch: await node.content(), oldDigest }
}

/** With all that is below. */
function remove(tree: Map<RelPath, TreeNode>, path: RelPath): void {
  const isFolder = tree.get(path)?.kind === 'dir'
  tree.delete(path)
  if (isFolder) for (const other of tree.keys()) if (isWithin(other, path)) tree.delete(other)
}

/** A folder keeps what is in it. Between folders and other things only a removal changes. */
function put(tree: Map<RelPath, TreeNode>, path: RelPath, node: TreeNode): void {
  const former = tree.get(path)
  if (former !== undefined && (former.kind === 'dir') !== (node.kind === 'dir'))
    throw new BinderyError('wrong-base', `is ${former.kind === 'dir' ? 'a' : 'no'} folder here, unlike in the patch`, {
      subject: showPath(path),
    })
  tree.set(path, node)
}

/** The reader that PC-BSD had goes on with a warning where the old file is another one. */
async function patched(node: TreeNode | undefined, { path, patch, oldDigest }: FilePatch, limit: number): Promise<FileNode> {
  const subject = showPath(path)
  if (node?.kind !== 'file') throw new BinderyError('wrong-base', 'is to be patched, and is no file here', { subject })
  const old = await node.content()
  if (sha256(old) !== oldDigest) throw new BinderyError('wrong-base', 'is not the file that the patch was made for', { subject })
  return await told(subject, async () => fileNode(applyBsdiff(patch, old, limit), node.mode))
}

/** Of this name alone: other names of the same file keep their mode. */
function setMode(tree: Map<RelPath, TreeNode>, path: RelPath, mode: number): void {
  const node = tree.get(path)
  if (node === undefined) throw new BinderyError('wrong-base', 'is to get another mode, and is not here', { subject: showPath(path) })
  if (node.kind !== 'symlink') tree.set(path, { ...node, mode: mode & 0o777 })
}

// --- what comes out

/** That of the new PBI; what was about the patch's own payload goes. */
function newHeader(header: FileTree): FileTree {
  const gone = new Set<RelPath>([...Object.values(patchMembers), sumMember, signatureName(sumMember), countMember])
  return new Map([...header].filter(([name]) => !gone.has(name)))
}

/** By the patch's list, which is about all files, or else by that of the new PBI, which is about some; answers who is in neither. */
async function checkPromises(
  tree: FileTree,
  made: ReadonlySet<RelPath>,
  hashes: ReadonlyMap<RelPath, Sha256>,
): Promise<readonly RelPath[]> {
  for (const [path, digest] of hashes) await mustHold(tree.get(path), path, digest)
  const own = await told(ownHashList, async () => decodeHashList(await contentOf(tree, ownHashList)))
  const unpromised: RelPath[] = []
  for (const path of made) {
    if (!tree.has(path) || hashes.has(path)) continue
    const digest = own.get(path)
    if (digest === undefined) unpromised.push(path)
    else await mustHold(tree.get(path), path, digest)
  }
  return unpromised
}

async function mustHold(node: TreeNode | undefined, path: RelPath, digest: Sha256): Promise<void> {
  if (node?.kind === 'file' && sha256(await node.content()) === digest) return
  throw new BinderyError('bad-digest', 'came out otherwise than the new PBI has it', { subject: showPath(path) })
}
