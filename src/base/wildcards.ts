/**
 * Whether `pattern`, with `*` for any characters and `?` for one, stands for all of `text`. Goes back to the newest star only, so that no
 * pattern costs more than its length times the text's, as one made into a regular expression would.
 */
export function fitsWildcards(pattern: string, text: string): boolean {
  return fits([...pattern], [...text])
}

function fits(pattern: readonly string[], text: readonly string[]): boolean {
  let at = 0
  let star = -1
  let resume = 0
  for (let i = 0; i < text.length;) {
    if (pattern[at] === '*') {
      star = at++
      resume = i
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === text[i])) {
      at++
      i++
    } else if (star >= 0) {
      at = star + 1
      i = ++resume
    } else return false
  }
  return pattern.slice(at).every((part) => part === '*')
}
