import { sign, verify } from 'node:crypto'
import { BinderyError } from '../../base/error.ts'
import { fileNode } from './tree.ts'
import type { KeyObject } from 'node:crypto'
import type { RelPath } from '../../base/path.ts'
import type { FileNode, FileTree, TreeNode } from './tree.ts'

/**
 * Signatures of a PBI: RSA over the SHA-1 of four members of the header, as `openssl dgst -sha1 -sign` makes them. Whatever else is in
 * the header, its name and version included, nobody has signed.
 */
export const signedMembers: readonly RelPath[] = ['pbi_archivesum', 'pre-install.sh', 'post-install.sh', 'pre-remove.sh'] as RelPath[]

export function signatureName(member: RelPath): RelPath {
  return `${member}.sha1` as RelPath
}

export async function signMembers(header: FileTree, key: KeyObject): Promise<ReadonlyMap<RelPath, TreeNode>> {
  const made = new Map<RelPath, TreeNode>()
  for (const member of signedMembers) {
    const node = header.get(member)
    if (node?.kind === 'file') made.set(signatureName(member), fileNode(new Uint8Array(sign('sha1', await node.content(), key))))
  }
  return made
}

export type SignatureState = { readonly member: RelPath; readonly state: 'good' | 'bad' | 'unchecked' | 'unsigned' }

/** Of those that are there; `unchecked` without a key. */
export async function judgeSignatures(header: FileTree, key: KeyObject | undefined): Promise<readonly SignatureState[]> {
  const found: SignatureState[] = []
  for (const member of signedMembers) {
    const [node, signature] = [header.get(member), header.get(signatureName(member))]
    if (node?.kind === 'file') found.push({ member, state: await judge(node, signature, key) })
  }
  return found
}

async function judge(node: FileNode, signature: TreeNode | undefined, key: KeyObject | undefined): Promise<SignatureState['state']> {
  if (signature?.kind !== 'file') return 'unsigned'
  if (key === undefined) return 'unchecked'
  return verify('sha1', await node.content(), key, await signature.content()) ? 'good' : 'bad'
}

/** Undefined where all is signed by the key. */
export function complaintOf(states: readonly SignatureState[]): BinderyError | undefined {
  const bad = states.find(({ state }) => state !== 'good')
  if (bad !== undefined)
    return new BinderyError(
      'bad-signature',
      bad.state === 'bad' ? `the signature of ${bad.member} is wrong` : `${bad.member} is not signed`,
    )
  return states.some(({ member }) => member === signedMembers[0])
    ? undefined
    : new BinderyError('bad-signature', `there is no ${signedMembers[0] as string} to sign the payload by`)
}
