// Which modules share a chunk of the bundle. By itself esbuild makes one of each set of modules that the same verbs use, dozens for a verb; but opening a
// file takes as long as tens of kilobytes of code that is not run. So there are fewer, larger groups, and whoever needs one module loads its whole group.
import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'

/** What opening one more file costs, in bytes of code (doc/decisions/0155). */
const fileCost = 40_000

/** An esbuild plugin for the bundle of `program` that `metafile` tells of: the entries also import what they are to share. */
export function sharedChunks(program, metafile) {
  const more = moreImports(program, metafile)
  const setup = (build) =>
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const others = more.get(relative('.', path)) ?? []
      if (others.length === 0) return undefined
      const imports = others.map((other) => `import ${JSON.stringify(resolve(other))};`)
      return { contents: imports.join('') + readFileSync(path, 'utf8'), loader: 'ts' }
    })
  return { name: 'shared-chunks', setup }
}

/** Of each entry the modules that it does not use, and loads with those that it does. */
function moreImports(program, metafile) {
  const uses = usesOf(metafile)
  const groupOf = new Map(groupsOf(program, metafile, uses).flatMap(({ modules }) => modules.map((module) => [module, modules])))
  return new Map(
    [...uses].map(([entry, used]) => {
      const loaded = reach(used, (module) => [...(groupOf.get(module) ?? []), ...importsOf(metafile, module)])
      return [entry, [...loaded.difference(used)].filter((module) => module.endsWith('.ts'))]
    }),
  )
}

/** What each entry uses: the program, and what is loaded only when it is needed. */
function usesOf(metafile) {
  const entries = Object.values(metafile.outputs).flatMap(({ entryPoint }) => entryPoint ?? [])
  return new Map(entries.map((entry) => [entry, reach([entry], (module) => importsOf(metafile, module))]))
}

function importsOf({ inputs }, module) {
  return (inputs[module]?.imports ?? []).filter(({ path, kind }) => kind !== 'dynamic-import' && path in inputs).map(({ path }) => path)
}

function reach(from, next) {
  const reached = new Set(from)
  // A set that grows while it is walked is walked to its end.
  for (const one of reached) for (const other of next(one)) reached.add(other)
  return reached
}

/** Modules that the same entries use, joined with others as long as it pays. The program's own are always there. */
function groupsOf(program, metafile, uses) {
  const groups = new Map()
  for (const [module, size] of sizesOf(metafile)) {
    if (uses.has(module)) continue
    const isThere = uses.get(program).has(module)
    const users = [...uses.keys()].filter((entry) => isThere || uses.get(entry).has(module))
    const group = groups.get(users.join()) ?? { modules: [], size: 0, users: new Set(users) }
    groups.set(users.join(), { ...group, modules: [...group.modules, module], size: group.size + size })
  }
  return joined([...groups.values()], metafile)
}

function sizesOf({ outputs }) {
  return Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs).map(([path, { bytesInOutput }]) => [path, bytesInOutput]))
}

function joined(groups, metafile) {
  const needs = needsOf(groups, metafile)
  const best = bestPair(groups, needs)
  if (best === undefined) return groups
  const { one, other, users } = best
  const modules = [...one.modules, ...other.modules]
  const both = { modules, size: one.size + other.size, users }
  const needed = needs.get(one).union(needs.get(other))
  const rest = groups.filter((group) => group !== one && group !== other)
  return joined([...rest.map((group) => (needed.has(group) ? { ...group, users: group.users.union(users) } : group)), both], metafile)
}

/** Of each group those that are loaded with it. */
function needsOf(groups, metafile) {
  const groupOf = new Map(groups.flatMap((group) => group.modules.map((module) => [module, group])))
  const direct = new Map(
    groups.map((group) => [
      group,
      group.modules.flatMap((module) => importsOf(metafile, module).flatMap((other) => groupOf.get(other) ?? [])),
    ]),
  )
  return new Map(groups.map((group) => [group, reach([group], (one) => direct.get(one))]))
}

/** Those that are best joined: the most promising are looked at first, and the rest not at all. */
function bestPair(groups, needs) {
  const pairs = groups.flatMap((one, i) => groups.slice(i + 1).map((other) => ({ one, other, most: mostGain(one, other) })))
  let best = { gain: 0 }
  for (const { one, other, most } of pairs.toSorted((a, b) => b.most - a.most)) {
    if (most <= best.gain) break
    const users = one.users.union(other.users)
    const gain =
      most -
      costOf(
        users,
        needs
          .get(one)
          .union(needs.get(other))
          .difference(new Set([one, other])),
      )
    if (gain > best.gain) best = { one, other, users, gain }
  }
  return best.gain === 0 ? undefined : best
}

/** One file less for whoever uses both, code that is not run for whoever uses one. */
function mostGain(one, other) {
  const both = one.users.intersection(other.users).size
  return fileCost * both - (one.users.size - both) * other.size - (other.users.size - both) * one.size
}

/** What they need is then loaded by whoever uses one of them. */
function costOf(users, needed) {
  return [...needed].reduce((sum, group) => sum + users.difference(group.users).size * (group.size + fileCost), 0)
}
