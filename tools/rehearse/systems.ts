import { existsSync, readdirSync, renameSync, rmSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { choosePackages, fetchPackages } from './packages.ts'
import { unpackKernels, unpackSystem } from './unpack.ts'
import type { Packages, Slice, State } from './packages.ts'

/** The trees of one state; `kernel` is only there where the mirrors have a kernel in several versions. */
export type System = { readonly base: string; readonly kernel?: string }
export type Systems = Readonly<Record<State, System>> & { readonly packages: Readonly<Record<State, Packages>> }

/** Fetched and unpacked once below `home`: a second run needs no network. */
export function prepareSystems(slice: Slice, home: string): Systems {
  const packages = choosePackages(slice, home)
  const at = (state: State): System => prepareSystem(packages[state], join(home, state))
  return { release: at('release'), halfway: at('halfway'), present: at('present'), packages }
}

function prepareSystem({ base, kernels }: Packages, home: string): System {
  prepareTree(base, join(home, 'base'), unpackSystem)
  if (kernels.length === 0) return { base: join(home, 'base') }
  prepareTree(kernels, join(home, 'kernel'), unpackKernels)
  return { base: join(home, 'base'), kernel: join(home, 'kernel') }
}

function prepareTree(specs: readonly string[], tree: string, unpack: (debs: readonly string[], root: string) => void): void {
  if (existsSync(tree)) return
  const folder = fetchPackages(specs, `${tree}.debs`)
  const files = readdirSync(folder)
  const debs = specs.map((spec) => join(folder, fileOf(spec, files)))
  rmSync(`${tree}.part`, { recursive: true, force: true })
  mkdirSync(`${tree}.part`)
  unpack(debs, `${tree}.part`)
  renameSync(`${tree}.part`, tree)
  rmSync(folder, { recursive: true })
}

function fileOf(spec: string, files: readonly string[]): string {
  const [name = spec] = spec.split('=')
  const file = files.find((one) => one.startsWith(`${name}_`))
  if (file === undefined) throw new Error(`apt-get brought no file of ${spec}`)
  return file
}
