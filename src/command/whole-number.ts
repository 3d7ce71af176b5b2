import { BinderyError } from '../base/error.ts'
import type { Input } from './command.ts'

/** The whole number of a flag; undefined where it was not given. */
export function wholeOf(input: Input, name: string, min: number, max: number): number | undefined {
  const text = input.value(name)
  if (text === undefined) return undefined
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : NaN
  if (value >= min && value <= max) return value
  throw new BinderyError('usage', `--${name} takes a whole number from ${min} to ${max}, not '${text}'`)
}
