import { sweepFolder } from '../host/folder-store.ts'
import { signedFolder } from './farm-take-signed.ts'
import type { Build } from '../port/farm-build.ts'
import type { WantedAnew } from '../port/farm-catalog.ts'
import type { Context } from './command.ts'
import type { Controller } from './farm-controller.ts'
import type { LocalBuilder } from './farm-local-builder.ts'

/** What farm.toml says, into the catalog. Places of the controller build nothing yet, whatever the catalog says. */
export async function prepareFarm(controller: Controller, builders: readonly LocalBuilder[]): Promise<void> {
  const { config, farm, context, folder } = controller
  const { catalog, queue } = farm
  await sweepFolder(signedFolder(folder))
  tellAnew(context, await catalog.putBranches([...config.branches, ...config.releases], 'farm'))
  for (const { config: one } of builders) await catalog.putBuilder({ ...one, publicKey: undefined }, 'farm')
  const names = new Set(builders.map(({ config: { name } }) => name))
  const local = (await catalog.builders()).filter(({ publicKey }) => publicKey === undefined)
  for (const { name } of local) if (!names.has(name)) await catalog.removeBuilder(name, 'farm')
  const given = await queue.releaseAll(
    local.map(({ name }) => name),
    'the controller was started anew',
  )
  const repaired = await queue.repair()
  await tellLoad(controller)
  tellUnmade(controller)
  if (given.length > 0) context.say(`${given.length} builds that were being built wait again`)
  if (repaired > 0) context.say(`${repaired} builds were in no queue, and are again`)
}

function tellAnew({ say }: Context, { cancelled, waiting }: WantedAnew): void {
  for (const [line, builds] of byLine(cancelled)) say(`${line}: no longer in farm.toml: ${builds.length} builds are cancelled`)
  for (const [line, builds] of byLine(waiting)) say(`${line}: in farm.toml again: ${builds.length} builds wait`)
}

function byLine(builds: readonly Build[]): ReadonlyMap<string, readonly Build[]> {
  return Map.groupBy(builds, ({ branch, arch }) => `${branch}/${arch}`)
}

/** Beyond this, pages and claims of PGlite take long: it has one connection. */
const comfortable = { builds: 200_000, builders: 8 }

async function tellLoad({ farm: { engine, catalog }, context }: Controller): Promise<void> {
  if (engine.kind !== 'pglite') return
  const builds = (await catalog.counts()).reduce((sum, { count }) => sum + count, 0)
  const builders = (await catalog.builders()).length
  if (builds <= comfortable.builds && builders <= comfortable.builders) return
  context.say(
    `the database in the folder has ${builds} builds and ${builders} builders: a PostgreSQL serves so many better (farm export, DATABASE_URL)`,
  )
}

/** Builders on other machines get no releases to make. */
function tellUnmade({ config: { releases, builders }, context }: Controller): void {
  for (const { name, release, archs, tags } of releases)
    for (const arch of archs) {
      const able = builders.some(
        (one) =>
          one.arch === arch && (one.releases.length === 0 || one.releases.includes(release)) && tags.every((tag) => one.tags.includes(tag)),
      )
      if (!able) context.say(`${name}/${arch}: no [builder] of farm.toml is for it, and nobody else makes releases`)
    }
}
