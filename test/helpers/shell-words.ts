/**
 * The commands of a line of shell, each as its words: enough of the grammar for the examples of manuals (quotes,
 * backslashes, pipelines, lists, redirections, substitutions), so that a test can parse what they call.
 */
export function commandsOf(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]]
  const pattern =
    /\s+|\d?>>?&?\d?\s*[^\s|&;()]*|<\s*(?!\()[^\s|&;()]*|(\$\(|<\(|&&|\|\||[|&;()])|((?:'[^']*'|"[^"]*"|\\.|\$(?!\()|[^\s'"\\|&;()<>$])+)/gy
  for (const match of line.matchAll(pattern)) {
    const [, operator, word] = match
    if (operator !== undefined) commands.push([])
    if (word !== undefined) commands.at(-1)?.push(unquote(word))
  }
  return commands.filter((words) => words.length > 0)
}

function unquote(word: string): string {
  return word.replaceAll(
    /'([^']*)'|"([^"]*)"|\\(.)/g,
    (_, single?: string, double?: string, escaped?: string) => single ?? double ?? escaped ?? '',
  )
}
