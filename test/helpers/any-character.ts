import fc from 'fast-check'

/** Any character, lone surrogates apart. fast-check's own unit `binary` makes a map of all million of them first, in two seconds. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10_ffff }))
  .map((point) => String.fromCodePoint(point))
