/** Bytes that no compressor makes smaller, the same for the same seed (xorshift32). */
export function noise(size: number, seed: number): { readonly kind: 'file'; readonly content: Uint8Array } {
  const content = new Uint8Array(size)
  let state = (seed * 2_654_435_761) >>> 0 || 1
  for (let i = 0; i < size; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    content[i] = state >>> 11
  }
  return { kind: 'file', content }
}
