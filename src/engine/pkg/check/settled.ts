/** The end of a promise as a value: what failed is told later, or by whoever asks. */
export type Settled<T> = { readonly isFine: true; readonly value: T } | { readonly isFine: false; readonly error: unknown }

export async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { isFine: true, value: await promise }
  } catch (error) {
    return { isFine: false, error }
  }
}

export function unsettled<T>(result: Settled<T>): T {
  if (result.isFine) return result.value
  throw result.error
}
