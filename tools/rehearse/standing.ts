import { describe, differences, type Description } from './judge.ts'
import { states, type State } from './packages.ts'
import { partsOf, type Part } from './publish.ts'
import type { Systems } from './systems.ts'

/** Which state each part of a machine is in. */
export type Standing = Readonly<Partial<Record<Part, State>>>

/** Every standing that is whole, and what the machine is then: the trees it was made of, and what is its own. */
export type Standings = readonly { readonly standing: Standing; readonly wanted: Description }[]

export async function wholeStandings(systems: Systems, machine: string): Promise<Standings> {
  const trees = new Map<string, Description>()
  for (const state of states) {
    for (const part of partsOf(systems)) trees.set(`${part} ${state}`, await describe(systems[state][part] ?? ''))
  }
  const treeOf = (part: Part, state: State): Description => trees.get(`${part} ${state}`) ?? new Map()
  const own = [...(await describe(machine))].filter(
    ([path]) => !treeOf('base', 'release').has(path) && !treeOf('kernel', 'release').has(path),
  )
  const kernels = partsOf(systems).includes('kernel') ? states : (['release'] as const)
  return states.flatMap((base) =>
    kernels.map((kernel) => ({
      standing: partsOf(systems).includes('kernel') ? { base, kernel } : { base },
      wanted: new Map([...own, ...treeOf('kernel', kernel), ...treeOf('base', base)]),
    })),
  )
}

/** A machine that is neither of them, wholly, ends the rehearsal. */
export async function findStanding(standings: Standings, machine: string): Promise<Standing> {
  const seen = await describe(machine)
  const tried = standings.map(({ standing, wanted }) => ({ standing, found: differences(seen, wanted) }))
  const [nearest] = tried.toSorted((a, b) => a.found.length - b.found.length)
  if (nearest === undefined || nearest.found.length > 0) {
    const { standing, found } = nearest as (typeof tried)[number]
    throw new Error(
      `the machine is not whole: ${found.length} paths are not those of ${showStanding(standing)}\n${found.slice(0, 20).join('\n')}`,
    )
  }
  return nearest.standing
}

export function showStanding(standing: Standing): string {
  return Object.entries(standing)
    .map(([part, state]) => `${part} ${state}`)
    .join(', ')
}
