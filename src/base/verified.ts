/**
 * Trust is a type. A `Verified<T>` can only be made by `markVerified`, and the layer test lets only the modules that
 * have just checked a signature chain and a digest import it. Planning and installing take nothing else.
 */
declare const proof: unique symbol

export type Verified<T> = { readonly value: T; readonly [proof]: 'signature and digest checked' }

export function markVerified<T>(value: T): Verified<T> {
  return { value } as Verified<T>
}
