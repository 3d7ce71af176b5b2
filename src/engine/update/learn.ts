import { comparePaths, parentPath, pathFromText, rootPath, showPath } from '../../base/path.ts'
import { isPlainLine } from '../../base/show-text.ts'
import { placeholder } from '../../format/rules.ts'
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
  const candidates = candidatesOf(specimens)
  const proposals: Proposal[] = []
  const unexplained = new Map<string, number>()
  for (const effect of new Set(specimens.flatMap(({ effects }) => effects))) {
    const open = new Set(specimens.flatMap(({ effects }, i) => (effects.includes(effect) ? [i] : [])))
    const pure = pureCandidates(candidates, open)
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
    // What is no text cannot stand in a rule file.
    if (!isPlainLine(showPath(path)) || pathFromText(showPath(path)) !== path) continue
    for (const pattern of generalised(path)) if (!patterns.has(pattern)) patterns.set(pattern, path)
  }
  return patterns
}

function generalised(path: RelPath): readonly string[] {
  const folder = parentPath(path)
  const within = folder === rootPath ? '' : `/${patternOf(folder)}`
  const suffix = /\.(?:so|[a-z]{1,8})(?=\.[0-9.]+$|$)/.exec(path.slice(path.lastIndexOf('/') + 1))?.[0]
  const kinds = suffix === undefined ? [] : [`${within}/*${suffix}${suffix.endsWith('.so') ? '*' : ''}`]
  return [...kinds, `${within}/*`, `/${patternOf(path)}`]
}

/** Of that path; what no set can hold is any character. */
function patternOf(path: RelPath): string {
  return showPath(path).replaceAll(/[*?[\]{}]/g, (char) => ('*?['.includes(char) ? `[${char}]` : '?'))
}

type Candidate = { readonly pattern: string; readonly at: number[]; readonly example: RelPath }

/** For each of the updates those patterns that a path of it has. */
function candidatesOf(specimens: readonly Specimen[]): readonly (readonly Candidate[])[] {
  const found = new Map<string, Candidate>()
  return specimens.map(({ paths }, i) =>
    [...patternsOf(paths)].map(([pattern, example]) => {
      const candidate = found.get(pattern) ?? { pattern, at: [], example }
      found.set(pattern, candidate)
      candidate.at.push(i)
      return candidate
    }),
  )
}

/** Patterns all of whose updates are among those with the effect. */
function pureCandidates(candidates: readonly (readonly Candidate[])[], having: ReadonlySet<number>): readonly Candidate[] {
  const all = new Set([...having].flatMap((i) => candidates[i] ?? []))
  return [...all].filter(({ at }) => at.every((i) => having.has(i)))
}

/** That which explains most; of equals the more general, then the first in order. */
function bestOf(candidates: readonly Candidate[], open: ReadonlySet<number>): Candidate | undefined {
  let best: { readonly candidate: Candidate; readonly worth: number } | undefined
  for (const candidate of candidates) {
    const { at, pattern } = candidate
    const explained = at.filter((i) => open.has(i)).length
    const worth = explained * 4 + (pattern.endsWith('/*') ? 1 : pattern.includes('*') ? 2 : 0)
    const isBetter = best === undefined || worth > best.worth || (worth === best.worth && pattern < best.candidate.pattern)
    if (explained > 0 && isBetter) best = { candidate, worth }
  }
  return best?.candidate
}

/** Nobody writes more by hand. */
const mostEffects = 256
const longestEffect = 1024

/**
 * What a script does beside putting files into place: its commands, as far as they can stand in a rule file.
 */
export function effectsOfScript(script: string): readonly string[] {
  const effects = new Set<string>()
  for (const line of script.replaceAll(/\\\n/g, ' ').split(/\n|;|&&|\|\|/)) {
    const command = line.trim().replace(/^(?:if|then|else|do|!|exec)\s+/, '')
    const word = /^(?:[A-Za-z_]\w*=\S*\s+)*(\/?[\w./-]+)/.exec(command)?.[1]
    if (word === undefined || command.startsWith('#') || idle.has(word.slice(word.lastIndexOf('/') + 1))) continue
    const effect = rebooting.test(command) ? 'reboot' : command.replaceAll(/\s+/g, ' ')
    if (isPlainLine(effect) && effect.length <= longestEffect && effect.search(placeholder) < 0) effects.add(effect)
  }
  return [...effects].slice(0, mostEffects)
}

const rebooting = /^(?:\/sbin\/)?(?:reboot|fastboot|shutdown\s+-r)\b/

/** Words of sh, and programs that copy and tell. */
const idle = new Set(
  'cp mv rm ln install mkdir rmdir chmod chown chflags touch cd echo printf exit return true false test [ fi done esac else if then for while case set export local read cat umask sync sleep unset shift local return : . PATH'.split(
    ' ',
  ),
)
