import { openEngine } from './engine.ts'
import { migrate } from './migrate.ts'
import { databaseError } from './database-error.ts'
import type { Engine, FarmPlace } from './engine.ts'

/** The database of a farm at its newest version. */
export async function openFarmDatabase(place: FarmPlace, verb: string): Promise<Engine> {
  const engine = await openEngine(place, verb)
  try {
    await migrate(engine.db)
    return engine
  } catch (error) {
    await engine.close()
    throw databaseError(error, place.kind === 'folder' ? place.folder : 'DATABASE_URL')
  }
}

export function farmPlace(folder: string, url: string | undefined): FarmPlace {
  return url === undefined || url === '' ? { kind: 'folder', folder } : { kind: 'postgres', url }
}
