/** The elements of a page, for tests: throws where a tag is not closed, or closed that was not open. */
export type MarkupElement = { readonly name: string; readonly attributes: ReadonlyMap<string, string>; readonly text: string }

const empty = new Set(['meta', 'link', 'input', 'br', 'wbr', 'line'])
const tag = /<(?:!doctype html|(\/?)([a-z][a-z0-9]*)((?:\s+[a-z][a-z0-9-]*(?:="[^"<>]*")?)*)\s*\/?)>/gi

export function parseMarkup(html: string): readonly MarkupElement[] {
  const open: { name: string; attributes: Map<string, string>; start: number }[] = []
  const elements: MarkupElement[] = []
  let last = 0
  for (const match of html.matchAll(tag)) {
    const between = html.slice(last, match.index)
    if (/[<>]/.test(between)) throw new Error(`a stray angle bracket in '${between.trim().slice(0, 80)}'`)
    last = match.index + match[0].length
    const [, closing, name = '', attributes = ''] = match
    if (name === '') continue
    if (closing === '/') {
      const opened = open.pop()
      if (opened?.name !== name) throw new Error(`</${name}> closes <${opened?.name ?? 'nothing'}>`)
      elements.push({ name, attributes: opened.attributes, text: textOf(html.slice(opened.start, match.index)) })
    } else if (empty.has(name)) elements.push({ name, attributes: attributesOf(attributes), text: '' })
    else open.push({ name, attributes: attributesOf(attributes), start: last })
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)?.name ?? ''}> is not closed`)
  return elements
}

function attributesOf(text: string): Map<string, string> {
  return new Map([...text.matchAll(/([a-z][a-z0-9-]*)(?:="([^"]*)")?/gi)].map(([, name, value = '']) => [name as string, plain(value)]))
}

function textOf(html: string): string {
  return plain(html.replaceAll(/<[^>]*>/g, ''))
}

function plain(text: string): string {
  return text.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
}
