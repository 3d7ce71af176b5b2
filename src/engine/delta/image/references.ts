import { AddressReader, JumpTableReader } from './addresses.ts'
import { kindOf, placeOf } from './image.ts'
import { codeSigned, codeSymbol, numberModel } from './numbers.ts'
import { newModels } from './range-coder.ts'
import { kindCount, kinds } from './reference.ts'
import { behindOperand, fieldOf, fixedBits, targetOf, withField, wordOf } from './value.ts'
import type { NumberModel } from './numbers.ts'
import type { BinaryCoder, Models } from './range-coder.ts'
import type { Image, ImageLayout } from './image.ts'
import type { Guesses } from './guesses.ts'

export type ReferenceModels = {
  readonly hits: Models
  readonly outcomes: Models
  readonly shifts: NumberModel
  readonly history: Uint8Array
}

const sourceCount = 4
const historyBits = 4

export function referenceModels(): ReferenceModels {
  return {
    hits: newModels((kindCount * sourceCount) << historyBits),
    outcomes: newModels(kindCount * sourceCount * 4),
    shifts: numberModel(kindCount),
    history: new Uint8Array(kindCount),
  }
}

/** Of the references of an old image: how many copies have, and of how many the guess was right. */
export type ReferenceTally = { readonly copied: number; readonly guessed: number }

/** What a reference becomes that is not what was guessed: its old word, another one, or no reference any more. */
const outcomes = { same: 0, shifted: 1, none: 2 } as const

/** Millions of references: what is seldom has a function of its own, so that what is common is compiled as one. */
export class ReferenceCoder {
  /** Of the reference that was coded last. */
  readonly value: { word: number; high: number } = { word: 0, high: 0 }
  /** So far. */
  readonly tally: { copied: number; guessed: number } = { copied: 0, guessed: 0 }
  readonly #coder: BinaryCoder
  readonly #models: ReferenceModels
  readonly #old: Image
  readonly #next: ImageLayout
  readonly #guesses: Guesses
  readonly #view: DataView
  readonly #oldPlace: AddressReader
  readonly #nextPlace: AddressReader
  readonly #oldTable: JumpTableReader
  /** What each register holds that a page was put into. */
  readonly #pages: Float64Array = new Float64Array(32)

  constructor(coder: BinaryCoder, models: ReferenceModels, old: Image, next: ImageLayout, guesses: Guesses) {
    this.#coder = coder
    this.#models = models
    this.#old = old
    this.#next = next
    this.#guesses = guesses
    this.#view = new DataView(old.bytes.buffer, old.bytes.byteOffset, old.bytes.length)
    this.#oldPlace = new AddressReader(old)
    this.#nextPlace = new AddressReader(next)
    this.#oldTable = new JumpTableReader(old)
  }

  /**
   * Codes reference `index` of the old image, a copy of which is at `nextAt`: `word` and `high` as a coder knows them. Answers
   * false where that is no reference any more: its bytes are then coded like any others. Else the word is in `value`.
   */
  code(index: number, nextAt: number, word: number, high: number): boolean {
    const { packed, numbers } = this.#old.references
    const { hits, history } = this.#models
    const [guesses, value] = [this.#guesses, this.value]
    const oldAt = placeOf(packed[index] as number)
    const kind = kindOf(packed[index] as number)
    const number = numbers[index] as number
    const context = kind * sourceCount + guesses.sourceOf(number)
    const guess = guesses.guess(number)
    const here = this.#nextPlace.of(nextAt)
    if (kind <= kinds.data4) {
      value.word = (guess - here - (behindOperand[kind] as number)) | 0
      value.high = 0
    } else this.#guessOther(oldAt, kind, guess, here)
    const before = history[kind] as number
    const hit = this.#coder.bit(hits, (context << historyBits) | before, value.word === word && value.high === high ? 1 : 0)
    history[kind] = ((before << 1) | hit) & ((1 << historyBits) - 1)
    this.tally.copied++
    this.tally.guessed += hit
    if (hit === 1 && isExact(kind)) guesses.learn(number, guess)
    else if (hit === 0 && !this.#codeOther(oldAt, kind, context, word, high)) return false
    else this.#learn(number, kind, oldAt, here, guess)
    return true
  }

  #guessOther(oldAt: number, kind: number, guess: number, here: number): void {
    const next = this.#next
    this.value.word = wordOf(kind, guess, here, this.#tableOf(oldAt, kind, here), next, this.#view.getInt32(oldAt, true))
    this.value.high = kind === kinds.pointer ? Math.floor((guess + next.base) / 2 ** 32) : 0
  }

  /** Where in the new image the jump table begins: as far before the reference as in the old one. */
  #tableOf(oldAt: number, kind: number, here: number): number {
    return kind === kinds.table ? here - (this.#oldPlace.of(oldAt) - this.#oldPlace.of(this.#oldTable.of(oldAt))) : 0
  }

  /** Of one that is not as guessed: puts right what is in `value`. */
  #codeOther(oldAt: number, kind: number, context: number, word: number, high: number): boolean {
    const value = this.value
    const oldWord = this.#view.getInt32(oldAt, true)
    const oldHigh = kind === kinds.pointer ? this.#view.getInt32(oldAt + 4, true) : 0
    const fixed = fixedBits(kind)
    const isOther = fixed === 0 ? high !== value.high : ((word ^ oldWord) & fixed) !== 0
    const outcome = word === oldWord && high === oldHigh ? outcomes.same : isOther ? outcomes.none : outcomes.shifted
    const coded = codeSymbol(this.#coder, this.#models.outcomes, context * 4, 2, outcome)
    if (coded >= outcomes.none) return false
    if (coded === outcomes.same) {
      value.word = oldWord
      value.high = oldHigh
    } else {
      const guessed = fieldOf(kind, value.word)
      const shift = codeSigned(this.#coder, this.#models.shifts, kind, (fieldOf(kind, word) - guessed) | 0)
      value.word = withField(kind, oldWord, (guessed + shift) | 0)
    }
    return true
  }

  #learn(number: number, kind: number, oldAt: number, here: number, guess: number): void {
    const [next, pages, oldWord] = [this.#next, this.#pages, this.#view.getInt32(oldAt, true)]
    let target = targetOf(kind, this.value.word, this.value.high, here, this.#tableOf(oldAt, kind, here), next)
    if (kind === kinds.page) {
      // The low bits are told by the instructions behind it.
      pages[oldWord & 31] = target
      target += (guess + (next.base & 4095)) & 4095
    } else if (kind >= kinds.low && kind <= kinds.low4) target += pages[(oldWord >>> 5) & 31] as number
    this.#guesses.learn(number, target < 0 ? 0 : target > next.span ? next.span : target)
  }
}

/** Whether a word tells all of its target: what was guessed and hit is then what is learned. */
function isExact(kind: number): boolean {
  return kind <= kinds.table
}
