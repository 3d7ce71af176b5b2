import { BinderyError } from '../base/error.ts'
import { makingOptions } from './making.ts'
import type { Input } from './command.ts'

/** Of `delta`, those of them that say how one is made: a usage error where one was given beside `mode`, which has no use for it. */
export function refuseMakingOptions(input: Input, mode: string, others: readonly string[] = []): void {
  const given = [...Object.keys(makingOptions), ...others].find((name) => input.value(name) !== undefined)
  const idle = given ?? (input.flag('explain') ? 'explain' : undefined)
  if (idle !== undefined) throw new BinderyError('usage', `--${idle} means nothing with ${mode}`)
}
