import { BinderyError } from '../base/error.ts'
import { didYouMean } from '../base/suggest.ts'
import { pathPattern } from './conf-value.ts'
import type { PathPattern } from './conf-value.ts'

/** Parts of a system that an administrator may have chosen not to have, where their files lie in a place of their own. */
const components: Readonly<Record<string, readonly string[]>> = {
  debug: ['/usr/lib/debug', '/usr/libdata/debug'],
  doc: ['/usr/share/doc', '/usr/share/info'],
  games: ['/usr/games', '/usr/share/games', '/var/games'],
  lib32: ['/usr/lib32', '/libexec/ld-elf32.so.1'],
  man: ['/usr/share/man'],
  src: ['/usr/src'],
  tests: ['/usr/tests'],
  x11: ['/usr/X11R6', '/usr/X11R7'],
}

/** A component's name, or a path of one's own. Throws `usage`. */
export function componentPaths(text: string): readonly PathPattern[] {
  const known = Object.hasOwn(components, text) ? components[text] : undefined
  if (known !== undefined) return known.map(pathPattern)
  if (text.startsWith('/')) return [pathPattern(text)]
  const near = didYouMean(text, Object.keys(components))
  throw new BinderyError('usage', `no component '${text}'`, {
    hint: near === undefined ? `a path, or one of ${Object.keys(components).join(', ')}` : `did you mean '${near}'?`,
  })
}
