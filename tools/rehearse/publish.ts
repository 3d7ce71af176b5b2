import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, line, megabytes } from '../demo/stage.ts'
import { states, type State } from './packages.ts'
import type { Systems } from './systems.ts'

/** What a machine follows, each with the product that its releases are of. */
export const products = { base: 'base', kernel: 'kernel-debian' } as const
export type Part = keyof typeof products

export function partsOf({ release }: Systems): readonly Part[] {
  return release.kernel === undefined ? ['base'] : ['base', 'kernel']
}

/** Cuts what a system is made of in one state, and publishes it with deltas from the states before. */
export async function publishState(work: string, systems: Systems, state: State): Promise<void> {
  for (const part of partsOf(systems)) {
    const file = `${products[part]}-${state}.tar.zst`
    const date = `2026010${states.indexOf(state) + 1}`
    const name = ['--product', products[part], '--revision', state, '--date', date, '--arch', 'amd64']
    const before = deltas(work)
    const cut = await bindery(work, ['cut', systems[state][part] ?? '', '-o', file, ...name])
    // A kernel has no run-time linker by which its system would be known.
    const publish = await bindery(work, ['publish', '-r', 'repo', '-k', 'keys', '--jobs', '2', '--system', 'linux', file])
    const made = deltas(work).filter((one) => !before.includes(one))
    const sizes = made.map((one) => megabytes(statSync(one).size))
    const result = `${megabytes(statSync(join(work, file)).size)}${made.length === 0 ? '' : `, deltas ${sizes.join(', ')}`}`
    line(`cut, publish ${products[part]} ${state}`, cut.seconds + publish.seconds, result)
  }
}

function deltas(work: string): readonly string[] {
  return globSync(join(work, 'repo/blobs/**/*.delta'))
}
