import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { BinderyError } from '../../base/error.ts'
import { schema1 } from './schema-1.ts'
import { schema2 } from './schema-2.ts'
import { schema3 } from './schema-3.ts'
import { schema4 } from './schema-4.ts'
import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { Tables } from './tables.ts'

/** In their order; a version that was released is never changed. */
const versions: Readonly<Record<string, readonly string[]>> = { '1': schema1, '2': schema2, '3': schema3, '4': schema4 }

/** Brings the schema `farm` to the newest version; two processes that try take turns. Throws `not-supported` for a newer one. */
export async function migrate(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => await Promise.resolve(migrations()) },
    migrationTableSchema: 'farm',
    migrationTableName: 'migration',
    migrationLockTableName: 'migration_lock',
  })
  const { error } = await migrator.migrateToLatest()
  if (error instanceof Error && error.message.startsWith('corrupted migrations'))
    throw new BinderyError('not-supported', 'the catalog has a version that this bindery does not know', {
      hint: 'a newer bindery made it',
      cause: error,
    })
  if (error !== undefined) throw error as Error
}

function migrations(): Record<string, Migration> {
  return Object.fromEntries(
    Object.entries(versions).map(([name, statements]) => [
      name,
      {
        up: async (db) => {
          for (const statement of statements) await sql.raw(statement).execute(db)
        },
      },
    ]),
  )
}
