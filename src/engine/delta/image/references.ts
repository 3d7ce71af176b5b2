import { addressReader, jumpTableReader } from './addresses.ts'
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

export type ReferenceCoder = {
  /**
   * Codes reference `index` of the old image, a copy of which is at `nextAt`: `word` and `high` as a coder knows them. Answers
   * false where that is no reference any more: its bytes are then coded like any others. Else the word is in `value`.
   */
  code(index: number, nextAt: number, word: number, high: number): boolean
  readonly value: { word: number; high: number }
  /** So far. */
  readonly tally: ReferenceTally
}

export function referenceCoder(
  coder: BinaryCoder,
  models: ReferenceModels,
  old: Image,
  next: ImageLayout,
  guesses: Guesses,
): ReferenceCoder {
  const { packed, numbers } = old.references
  const { hits, history } = models
  const view = new DataView(old.bytes.buffer, old.bytes.byteOffset, old.bytes.length)
  const [oldPlace, nextPlace, tableOf] = [addressReader(old), addressReader(next), jumpTableReader(old)]
  const value = { word: 0, high: 0 }
  const tally = { copied: 0, guessed: 0 }
  const pages = new Float64Array(32)

  const learn = (number: number, kind: number, oldWord: number, here: number, table: number, guess: number): void => {
    let target = targetOf(kind, value.word, value.high, here, table, next)
    if (kind === kinds.page) {
      // The low bits are told by the instructions behind it.
      pages[oldWord & 31] = target
      target += (guess + (next.base & 4095)) & 4095
    } else if (kind >= kinds.low && kind <= kinds.low4) target += pages[(oldWord >>> 5) & 31] as number
    guesses.learn(number, target < 0 ? 0 : target > next.span ? next.span : target)
  }
  /** Of one that is not as guessed: puts right what is in `value`. */
  const codeOther = (oldAt: number, kind: number, context: number, word: number, high: number): boolean => {
    const oldWord = view.getInt32(oldAt, true)
    const oldHigh = kind === kinds.pointer ? view.getInt32(oldAt + 4, true) : 0
    const fixed = fixedBits(kind)
    const isOther = fixed === 0 ? high !== value.high : ((word ^ oldWord) & fixed) !== 0
    const outcome = word === oldWord && high === oldHigh ? outcomes.same : isOther ? outcomes.none : outcomes.shifted
    const coded = codeSymbol(coder, models.outcomes, context * 4, 2, outcome)
    if (coded >= outcomes.none) return false
    if (coded === outcomes.same) {
      value.word = oldWord
      value.high = oldHigh
    } else {
      const guessed = fieldOf(kind, value.word)
      const shift = codeSigned(coder, models.shifts, kind, (fieldOf(kind, word) - guessed) | 0)
      value.word = withField(kind, oldWord, (guessed + shift) | 0)
    }
    return true
  }
  const guessOther = (kind: number, guess: number, here: number, table: number, oldWord: number): void => {
    value.word = wordOf(kind, guess, here, table, next, oldWord)
    value.high = kind === kinds.pointer ? Math.floor((guess + next.base) / 2 ** 32) : 0
  }
  return {
    value,
    tally,
    // Millions of them: what is seldom has a function of its own, so that what is common is compiled as one.
    code: (index, nextAt, word, high) => {
      const oldAt = placeOf(packed[index] as number)
      const kind = kindOf(packed[index] as number)
      const number = numbers[index] as number
      const context = kind * sourceCount + guesses.sourceOf(number)
      const guess = guesses.guess(number)
      const here = nextPlace(nextAt)
      const table = kind === kinds.table ? here - (oldPlace(oldAt) - oldPlace(tableOf(oldAt))) : 0
      if (kind <= kinds.data4) {
        value.word = (guess - here - (behindOperand[kind] as number)) | 0
        value.high = 0
      } else guessOther(kind, guess, here, table, view.getInt32(oldAt, true))
      const before = history[kind] as number
      const hit = coder.bit(hits, (context << historyBits) | before, value.word === word && value.high === high ? 1 : 0)
      history[kind] = ((before << 1) | hit) & ((1 << historyBits) - 1)
      tally.copied++
      tally.guessed += hit
      if (hit === 1 && isExact(kind)) guesses.learn(number, guess)
      else if (hit === 0 && !codeOther(oldAt, kind, context, word, high)) return false
      else learn(number, kind, view.getInt32(oldAt, true), here, table, guess)
      return true
    },
  }
}

/** Whether a word tells all of its target: what was guessed and hit is then what is learned. */
function isExact(kind: number): boolean {
  return kind <= kinds.table
}
