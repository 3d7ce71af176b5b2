import { showPath } from '../base/path.ts'
import { tellAccount } from './delta-account.ts'
import { bytesJson } from './entry-json.ts'
import { print } from './output.ts'
import { table } from './text-table.ts'
import type { DeltaAccount } from '../engine/delta/account.ts'
import type { MadeDelta } from '../engine/delta/container/make.ts'
import type { PieceAccount } from '../engine/delta/container/open.ts'
import type { Context } from './command.ts'

/** `delta --explain` of containers: how each packed piece was handled, and then what its contents cost. */
export async function tellContainerAccount(
  context: Context,
  made: MadeDelta,
  account: DeltaAccount,
  { isJson, output }: { readonly isJson: boolean; readonly output: string },
): Promise<void> {
  const lines = isJson ? jsonLines(made) : textLines(made)
  if (output === '-') for (const line of lines) context.say(line)
  else await print(context, lines.map((line) => `${line}\n`).join(''))
  await tellAccount(context, account, { isJson, output })
}

function jsonLines({ way, size, containerSize, pieces }: MadeDelta): readonly string[] {
  return [{ container: way, size, containerSize }, ...pieces.map((piece) => pieceJson(piece, way))].map((line) => JSON.stringify(line))
}

function pieceJson({ path, method, size, opened, why }: PieceAccount, way: MadeDelta['way']): object {
  const told = way === 'opened' ? opened : undefined
  return {
    piece: method,
    ...bytesJson('path', path),
    size,
    handled: told === undefined ? 'closed' : 'bit for bit',
    ...(told === undefined
      ? { why: why ?? 'larger if it is opened' }
      : { by: told.by, contentSize: told.contentSize, recipe: told.recipeSize }),
  }
}

const mostListed = 20

function textLines({ way, size, containerSize, pieces }: MadeDelta): readonly string[] {
  if (way === 'as bytes') return ['the files as they are: no delta between opened containers is smaller', '']
  const listed = pieces.toSorted((a, b) => weightOf(b) - weightOf(a)).slice(0, mostListed)
  return [
    `${size} bytes: ${containerSize} to open and to close the containers, ${size - containerSize} for what is in them`,
    '',
    ...table([['recipe', 'bytes', 'content', 'made again by', 'piece'], ...listed.map(pieceCells)]),
    ...(pieces.length > mostListed ? [`and ${pieces.length - mostListed} more (all of them: --json)`] : []),
    '',
    'What is in them:',
  ]
}

/** What costs most, or might have been opened. */
function weightOf({ opened, size, why }: PieceAccount): number {
  return opened?.recipeSize ?? (why === 'unchanged' ? 0 : size)
}

function pieceCells({ path, method, size, opened, why }: PieceAccount): readonly string[] {
  const name = path === '' ? `(the whole file, ${method})` : `${showPath(path)} (${method})`
  return [String(opened?.recipeSize ?? 0), String(size), String(opened?.contentSize ?? 0), opened?.by ?? `not: ${why ?? ''}`, name]
}
