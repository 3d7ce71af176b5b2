import { latin1 } from '../../../base/bytes.ts'

/**
 * A line or a string is cut into words, runs of letters and digits, and the gaps between them. A stamp is always whole words:
 * a date that was learned from `28` and `2` is also told where it is `14`, and what stands beside it stays what it is.
 */
export type StampWord = {
  /** Of the word in its line or string, from 0. */
  readonly index: number
  /** What it was made of both times; another stamp in its place is made of the same. */
  readonly of: 'digits' | 'letters' | 'both'
}

/** Longer lines and strings are not cut into words, which take many times their memory. */
const longest = 1 << 20

type Words = { readonly words: readonly string[]; readonly gaps: readonly string[] }

/** Undefined where the two differ in more than words. */
export function learnWords(a: Uint8Array, b: Uint8Array): readonly StampWord[] | undefined {
  if (Math.max(a.length, b.length) > longest) return undefined
  const [first, second] = [wordsOf(a), wordsOf(b)]
  const words = first.words.flatMap((word, index) => {
    const other = second.words[index] ?? ''
    return word === other ? [] : [{ index, of: common(madeOf(word), madeOf(other)) }]
  })
  return words.length > 0 && agree(first, second, words) ? words : undefined
}

export function sameButWords(a: Uint8Array, b: Uint8Array, stamps: readonly StampWord[]): boolean {
  return Math.max(a.length, b.length) <= longest && agree(wordsOf(a), wordsOf(b), stamps)
}

function wordsOf(bytes: Uint8Array): Words {
  const text = latin1(bytes)
  return { words: text.match(/[A-Za-z0-9]+/g) ?? [], gaps: text.split(/[A-Za-z0-9]+/) }
}

function agree(a: Words, b: Words, stamps: readonly StampWord[]): boolean {
  if (a.words.length !== b.words.length) return false
  const stamped = new Map(stamps.map(({ index, of }) => [index, of]))
  const sameWords = a.words.every((word, i) => {
    const other = b.words[i] as string
    const of = stamped.get(i)
    return word === other || (of !== undefined && fits(word, of) && fits(other, of))
  })
  return sameWords && a.gaps.every((gap, i) => sameGap(gap, b.gaps[i] as string, i > 0 && (stamped.has(i) || stamped.has(i - 1))))
}

/** Blanks beside a stamp make up for its length (`Nov  2`, `Nov 12`); those at the start of a line may mean something. */
function sameGap(a: string, b: string, besideStamp: boolean): boolean {
  return a === b || (besideStamp && a.replaceAll(/[ \t]+/g, ' ') === b.replaceAll(/[ \t]+/g, ' '))
}

function madeOf(word: string): StampWord['of'] {
  return /^\d+$/.test(word) ? 'digits' : /^[A-Za-z]+$/.test(word) ? 'letters' : 'both'
}

function common(a: StampWord['of'], b: StampWord['of']): StampWord['of'] {
  return a === b ? a : 'both'
}

function fits(word: string, of: StampWord['of']): boolean {
  return of === 'both' || madeOf(word) === of
}
