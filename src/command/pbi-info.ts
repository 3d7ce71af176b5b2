import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { showSize } from '../base/show-size.ts'
import { showText } from '../base/show-text.ts'
import { iconName, requiredMembers, sumMember, valueOf } from '../engine/pkg/pbi.ts'
import { complaintOf, judgeSignatures, signatureName } from '../engine/pkg/pbi-signature.ts'
import { rsaPublicKey } from '../format/rsa-key.ts'
import { keyOf, openPbi } from './pbi-input.ts'
import { print } from './output.ts'
import type { KeyObject } from 'node:crypto'
import type { RelPath } from '../base/path.ts'
import type { Pbi } from '../engine/pkg/pbi.ts'
import type { SignatureState } from '../engine/pkg/pbi-signature.ts'
import type { Context, Input } from './command.ts'

/** What is found is shown before it is judged. */
export async function showPbis(context: Context, input: Input): Promise<void> {
  const key = await keyOf(context, input.value('pubkey'), rsaPublicKey)
  const files = input.operands.slice(1)
  const complaints: BinderyError[] = []
  for (const [i, file] of files.entries()) {
    const pbi = await openPbi(context, file)
    const signatures = await judgeSignatures(pbi.header, key)
    const found = { pbi, members: await membersOf(pbi, signatures), signatures }
    if (files.length > 1 && !input.flag('json')) await print(context, `${i === 0 ? '' : '\n'}${showText(file)}:\n`)
    await print(context, input.flag('json') ? `${JSON.stringify(jsonOf(file, found))}\n` : textOf(found))
    const complaint = complaintAbout(found, key)
    if (complaint !== undefined) complaints.push(new BinderyError(complaint.code, complaint.message, { subject: file }))
  }
  for (const { subject, message } of complaints.slice(1)) context.say(`${subject ?? ''}: ${message}`)
  if (complaints[0] !== undefined) throw complaints[0]
}

type Member = { readonly name: RelPath; readonly size: number; readonly value: string | undefined; readonly signature: Signature }

type Signature = SignatureState['state'] | undefined

type Found = { readonly pbi: Pbi; readonly members: readonly Member[]; readonly signatures: readonly SignatureState[] }

async function membersOf({ header }: Pbi, signatures: readonly SignatureState[]): Promise<readonly Member[]> {
  const members: Member[] = []
  for (const [name, node] of header) {
    if (node.kind !== 'file' || signatures.some(({ member }) => signatureName(member) === name)) continue
    const value = name.startsWith('pbi_') && !name.startsWith('pbi_icon') ? await valueOf(header, name) : undefined
    const text = value === undefined ? undefined : Buffer.from(value, 'latin1').toString()
    members.push({ name, size: node.size, value: text, signature: signatures.find(({ member }) => member === name)?.state })
  }
  return members
}

function complaintAbout({ pbi, signatures }: Found, key: KeyObject | undefined): BinderyError | undefined {
  if (pbi.sum === 'wrong') return new BinderyError('bad-digest', `the payload is not the one of ${sumMember}`)
  return key && complaintOf(signatures)
}

const forms = {
  pbi9: 'PBI 9',
  'two-archives': 'before PBI 9, a program with two archives',
  'one-archive': 'before PBI 9, a program with one archive',
} as const

const signatureTexts = { good: 'signed', bad: 'SIGNATURE IS WRONG', unchecked: 'signed, not checked', unsigned: 'not signed' } as const

function textOf({ pbi, members, signatures }: Found): string {
  const { form, formatVersion, icon, payload, codec, sum } = pbi
  const missing = form === 'pbi9' ? requiredMembers.filter((name) => !pbi.header.has(name as RelPath)) : []
  const lines = [
    `form: ${forms[form]}`,
    `format version: ${formatVersion ?? 'not told'}`,
    ...members.map(({ name, size, value, signature }) => {
      const said = value === undefined ? showSize(size) : showText(value)
      return `${showPath(name)}: ${said}${signature === undefined ? '' : ` (${signatureTexts[signature]})`}`
    }),
    ...(missing.length === 0 ? [] : [`missing: ${missing.join(' ')}`]),
    `icon: ${icon === undefined || icon.length === 0 ? 'none' : `${showSize(icon.length)}, ${iconName(pbi)}`}`,
    `payload: ${showSize(payload.length)}, ${codec === 'none' ? 'not compressed' : codec}`,
    `archive sum: ${sum === 'absent' ? 'not told' : sum}`,
    `signatures: ${signedText(signatures)}`,
  ]
  return `${lines.join('\n')}\n`
}

/** Whoever reads the values must know that a signature says nothing of them. */
function signedText(signatures: readonly SignatureState[]): string {
  const signed = signatures.filter(({ state }) => state !== 'unsigned').map(({ member }) => member)
  return signed.length === 0 ? 'none' : `of ${signed.join(', ')}; everything else in the header and the icon is not signed`
}

function jsonOf(file: string, { pbi, members, signatures }: Found): unknown {
  const { form, formatVersion, icon, payload, codec, sum } = pbi
  return {
    file,
    form,
    ...(formatVersion === undefined ? {} : { formatVersion }),
    members: members.map(({ name, size, value, signature }) => ({ name: showPath(name), size, value, signature })),
    ...(icon === undefined ? {} : { icon: { name: iconName(pbi), size: icon.length } }),
    payload: { size: payload.length, codec },
    sum,
    signatures: signatures.map(({ member, state }) => ({ member, state })),
  }
}
