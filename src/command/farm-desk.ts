import { join } from 'node:path'
import { hex } from '../base/bytes.ts'
import { joinPath } from '../base/path.ts'
import { openDesk, sweepIncoming } from '../engine/farm/remote/desk.ts'
import { decodePublicKeyLine } from '../format/signify.ts'
import { hostDisk } from '../host/disk.ts'
import { spoolToSource } from '../host/source.ts'
import { builderRoutes } from '../web/builder-routes.ts'
import { builtFolder, takeInto } from './farm-built-folder.ts'
import { farmKey } from './farm-key.ts'
import type { BuilderKey } from '../engine/farm/remote/check-call.ts'
import type { DeskWorld } from '../engine/farm/remote/desk.ts'
import type { Clock, Random } from '../port/ambient.ts'
import type { FarmCatalog } from '../port/farm-catalog.ts'
import type { RouteModule } from '../web/server.ts'

/** What a controller needs so that builders on other machines can call it. */
export type FarmDesk = Pick<DeskWorld, 'queue' | 'leaseSeconds' | 'tell'> & {
  /** Of the farm. */
  readonly folder: string
  readonly catalog: Pick<FarmCatalog, 'builders' | 'noteBuilder'>
  readonly clock: Clock
  readonly random: Random
}

/** Routes for the web server of the controller (src/web/server.ts). */
export async function deskRoutes({ folder, queue, catalog, leaseSeconds, clock, random, tell }: FarmDesk): Promise<RouteModule> {
  // Builders are given the public half.
  const files = { secret: join(folder, 'controller.sec'), public: join(folder, 'controller.pub') }
  const signer = await farmKey(random, { ...files, comment: 'farm controller' })
  const disk = hostDisk(folder)
  const spool: DeskWorld['spool'] = async (stream) => await spoolToSource(stream, folder)
  const taking: DeskWorld['takeIn'] = async ({ build, release }, packages, from) => {
    const { branch, arch, packages: list } = build
    await takeInto(builtFolder(folder, branch, arch), { release, arch, list, packages, open: (file) => disk.read(joinPath(from, file)) })
  }
  await sweepIncoming({ disk, queue })
  const desk = openDesk({ queue, catalog, disk, spool, takeIn: taking, leaseSeconds, tell })
  return builderRoutes({ desk, signer, clock, tell, keyOf: keysOf(catalog, clock) })
}

/** How long what was read last counts: for a key that was there, and for one that was not. */
const goodMs = { known: 2000, unknown: 200 }

/** A builder that is new is known at once; one that was removed, soon. Who has no key cannot keep the database busy. */
function keysOf(catalog: Pick<FarmCatalog, 'builders'>, clock: Clock): (keynum: string) => Promise<BuilderKey | undefined> {
  let keys: ReadonlyMap<string, BuilderKey> = new Map()
  let read = -Infinity
  return async (keynum) => {
    if (clock.now() - read > (keys.has(keynum) ? goodMs.known : goodMs.unknown)) {
      keys = new Map(
        (await catalog.builders()).flatMap(({ name, publicKey }) => (publicKey === undefined ? [] : [keyEntry(name, publicKey)])),
      )
      read = clock.now()
    }
    return keys.get(keynum)
  }
}

function keyEntry(name: string, line: string): readonly [string, BuilderKey] {
  const { keynum, publicKey } = decodePublicKeyLine(line)
  return [hex(keynum), { name, publicKey }]
}
