import { latin1 } from '../../../base/bytes.ts'

/**
 * What the installed quirks package says of stems that are gone: Quirks.pm is a Perl module, whose tables have been written line by line in the same
 * way for years. Only those lines are read, nothing is run; what is not understood is not known.
 */
export type QuirksTables = {
  /** Old stem -> new stem. */
  readonly renamed: ReadonlyMap<string, string>
  /** Stem -> why there is none any more; empty where it only says that. */
  readonly obsolete: ReadonlyMap<string, string>
}

export function readQuirksModule(module: Uint8Array | undefined): QuirksTables {
  const text = module === undefined ? '' : latin1(module)
  const reasons = [...sectionOf(text, /^my @msg = \(/m, /^\);/m).matchAll(/^[ \t]*"((?:[^"\\]|\\.)*)",/gm)].map(
    (match) => match[1] as string,
  )
  const renamed = new Map<string, string>()
  for (const match of sectionOf(text, /^my \$stem_extensions = \{/m, /^\};/m).matchAll(/^[ \t]*'([^'\s]+)'\s*=>\s*'([^'\s]+)',/gm))
    renamed.set(match[1] as string, match[2] as string)
  const obsolete = new Map<string, string>()
  for (const match of sectionOf(text, /^setup_obsolete_reason\(/m, /^\);/m).matchAll(/^[ \t]*([0-9]+)\s*=>\s*'([^'\s]+)',/gm))
    obsolete.set(match[2] as string, reasons[Number(match[1])] ?? '')
  return { renamed, obsolete }
}

function sectionOf(text: string, begin: RegExp, end: RegExp): string {
  const start = begin.exec(text)
  if (start === null) return ''
  const rest = text.slice(start.index + start[0].length)
  return rest.slice(0, end.exec(rest)?.index ?? 0)
}
