import { showPath } from '../base/path.ts'
import { bytesJson } from './entry-json.ts'
import { remarksOn } from './delta-remarks.ts'
import { print } from './output.ts'
import { table } from './text-table.ts'
import type { DeltaAccount, MemberAccount, StreamAccount } from '../engine/delta/account.ts'
import type { Context } from './command.ts'

/** `delta --explain`: on stdout, or where that is the delta's on stderr. */
export async function tellAccount(
  context: Context,
  account: DeltaAccount,
  { isJson, output }: { readonly isJson: boolean; readonly output: string },
): Promise<void> {
  const lines = isJson ? jsonLines(account) : textLines(account)
  if (output === '-') for (const line of lines) context.say(line)
  else await print(context, lines.map((line) => `${line}\n`).join(''))
}

function jsonLines(account: DeltaAccount): readonly string[] {
  const { size, front, frame, streams } = account
  return [{ size, front, frame, streams }, ...byCost(account).map(memberJson)].map((line) => JSON.stringify(line))
}

function memberJson({ path, size, from, isOutOfReach, coding, kind, references, cost, header, streams }: MemberAccount): object {
  return {
    ...(path === undefined ? {} : bytesJson('path', path)),
    size,
    ...(from === undefined ? {} : { from: { ...bytesJson('path', from.path), size: from.size, by: from.by } }),
    ...(isOutOfReach ? { isOutOfReach } : {}),
    ...(coding === undefined ? {} : { coding }),
    kind,
    ...(references === undefined ? {} : { references }),
    cost: Math.round(cost),
    header: Math.round(header),
    streams: Object.fromEntries(Object.entries(streams).map(([name, bytes]) => [name, Math.round(bytes)])),
  }
}

/** The dearest first; of equals in their order. */
function byCost({ members }: DeltaAccount): readonly MemberAccount[] {
  return members.toSorted((a, b) => b.cost - a.cost)
}

/** So many files are listed, where there are more. */
const mostListed = 20

function textLines(account: DeltaAccount): readonly string[] {
  const { size, front, frame, streams } = account
  const [listed, others] = [byCost(account).slice(0, mostListed), byCost(account).slice(mostListed)]
  const [restCost, restCount] = [others.reduce((sum, { cost }) => sum + cost, 0), others.length]
  const remarks = remarksOn(account)
  return [
    `${size} bytes: ${front} of header and digests, ${frame} of frame, the rest in streams`,
    '',
    ...table([['stream', 'bytes', 'compressed', 'by'], ...streams.map(streamCells)]),
    '',
    ...table([['made as', 'files', 'bytes', 'cost'], ...codingCells(account)]),
    '',
    ...table([['cost', 'bytes', 'made as', 'file'], ...listed.map((member) => memberCells(member, account))]),
    ...(restCount === 0 ? [] : [`and ${restCount} more, ${Math.round(restCost)} bytes together (all of them: --json)`]),
    ...(remarks.length === 0 ? [] : ['', ...remarks]),
  ]
}

function streamCells({ name, size, codedSize, codecs }: StreamAccount): readonly string[] {
  return [name, String(size), String(codedSize), Object.keys(codecs).join(', ')]
}

function codingCells({ members }: DeltaAccount): readonly (readonly string[])[] {
  const kinds = [...new Set(members.map(wayOf))]
  const rows = kinds.map((way) => {
    const some = members.filter((member) => wayOf(member) === way)
    const sum = (key: 'size' | 'cost'): number => Math.round(some.reduce((whole, member) => whole + member[key], 0))
    return { way, count: some.length, size: sum('size'), cost: sum('cost') }
  })
  return rows.toSorted((a, b) => b.cost - a.cost).map(({ way, count, size, cost }) => [way, String(count), String(size), String(cost)])
}

/** How a member is made, in words. */
function wayOf({ coding, isOutOfReach }: MemberAccount): string {
  return isOutOfReach ? 'out of reach' : (coding ?? 'no content')
}

function memberCells(member: MemberAccount, account: DeltaAccount): readonly string[] {
  return [
    String(Math.round(member.cost)),
    String(member.size),
    wayOf(member),
    `${nameOf(member, account)}${originOf(member)}${guessesOf(member)}`,
  ]
}

function nameOf({ path }: MemberAccount, { members }: DeltaAccount): string {
  if (path !== undefined) return showPath(path)
  return members.length === 1 ? '(the whole file)' : '(the end of the archive)'
}

function originOf({ path, from }: MemberAccount): string {
  if (from === undefined || (from.by === 'path' && from.path === path)) return ''
  return ` from ${showPath(from.path)} (${from.by === 'content' ? 'same content' : from.by})`
}

function guessesOf({ references }: MemberAccount): string {
  if (references === undefined) return ''
  return `, ${references.copied} references, ${references.copied - references.guessed} missed`
}
