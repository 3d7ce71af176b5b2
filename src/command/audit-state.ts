import { exitStatusOf } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { auditState } from '../engine/client/audit-state.ts'
import { mendState } from '../engine/client/fetch/mend-state.ts'
import { stateFolder } from '../engine/client/state.ts'
import { bytesJson } from './entry-json.ts'
import { print } from './output.ts'
import type { StateFinding } from '../engine/client/audit-state.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Mended } from '../engine/client/fetch/mend-state.ts'
import type { Context, Input } from './command.ts'

/** What audit finds in bindery's own state, and what it mends of that. */
export type StateLook = {
  readonly status: number
  /** Without what is damaged, nothing is known of the tree. */
  readonly blocks: boolean
}

/** Prints a line for each damage that stays. */
export async function lookAtState(context: Context, session: Session, input: Input): Promise<StateLook> {
  const found = await auditState(session.disk, session.signal)
  const repairs = found.length > 0 && input.flag('repair') && !input.flag('dry-run')
  const left = repairs ? await mend(context, session, found) : found.map((finding) => ({ finding }))
  const write = input.flag('json') ? jsonOf : lineOf
  for (const one of left) await print(context, `${write(one)}\n`)
  return { status: left.length > 0 ? exitStatusOf['bad-digest'] : 0, blocks: left.some(({ finding }) => essential.test(finding.path)) }
}

const essential = new RegExp(`^${stateFolder}/(?:enrolled|channel/[^/]+/(?:release|manifest\\.mtree\\.zst|phase|next\\.mtree\\.zst))$`)

async function mend(context: Context, session: Session, found: readonly StateFinding[]): Promise<readonly Mended[]> {
  await session.beforeCommit()
  const done = await mendState(session, found)
  for (const { finding, error } of done) if (error === undefined) context.say(`/${showPath(finding.path)} is mended`)
  return done.filter(({ error }) => error !== undefined)
}

function hintOf({ finding: { mend: how }, error }: Mended): string {
  if (how.kind === 'none') return how.hint
  if (error === undefined) return "'bindery audit --repair' mends it"
  return `it could not be mended: ${error.subject === undefined ? '' : `${error.subject}: `}${error.message}`
}

/** `damaged /var/db/bindery/told  is not as it was written; 'bindery audit --repair' mends it` */
function lineOf(one: Mended): string {
  return `damaged /${showPath(one.finding.path)}  ${one.finding.message}; ${hintOf(one)}`
}

function jsonOf(one: Mended): string {
  const { path, code, message, mend: how } = one.finding
  const mendable = how.kind !== 'none' && one.error === undefined
  return JSON.stringify({ finding: 'damaged', ...bytesJson('path', path), code, message, mendable, hint: hintOf(one) })
}
