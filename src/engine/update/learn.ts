import { comparePaths, parentPath, rootPath, showPath } from '../../base/path.ts'
import type { RelPath } from '../../base/path.ts'

/**
 * Proposes rules from updates that people made by hand: which patterns of paths go with which effects. Greedy set cover
 * (Johnson 1974): for an effect, of all patterns that never come without it the one that explains most of its updates, until
 * all are explained.
 */
export type Specimen = {
  readonly name: string
  readonly paths: readonly RelPath[]
  /** `reboot`, or a command of its script that does more than put files into place. */
  readonly effects: readonly string[]
}

export type Proposal = {
  readonly effect: string
  readonly pattern: string
  /** Updates that have both. */
  readonly seen: number
  /** One of its paths. */
  readonly example: RelPath
}

/** The effects that no pattern explains, and in how many updates they were. */
export type Learnt = { readonly proposals: readonly Proposal[]; readonly unexplained: ReadonlyMap<string, number> }

export function learnRules(specimens: readonly Specimen[]): Learnt {
  const patterns = specimens.map(({ paths }) => patternsOf(paths))
  const proposals: Proposal[] = []
  const unexplained = new Map<string, number>()
  for (const effect of new Set(specimens.flatMap(({ effects }) => effects))) {
    const open = new Set(specimens.flatMap(({ effects }, i) => (effects.includes(effect) ? [i] : [])))
    const pure = pureCandidates(specimens, patterns, effect)
    while (open.size > 0) {
      const best = bestOf(pure, open)
      if (best === undefined) break
      proposals.push({ effect, pattern: best.pattern, seen: best.at.length, example: best.example })
      for (const i of best.at) open.delete(i)
    }
    if (open.size > 0) unexplained.set(effect, open.size)
  }
  return { proposals, unexplained }
}

/** Pattern to an example: the path itself, its folder with its kind of name, its folder. */
function patternsOf(paths: readonly RelPath[]): ReadonlyMap<string, RelPath> {
  const patterns = new Map<string, RelPath>()
  for (const path of paths.toSorted(comparePaths)) {
    for (const pattern of generalised(path)) if (!patterns.has(pattern)) patterns.set(pattern, path)
  }
  return patterns
}

function generalised(path: RelPath): readonly string[] {
  const folder = parentPath(path)
  const within = folder === rootPath ? '' : `/${showPath(folder)}`
  const suffix = /\.(?:so|[a-z]{1,8})(?=\.[0-9.]+$|$)/.exec(path.slice(path.lastIndexOf('/') + 1))?.[0]
  const kinds = suffix === undefined ? [] : [`${within}/*${suffix}${suffix.endsWith('.so') ? '*' : ''}`]
  return [...kinds, `${within}/*`, `/${showPath(path)}`]
}

type Candidate = { readonly pattern: string; readonly at: readonly number[]; readonly example: RelPath }

/** Patterns all of whose updates have the effect. */
function pureCandidates(
  specimens: readonly Specimen[],
  patterns: readonly ReadonlyMap<string, RelPath>[],
  effect: string,
): readonly Candidate[] {
  const found = new Map<string, { at: number[]; example: RelPath }>()
  for (const [i, own] of patterns.entries()) {
    for (const [pattern, example] of own) {
      const known = found.get(pattern)
      if (known === undefined) found.set(pattern, { at: [i], example })
      else known.at.push(i)
    }
  }
  return [...found].flatMap(([pattern, { at, example }]) =>
    at.every((i) => specimens[i]?.effects.includes(effect) === true) ? [{ pattern, at, example }] : [],
  )
}

/** That which explains most; of equals the more general, then the first in order. */
function bestOf(candidates: readonly Candidate[], open: ReadonlySet<number>): Candidate | undefined {
  const worth = ({ at, pattern }: Candidate): number =>
    at.filter((i) => open.has(i)).length * 4 + (pattern.endsWith('/*') ? 1 : pattern.includes('*') ? 2 : 0)
  const useful = candidates.filter(({ at }) => at.some((i) => open.has(i)))
  return useful.toSorted((a, b) => worth(b) - worth(a) || (a.pattern < b.pattern ? -1 : 1))[0]
}

/** What a script does beside putting files into place: the first words of its commands, with what they are about. */
export function effectsOfScript(script: string): readonly string[] {
  const effects = new Set<string>()
  for (const line of script.replaceAll(/\\\n/g, ' ').split(/\n|;|&&|\|\|/)) {
    const command = line.trim().replace(/^(?:if|then|else|do|!|exec)\s+/, '')
    const word = /^(?:[A-Za-z_]\w*=\S*\s+)*(\/?[\w./-]+)/.exec(command)?.[1]
    if (word === undefined || command.startsWith('#') || idle.has(word.slice(word.lastIndexOf('/') + 1))) continue
    effects.add(rebooting.test(command) ? 'reboot' : command.replaceAll(/\s+/g, ' '))
  }
  return [...effects]
}

const rebooting = /^(?:\/sbin\/)?(?:reboot|fastboot|shutdown\s+-r)\b/

/** Words of sh, and programs that copy and tell. */
const idle = new Set(
  'cp mv rm ln install mkdir rmdir chmod chown chflags touch cd echo printf exit return true false test [ fi done esac else if then for while case set export local read cat umask sync sleep unset shift local return : . PATH'.split(
    ' ',
  ),
)
