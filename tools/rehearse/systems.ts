import { existsSync, readdirSync, renameSync, rmSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { choosePackages, fetchPackages, states } from './packages.ts'
import { unpackKernels, unpackSystem } from './unpack.ts'
import type { Packages, Slice, State } from './packages.ts'

/** The trees of one state; `kernel` is only there where the mirrors have a kernel in several versions. */
export type System = { readonly base: string; readonly kernel?: string }
export type Systems = Readonly<Record<State, System>> & { readonly packages: Readonly<Record<State, Packages>> }

/** Fetched and unpacked once below `home`: a second run needs no network. */
export async function prepareSystems(slice: Slice, home: string): Promise<Systems> {
  const packages = choosePackages(slice, home)
  const missing = states.flatMap((state) => treesOf(packages[state], join(home, state))).filter(({ tree }) => !existsSync(tree))
  if (missing.length > 0) {
    // Most packages are of several states.
    const folder = fetchPackages([...new Set(missing.flatMap(({ specs }) => specs))], join(home, 'debs'))
    const files = readdirSync(folder)
    await Promise.all(missing.map(async (tree) => await prepareTree(tree, (spec) => join(folder, fileOf(spec, files)))))
    rmSync(folder, { recursive: true })
  }
  const at = (state: State): System => systemAt(packages[state], join(home, state))
  return { release: at('release'), halfway: at('halfway'), present: at('present'), packages }
}

function systemAt({ kernels }: Packages, home: string): System {
  return { base: join(home, 'base'), ...(kernels.length === 0 ? {} : { kernel: join(home, 'kernel') }) }
}

type Tree = { readonly tree: string; readonly specs: readonly string[]; readonly unpack: typeof unpackSystem }

function treesOf({ base, kernels }: Packages, home: string): readonly Tree[] {
  const all = [
    { tree: join(home, 'base'), specs: base, unpack: unpackSystem },
    { tree: join(home, 'kernel'), specs: kernels, unpack: unpackKernels },
  ]
  return all.filter(({ specs }) => specs.length > 0)
}

async function prepareTree({ tree, specs, unpack }: Tree, deb: (spec: string) => string): Promise<void> {
  rmSync(`${tree}.part`, { recursive: true, force: true })
  mkdirSync(`${tree}.part`, { recursive: true })
  await unpack(specs.map(deb), `${tree}.part`)
  renameSync(`${tree}.part`, tree)
}

/** An epoch's colon is written as apt-get does it; a kernel's spec has no version but the one in its name. */
function fileOf(spec: string, files: readonly string[]): string {
  const [name = spec, version] = spec.split('=')
  const start = version === undefined ? `${name}_` : `${name}_${version.replace(':', '%3a')}_`
  const file = files.find((one) => one.startsWith(start))
  if (file === undefined) throw new Error(`apt-get brought no file of ${spec}`)
  return file
}
