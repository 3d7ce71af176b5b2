import { BinderyError } from '../base/error.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { LinesFormat, StateLine } from './lines.ts'
import type { RebootClass } from './update.ts'

/** `reboot` (doc/spec/client-state.md): for which channels the machine should start again, and since which start. */
export type RebootNeed = {
  readonly role: string
  /** What was installed when the machine started, as far as it matters; `-` for nothing. */
  readonly old: string
  /** What is installed now. With `old` the same, nothing is needed any more. */
  readonly new: string
  readonly class: Extract<RebootClass, 'reboot' | 'careful'>
  /** The start (port/boot.ts) that this is about: after another one it means nothing. */
  readonly boot: string
}

export const maxRebootBytes = 1 << 20
const format: LinesFormat = { firstLine: 'bindery-reboot 1', maxBytes: maxRebootBytes, maxLines: 4096 }

export function encodeReboot(needs: readonly RebootNeed[]): Uint8Array {
  return encodeLines(
    format,
    needs.map((need) => ({ key: 'need', value: [need.role, need.old, need.new, need.class, need.boot].join(' ') })),
  )
}

/** Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeReboot(bytes: Uint8Array): readonly RebootNeed[] {
  return decodeLines(format, bytes).map(needOf)
}

function needOf({ key, value }: StateLine): RebootNeed {
  const [role, old, next, kind, boot, ...rest] = value.split(' ')
  const words = [role, old, next, boot]
  if (key !== 'need' || rest.length > 0 || (kind !== 'reboot' && kind !== 'careful') || !words.every(isWord))
    throw new BinderyError('bad-format', 'has a line that is no need of a reboot')
  return { role: role as string, old: old as string, new: next as string, class: kind, boot: boot as string }
}

function isWord(text: string | undefined): boolean {
  return text !== undefined && /^[A-Za-z0-9._:+-]{1,512}$/.test(text)
}
