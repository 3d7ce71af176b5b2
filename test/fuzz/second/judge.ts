import type { Decoder } from '../decoder.ts'

/** An input that was taken here, and what it is. */
export type Taken<T> = { readonly input: Uint8Array; readonly value: T }

/** Who else reads a format, and whether it reads the same. */
export type Judge = {
  readonly reader: string
  /** Whose inputs it is given. */
  readonly decoder: Decoder
  readonly needs: readonly string[]
  /** Which of the inputs are any of its business; all, where it is left out. */
  readonly isOf?: (input: Uint8Array) => boolean
  /** For each input, in their order: undefined where the second reader takes it for the same, or what is different. */
  readonly differences: (taken: readonly Taken<never>[]) => Promise<readonly (string | undefined)[]>
  /** Differences that are meant, with their reasons. */
  readonly known: readonly { readonly difference: RegExp; readonly reason: string }[]
}

export function judgeBy<T>(
  facts: Omit<Judge, 'differences' | 'known'> & Partial<Pick<Judge, 'known'>>,
  differences: (taken: readonly Taken<T>[]) => Promise<readonly (string | undefined)[]>,
): Judge {
  return { known: [], ...facts, differences: async (taken) => await differences(taken) }
}
