/** The little of mdoc(7) that the tests look at. */

/** `.It Fl o , Fl -output Ar FILE` */
export type PageFlag = { readonly long: string; readonly short?: string; readonly value?: string }

/** The flags that a page lists, in its order. */
export function flagsOf(page: string): readonly PageFlag[] {
  return [...page.matchAll(/^\.It Fl (.*)$/gm)].map((match) => parseFlag(match[1] as string))
}

function parseFlag(text: string): PageFlag {
  const match = /^(?:(\S) , Fl )?-(\S+)(?: Ar (.+))?$/.exec(text)
  if (match === null) throw new Error(`not of the form '.It Fl o , Fl -output Ar FILE': .It Fl ${text}`)
  const [, short, long, value] = match as unknown as [string, string | undefined, string, string | undefined]
  return { long, ...(short === undefined ? {} : { short }), ...(value === undefined ? {} : { value }) }
}

/** The lines of a section as a terminal would show its literal displays; continued lines are joined. */
export function literalLines(page: string, section: string): readonly string[] {
  const body = (page.split(/^\.Sh /m).find((part) => part.startsWith(`${section}\n`)) ?? '').slice(section.length)
  const displays = [...body.matchAll(/^\.Bd .*-literal.*\n([^]*?)^\.Ed$/gm)].map((match) => match[1] as string)
  const single = [...body.matchAll(/^\.Dl (.*)$/gm)].map((match) => `${match[1] as string}\n`)
  const text = unescape([...displays, ...single].join(''))
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '')
}

function unescape(text: string): string {
  return text.replaceAll(
    /\\(-|&|e|\(aq|\(dq|\(ti)/g,
    (_, name: string) => ({ '-': '-', '&': '', e: '\\', '(aq': "'", '(dq': '"', '(ti': '~' })[name] ?? '',
  )
}
