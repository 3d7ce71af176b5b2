import { BinderyError } from '../base/error.ts'
import { utf8OfLatin1 } from '../base/utf8-text.ts'
import { escapeWord, unescapeWord } from './journal-node.ts'
import { isStepName, stepFailures } from './post-step.ts'
import type { PostStep } from './post-step.ts'

/** A post-step as words of a line (doc/spec/journal.md): `run NAME SECONDS FAILURE AFTER-ROLLBACK COMMAND`. */

export function encodeStep(step: PostStep): string {
  if (step.kind === 'notice') return `notice ${escapeText(step.text)}`
  const { kind, name, seconds, failure, afterRollback } = step
  return [kind, name, seconds, failure, afterRollback ? 'yes' : 'no', escapeText(kind === 'run' ? step.command : step.text)].join(' ')
}

/** Throws `bad-format`. */
export function decodeStep(words: readonly string[]): PostStep {
  const [kind, ...rest] = words
  if (kind === 'notice' && rest.length === 1) return { kind, text: unescapeText(rest[0]) }
  if ((kind !== 'run' && kind !== 'script') || rest.length !== 5) throw new BinderyError('bad-format', 'is no post-step')
  const [name, seconds, failure, after, text] = rest as [string, string, string, string, string]
  const known = stepFailures.find((one) => one === failure)
  if (!isStepName(name) || !/^[1-9][0-9]{0,4}$/.test(seconds) || known === undefined || (after !== 'yes' && after !== 'no'))
    throw new BinderyError('bad-format', 'is no post-step')
  const terms = { name, seconds: Number(seconds), failure: known, afterRollback: after === 'yes' }
  return kind === 'run' ? { kind, command: unescapeText(text), ...terms } : { kind, text: unescapeText(text), ...terms }
}

function escapeText(text: string): string {
  return escapeWord(Buffer.from(text, 'utf8').toString('latin1'))
}

function unescapeText(text: string | undefined): string {
  const latin = unescapeWord(text ?? '')
  if (latin === undefined) throw new BinderyError('bad-format', 'holds a bad escape')
  return utf8OfLatin1(latin)
}
