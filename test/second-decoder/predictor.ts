import { Matcher } from './matcher.ts'
import type { Token } from './deflate.ts'

/** The tokens that a compressor makes, one after the other. */
export class Predictor extends Matcher {
  readonly #isLazy: boolean
  /** The position looked at. */
  #at = 0
  /** Found at the position before. */
  #found = { length: 2, distance: 0 }
  #isDue = false

  constructor(content: Uint8Array, family: number, level: number) {
    super(content, family, level)
    this.#isLazy = level > 3
  }

  /** Stored at the beginning, without tokens. */
  begin(at: number): void {
    for (let i = 0; this.#isLazy && i < at; i++) this.insert(i)
    this.#at = at
  }

  next(): Token & { readonly isLast: boolean } {
    const token = this.#isLazy ? this.#nextLazy() : undefined
    if (token) return { ...token, isLast: this.#at === this.content.length }
    this.look(this.#at)
    this.insert(this.#at)
    return { at: this.#at, ...(this.search(this.#at, 2) ?? { length: 1, distance: 0 }), isLast: false }
  }

  #nextLazy(): Token {
    const [, lazy] = this.level
    for (; ; this.#at++) {
      const at = this.#at
      this.look(at)
      if (at === this.content.length) return { at: at - 1, length: 1, distance: 0 }
      const before = this.#found
      this.#found = { length: 2, distance: 0 }
      this.insert(at)
      const found = before.length < lazy ? this.search(at, before.length) : undefined
      if (found && (found.length > 3 || found.distance <= 4096)) this.#found = found
      if (before.length >= 3 && this.#found.length <= before.length) return { at: at - 1, ...before }
      if (this.#isDue) return { at: at - 1, length: 1, distance: 0 }
      this.#isDue = true
    }
  }

  /** To `end`: of a token as predicted, or of another one or of stored bytes behind it. */
  goOn(end: number, isAsPredicted: boolean): void {
    const at = this.#at
    if (!this.#isLazy) {
      if (end - at <= this.level[1]) for (let i = at + 1; i < end; i++) this.insert(i)
      this.#at = end
    } else if (isAsPredicted && end === at) this.#at = Math.min(at + 1, this.content.length)
    else {
      if (end === at) this.undo(at)
      for (let i = at + 1; i < end; i++) this.insert(i)
      this.#at = end
      this.#found = { length: 2, distance: 0 }
      this.#isDue = false
    }
  }
}
