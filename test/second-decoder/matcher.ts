/** What GNU gzip (family 0) and zlib (1, 2) look for at each level: good, lazy, nice, chain. */
const levels = [
  [4, 4, 8, 4],
  [4, 5, 16, 8],
  [4, 6, 32, 32],
  [4, 4, 16, 16],
  [8, 16, 32, 32],
  [8, 16, 128, 128],
  [8, 32, 128, 256],
  [32, 128, 258, 1024],
  [32, 258, 258, 4096],
] as const

type Match = { readonly length: number; readonly distance: number }

/** The hash chains of one member, and the window that moves along. */
export class Matcher {
  readonly content: Uint8Array
  readonly family: number
  readonly level: (typeof levels)[number]
  base = 0
  readonly #heads: Int32Array
  readonly #before: Int32Array
  /** The first position looked at that is near the end. */
  #firstNear = -1

  constructor(content: Uint8Array, family: number, level: number) {
    this.content = content
    this.family = family
    this.level = levels[level - 1] as (typeof levels)[number]
    this.#heads = new Int32Array(1 << 16).fill(-1)
    this.#before = new Int32Array(content.length).fill(-1)
  }

  #hash(at: number): number {
    const byte = (i: number): number => this.content[at + i] ?? 0
    const [shift, bits] = this.family === 2 ? [6, 16] : [5, 15]
    return ((byte(0) << (2 * shift)) ^ (byte(1) << shift) ^ byte(2)) & ((1 << bits) - 1)
  }

  insert(at: number): void {
    if (at >= this.content.length) return
    const hash = this.#hash(at)
    this.#before[at] = this.#heads[hash] as number
    this.#heads[hash] = at
  }

  undo(at: number): void {
    if (at >= this.content.length) return
    this.#heads[this.#hash(at)] = this.#before[at] as number
  }

  /** Moves the window where it is time. */
  look(at: number): void {
    const size = this.content.length
    if (this.#firstNear < 0 && size - at < 262) this.#firstNear = at
    const hasMoved = (turn: number): boolean => {
      if (turn + 262 <= size) return at > turn
      return this.family > 0 ? at >= turn : this.#firstNear >= turn
    }
    while (hasMoved(65274 + this.base)) this.base += 32768
  }

  search(at: number, least: number): Match | undefined {
    const [good, , wanted, chain] = this.level
    const left = this.content.length - at
    if (this.family === 0 && at > this.base + 65274) return undefined
    const nice = this.family === 0 ? wanted : Math.min(wanted, left)
    let best: Match = { length: least, distance: 0 }
    let steps = least >= good ? chain >> 2 : chain
    let reach = 32506
    for (let one = this.#before[at] as number; one > 0 && at - one <= reach && steps > 0; one = this.#before[one] as number, steps--) {
      reach = 32505
      const length = this.#alike(one, at)
      if (length <= best.length) continue
      best = { length, distance: at - one }
      if (length >= nice) break
    }
    const length = Math.min(best.length, left)
    return best.distance > 0 && length >= 3 ? { length, distance: best.distance } : undefined
  }

  #alike(one: number, at: number): number {
    let length = 0
    while (length < 258 && this.#byte(one + length) === this.#byte(at + length)) length++
    return length
  }

  /** Behind the content too. */
  #byte(at: number): number {
    const { content, base } = this
    if (at < content.length) return content[at] as number
    return at < content.length + 2 || at >= base + 65536 ? 0 : this.#held(at - base, base)
  }

  #held(offset: number, base: number): number {
    if (base === 0) return 0
    const at = offset >= 32768 ? base - 32768 + offset : base + offset
    return this.content[at] ?? this.#held(offset >= 32768 ? offset : offset + 32768, base - 32768)
  }

  /** The distance of the candidate that has `hops` others before it which match in `length` bytes too. */
  hop(at: number, length: number, hops: number): number | undefined {
    let left = hops
    let steps = 4096
    for (let one = this.#before[at] as number; one > 0 && at - one <= 32505 && steps > 0; one = this.#before[one] as number, steps--)
      if (Buffer.compare(this.content.subarray(one, one + length), this.content.subarray(at, at + length)) === 0 && left-- === 0)
        return at - one
    return undefined
  }
}
