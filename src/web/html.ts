import { showText } from '../base/show-text.ts'

/** Text that is safe to send as HTML. Only `html` makes it, so whatever was not written here as a literal is escaped. */
export class Html {
  readonly text: string
  constructor(parts: TemplateStringsArray, values: readonly HtmlValue[]) {
    this.text = parts.map((part, i) => part + render(values[i])).join('')
  }
}

/** `undefined` and `false` are nothing, so that parts can be left out in place. */
export type HtmlValue = Html | string | number | undefined | false | readonly HtmlValue[]

export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts, values)
}

function render(value: HtmlValue): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(render).join('')
  return escapeMarkup(String(value))
}

/** For HTML and XML, between tags and in quoted attributes. Control characters are in neither. */
export function escapeMarkup(text: string): string {
  return showText(text).replaceAll(/[&<>"'`]/g, (char) => `&#${char.charCodeAt(0)};`)
}
