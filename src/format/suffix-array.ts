/**
 * The order of all suffixes of a text, in linear time: G. Nong, S. Zhang, W. H. Chan, "Linear Suffix Array Construction
 * by Almost Pure Induced-Sorting" (2009). A suffix that is the beginning of another one comes first.
 */
export function suffixArray(text: Uint8Array): Int32Array {
  return sortSuffixes(text, 256)
}

type Text = Uint8Array | Int32Array

function sortSuffixes(text: Text, alphabet: number): Int32Array {
  const n = text.length
  const sorted = new Int32Array(n)
  if (n < 2) return sorted
  const isSmall = smallSuffixes(text)
  const marks = leftmostSmall(isSmall)
  const bucketSizes = new Int32Array(alphabet)
  for (let i = 0; i < n; i++) bucketSizes[text[i] as number] = (bucketSizes[text[i] as number] as number) + 1
  induce(text, sorted, isSmall, marks, bucketSizes)
  if (marks.length > 1) induce(text, sorted, isSmall, sortMarks(text, sorted, isSmall, marks), bucketSizes)
  return sorted
}

/** 1 where the suffix is smaller than the one after it (S), 0 where it is larger (L); behind the last one is nothing. */
function smallSuffixes(text: Text): Uint8Array {
  const isSmall = new Uint8Array(text.length)
  for (let i = text.length - 2; i >= 0; i--) {
    const [a, b] = [text[i] as number, text[i + 1] as number]
    isSmall[i] = a < b || (a === b && isSmall[i + 1] === 1) ? 1 : 0
  }
  return isSmall
}

/** Positions of S suffixes behind an L suffix (LMS), ascending. */
function leftmostSmall(isSmall: Uint8Array): Int32Array {
  let count = 0
  for (let i = 1; i < isSmall.length; i++) if (isSmall[i] === 1 && isSmall[i - 1] === 0) count++
  const marks = new Int32Array(count)
  for (let i = 1, k = 0; i < isSmall.length; i++) if (isSmall[i] === 1 && isSmall[i - 1] === 0) marks[k++] = i
  return marks
}

/** From the order of the marks to that of all: L suffixes from the front, then S suffixes from the back. */
function induce(text: Text, sorted: Int32Array, isSmall: Uint8Array, marks: Int32Array, bucketSizes: Int32Array): void {
  const n = text.length
  sorted.fill(-1)
  const tails = bucketEnds(bucketSizes)
  for (let k = marks.length - 1; k >= 0; k--) {
    const mark = marks[k] as number
    sorted[--(tails[text[mark] as number] as number)] = mark
  }
  const heads = bucketStarts(bucketSizes)
  sorted[(heads[text[n - 1] as number] as number)++] = n - 1
  for (let i = 0; i < n; i++) {
    const before = (sorted[i] as number) - 1
    if (before >= 0 && isSmall[before] === 0) sorted[(heads[text[before] as number] as number)++] = before
  }
  const ends = bucketEnds(bucketSizes)
  for (let i = n - 1; i >= 0; i--) {
    const before = (sorted[i] as number) - 1
    if (before >= 0 && isSmall[before] === 1) sorted[--(ends[text[before] as number] as number)] = before
  }
}

/**
 * The marks in the order of their suffixes: pieces of text from mark to mark get numbers in the order that the first
 * round gave them, equal ones the same, and the text of these numbers is at most half as long.
 */
function sortMarks(text: Text, sorted: Int32Array, isSmall: Uint8Array, marks: Int32Array): Int32Array {
  const ranks = new Int32Array(text.length)
  marks.forEach((mark, k) => void (ranks[mark] = k))
  const numbers = new Int32Array(marks.length)
  let number = 0
  let previous = -1
  for (const suffix of sorted) {
    if (suffix === 0 || isSmall[suffix] === 0 || isSmall[suffix - 1] === 1) continue
    const rank = ranks[suffix] as number
    if (previous >= 0 && !samePiece(text, marks, previous, rank)) number++
    numbers[rank] = number
    previous = rank
  }
  const order = number + 1 === marks.length ? inverse(numbers) : sortSuffixes(numbers, number + 1)
  return order.map((k) => marks[k] as number)
}

/** Pieces reach from a mark to the next one, both included; the last one ends with the text and is like no other. */
function samePiece(text: Text, marks: Int32Array, a: number, b: number): boolean {
  if (a + 1 === marks.length || b + 1 === marks.length) return false
  const [startA, startB] = [marks[a] as number, marks[b] as number]
  const length = (marks[a + 1] as number) - startA
  if (length !== (marks[b + 1] as number) - startB) return false
  for (let i = 0; i <= length; i++) if (text[startA + i] !== text[startB + i]) return false
  return true
}

function inverse(numbers: Int32Array): Int32Array {
  const order = new Int32Array(numbers.length)
  numbers.forEach((number, k) => void (order[number] = k))
  return order
}

function bucketStarts(sizes: Int32Array): Int32Array {
  const starts = new Int32Array(sizes.length)
  for (let c = 1; c < sizes.length; c++) starts[c] = (starts[c - 1] as number) + (sizes[c - 1] as number)
  return starts
}

function bucketEnds(sizes: Int32Array): Int32Array {
  let end = 0
  return sizes.map((size) => (end += size))
}
