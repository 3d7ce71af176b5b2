/** As `replace(/c+$/, '')` does, which takes the square of a long run that something follows. */
export function withoutTrailing(text: string, character: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === character) end--
  return text.slice(0, end)
}
