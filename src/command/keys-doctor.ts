import { BinderyError } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { examineKeys, warningKinds } from '../engine/repo/key-doctor.ts'
import { formatTime } from '../format/tuf.ts'
import { readKeyFolder } from '../host/key-folder.ts'
import { secretKeysOf } from '../engine/repo/keyring.ts'
import { accountsOf } from './keys-list.ts'
import { print } from './output.ts'
import type { KeyWarning } from '../engine/repo/key-doctor.ts'
import type { Input } from './command.ts'
import type { KeysAction } from './keys.ts'

/** As `install` where files were kept beside: done, and somebody should look. */
const attention = 6

export const examine: KeysAction = async (context, input, operands) => {
  const accepted = acceptedOf(input)
  const accounts = await accountsOf(context, input, operands)
  const folder = input.value('keys')
  const atHand = folder === undefined ? undefined : secretKeysOf(await readKeyFolder(folder))
  const found = examineKeys({ accounts, now: context.clock.now(), ...(atHand === undefined ? {} : { atHand }) })
  const warnings = found.filter(({ kind }) => !accepted.has(kind))
  for (const warning of warnings) await print(context, `${input.flag('json') ? warningJson(warning) : showLine(warningLine(warning))}\n`)
  return warnings.length === 0 ? 0 : attention
}

/** What somebody has decided to live with; that something expires is not among it. */
function acceptedOf(input: Input): ReadonlySet<string> {
  const known = warningKinds.slice(1) as readonly string[]
  const unknown = input.list('accept').find((kind) => !known.includes(kind))
  if (unknown !== undefined) throw new BinderyError('usage', `--accept takes ${known.join(', ')}, not '${unknown}'`)
  return new Set(input.list('accept'))
}

function warningLine({ role, message, hint }: KeyWarning): string {
  return `role ${role}: ${message}${hint === undefined ? '' : ` (${hint})`}`
}

function warningJson({ expires, ...warning }: KeyWarning): string {
  return JSON.stringify({ ...warning, ...(expires === undefined ? {} : { expires: formatTime(expires) }) })
}
