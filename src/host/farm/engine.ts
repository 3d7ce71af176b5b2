import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect, PostgresDialect } from 'kysely'
import pg from 'pg'
import { hostLocker } from '../lock.ts'
import { databaseError } from './database-error.ts'
import { held, holdServer } from './only-one.ts'
import type { Db as QueueDatabase } from 'pg-boss'
import type { Hold } from './only-one.ts'
import type { Tables } from './tables.ts'

/** Where the catalog lives: in a folder, without a server, or in a PostgreSQL, which many processes share. */
export type FarmPlace = { readonly kind: 'folder'; readonly folder: string } | { readonly kind: 'postgres'; readonly url: string }

export type Engine = {
  readonly kind: 'pglite' | 'postgres'
  readonly db: Kysely<Tables>
  /** For the queue, which has statements of its own. */
  readonly queueDb: QueueDatabase
  readonly close: () => Promise<void>
  /** For one controller at a time; `locked` where there is another. */
  readonly hold: () => Promise<Hold>
}

/** `verb` is who is named to others that want the folder meanwhile. */
export async function openEngine(place: FarmPlace, verb: string): Promise<Engine> {
  return place.kind === 'folder' ? await openFolder(place.folder, verb) : await openPostgres(place.url)
}

/** PGlite takes no lock, and a second opener would damage the folder; the lock lies beside it, where the database removes nothing. */
async function openFolder(folder: string, verb: string): Promise<Engine> {
  await mkdir(join(folder, 'db.lock'), { recursive: true })
  const lock = await hostLocker(join(folder, 'db.lock')).take(verb)
  try {
    return await openPglite(await PGlite.create(join(folder, 'db')), async () => await lock.release())
  } catch (error) {
    await lock.release()
    throw databaseError(error, join(folder, 'db'))
  }
}

async function openPglite(pglite: PGlite, released: () => Promise<void>): Promise<Engine> {
  const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) })
  return {
    kind: 'pglite',
    db,
    queueDb: pgliteQueue(db, pglite),
    hold: async () => await Promise.resolve(held),
    close: async () => {
      await db.destroy()
      await pglite.close().catch(() => {})
      await released()
    },
  }
}

/**
 * There is one connection: whoever uses it holds it for as long as a transaction lasts, so that a statement of the queue is never part of
 * somebody else's. Several statements in one text go the simple way, and what is left of a failed transaction is rolled back.
 */
function pgliteQueue(db: Kysely<Tables>, pglite: PGlite): QueueDatabase {
  return {
    executeSql: async (text, values) =>
      await db.connection().execute(async () => {
        try {
          if (values !== undefined && values.length > 0) return { rows: (await pglite.query(text, values)).rows }
          return { rows: (await pglite.exec(text)).flatMap(({ rows }) => rows) }
        } catch (error) {
          await pglite.exec('rollback').catch(() => {})
          throw error
        }
      }),
  }
}

const bigintOid = 20

async function openPostgres(url: string): Promise<Engine> {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    application_name: 'bindery',
    types: {
      getTypeParser: ((oid: number, format: 'text' | 'binary') =>
        oid === bigintOid ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  })
  // A connection that breaks while nobody uses it is opened anew by whoever needs one.
  pool.on('error', () => {})
  // One that breaks between two statements of a transaction says so to nobody; the next statement does.
  pool.on('connect', (client) => void client.on('error', () => {}))
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  try {
    await pool.query('select 1')
  } catch (error) {
    await pool.end()
    throw databaseError(error, 'DATABASE_URL')
  }
  const hold = async (): Promise<Hold> => await holdServer(pool)
  return { kind: 'postgres', db, queueDb: poolQueue(pool), hold, close: async () => await db.destroy() }
}

function poolQueue(pool: pg.Pool): QueueDatabase {
  return {
    executeSql: async (text, values) => {
      // Several statements in one text have a result each.
      const results = [await pool.query(text, values)].flat()
      return { rows: results.flatMap(({ rows }) => rows as unknown[]) }
    },
  }
}
