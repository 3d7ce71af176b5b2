import { latin1 } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { isPng, splitPbi } from '../../format/pbi.ts'
import { treeOfTar } from './tree.ts'
import { codecOf, unpack } from './unpack.ts'
import type { RelPath } from '../../base/path.ts'
import type { PbiParts } from '../../format/pbi.ts'
import type { LoadXz } from '../../port/xz.ts'
import type { FileTree } from './tree.ts'
import type { Codec } from './unpack.ts'

/** A PBI, or a patch of one, with its header opened; the payload stays as it is until it is asked for. */
export type Pbi = {
  readonly form: PbiParts['form']
  readonly size: number
  readonly program: Uint8Array | undefined
  readonly header: FileTree
  readonly icon: Uint8Array | undefined
  readonly payload: Uint8Array
  readonly codec: Codec
  /** Whether the payload is the one that the header tells of. */
  readonly sum: 'right' | 'wrong' | 'absent'
  /** Undefined in those made before there was one. */
  readonly formatVersion: number | undefined
}

/** What a new PBI says; a reader refuses what is later. */
export const knownFormatVersion = 1

/** Members of the header that are about the container, and are made with it. */
export const sumMember = 'pbi_archivesum' as RelPath
export const countMember = 'pbi_archivecount' as RelPath
export const formatMember = 'pbi_formatver' as RelPath
export const requiredMembers: readonly string[] =
  'pbi_defaultpath pbi_name pbi_version pbi_author pbi_web pbi_arch pbi_fbsdver pbi_createver'.split(' ')

export async function readPbi(bytes: Uint8Array, loadXz: LoadXz): Promise<Pbi> {
  const parts = splitPbi(bytes)
  const header: FileTree = parts.form === 'one-archive' ? new Map() : await treeOfTar(await unpack(parts.header, loadXz))
  const formatVersion = await formatVersionOf(header)
  return {
    form: parts.form,
    size: bytes.length,
    program: parts.form === 'pbi9' ? undefined : parts.program,
    header,
    icon: parts.form === 'one-archive' ? undefined : parts.icon,
    payload: parts.payload,
    codec: codecOf(parts.payload),
    sum: await judgeSum(header, parts.payload),
    formatVersion,
  }
}

async function formatVersionOf(header: FileTree): Promise<number | undefined> {
  const text = await valueOf(header, formatMember)
  if (text === undefined) return undefined
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new BinderyError('bad-format', `${formatMember} is no number`)
  if (Number(text) > knownFormatVersion)
    throw new BinderyError('not-supported', `is a PBI of format version ${text}, and ${knownFormatVersion} is the latest that is known`)
  return Number(text)
}

async function judgeSum(header: FileTree, payload: Uint8Array): Promise<Pbi['sum']> {
  const told = await valueOf(header, sumMember)
  if (told === undefined) return 'absent'
  return told === sha256(payload) ? 'right' : 'wrong'
}

const mostValue = 4096

/** Of a member that is one line; undefined where there is none, or it is something else. */
export async function valueOf(header: FileTree, name: string): Promise<string | undefined> {
  const node = header.get(name as RelPath)
  if (node?.kind !== 'file' || node.size > mostValue) return undefined
  const text = latin1(await node.content()).replace(/\n$/, '')
  return /[\u0000-\u001f\u007f]/.test(text) ? undefined : text
}

/** Nothing of a payload is looked at before it is known to be the one that the header tells of. */
export async function payloadOf(pbi: Pbi, loadXz: LoadXz): Promise<FileTree> {
  if (pbi.sum === 'wrong') throw new BinderyError('bad-digest', `the payload is not the one of ${sumMember}`)
  return await treeOfTar(await unpack(pbi.payload, loadXz))
}

/** By what the header calls it, or by its first bytes. */
export function iconName({ header, icon }: Pick<Pbi, 'header' | 'icon'>): string {
  const named = [...header.keys()].find((name) => /^pbi_icon\.[a-z]{3,4}$/.test(name))
  if (named !== undefined) return named.replace('pbi_', '')
  return icon !== undefined && isPng(icon) ? 'icon.png' : 'icon'
}
