import { utf8 } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { bzip2 } from '../../format/bzip2-encode.ts'
import { joinPbi } from '../../format/pbi.ts'
import { countMember, formatMember, knownFormatVersion, sumMember, valueOf } from './pbi.ts'
import { signatureName, signedMembers, signMembers } from './pbi-signature.ts'
import { fileNode, tarOfTree, withParents } from './tree.ts'
import { neededXz } from './unpack.ts'
import type { KeyObject } from 'node:crypto'
import type { RelPath } from '../../base/path.ts'
import type { LoadXz } from '../../port/xz.ts'
import type { FileTree, TreeNode } from './tree.ts'

export type PbiContents = { readonly header: FileTree; readonly icon: Uint8Array | undefined; readonly payload: FileTree }

export type PackOptions = { readonly codec: 'xz' | 'bzip2'; readonly key: KeyObject | undefined; readonly loadXz: LoadXz }

/** What `xz` and tar do unasked. */
const xzOptions = { preset: 6, isExtreme: false, check: 4 } as const

/** A PBI 9: a function of names, modes and contents, and of the date in its header. */
export async function packPbi({ header, icon, payload }: PbiContents, { codec, key, loadXz }: PackOptions): Promise<Uint8Array> {
  const seconds = await dateOf(header)
  const content = await tarOfTree(payload, seconds)
  const archive = codec === 'bzip2' ? bzip2(content) : (await neededXz(loadXz)).compress(content, xzOptions)
  if (archive === undefined) throw new BinderyError('over-limit', 'there is not enough memory for xz')
  const members = new Map(header)
  for (const member of signedMembers) members.delete(signatureName(member))
  for (const [name, value] of [
    [countMember, String(payload.size)],
    [sumMember, sha256(archive)],
    [formatMember, String(knownFormatVersion)],
  ] as const)
    members.set(name, fileNode(utf8(`${value}\n`)))
  const signatures: ReadonlyMap<RelPath, TreeNode> = key === undefined ? new Map() : await signMembers(members, key)
  const headerTar = await tarOfTree(withParents(new Map([...members, ...signatures])), seconds)
  return joinPbi({ header: bzip2(headerTar), icon, payload: archive })
}

/** `pbi_mdate`, for all that is in it; the beginning of time where the header has none. */
export async function dateOf(header: FileTree): Promise<number> {
  const text = await valueOf(header, 'pbi_mdate')
  if (text === undefined) return 0
  const [, ...parts] = /^(\d{4})(\d{2})(\d{2}) (\d{2})(\d{2})(\d{2})$/.exec(text) ?? []
  const [year, month, day, hour, minute, second] = parts.map(Number) as [number, number, number, number, number, number]
  const time = parts.length === 6 ? Date.UTC(year, month - 1, day, hour, minute, second) / 1000 : -1
  if (time >= 0) return time
  throw new BinderyError('bad-format', `'${text}' is no date like 20120528 134500`, { subject: 'pbi_mdate' })
}

/** `name-version-arch.pbi`, in lower case and without blanks, as PC-BSD named them; `version` for a patch, which has two. */
export async function pbiFileName(
  header: FileTree,
  { version, suffix = 'pbi' }: { version?: string; suffix?: string } = {},
): Promise<string> {
  const parts = [await partOf(header, 'pbi_name'), version ?? (await partOf(header, 'pbi_version')), await partOf(header, 'pbi_arch')]
  const name = `${plainName(parts.join('-'))}.${suffix}`
  if (/^[^/.\u0000][^/\u0000]{0,240}$/.test(name)) return name
  throw new BinderyError('usage', `'${name}' is no name for a file`, { hint: 'name it with -o' })
}

export function plainName(text: string): string {
  return text.toLowerCase().replaceAll(/\s/g, '')
}

async function partOf(header: FileTree, member: string): Promise<string> {
  const value = await valueOf(header, member)
  if (value !== undefined && value !== '') return value
  throw new BinderyError('not-found', `the header has no ${member} to name the file by`, { hint: 'name it with -o' })
}
