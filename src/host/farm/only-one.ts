import { BinderyError } from '../../base/error.ts'
import type pg from 'pg'

/** The right to look after the farm in a database, wherever else somebody tries. */
export type Hold = {
  /** Takes it again where the server was restarted. Throws `locked` where another has it by now. */
  check(): Promise<void>
  release(): Promise<void>
}

/** A folder has a lock of its own. */
export const held: Hold = { check: async () => await Promise.resolve(), release: async () => await Promise.resolve() }

/** A lock of PostgreSQL lasts as long as its connection: nobody has to take it from a process that is dead. */
export async function holdServer(pool: pg.Pool): Promise<Hold> {
  let connection = await connected(pool)
  return {
    check: async () => {
      if (!connection.isBroken()) return
      await connection.release()
      connection = await connected(pool)
    },
    release: async () => await connection.release(),
  }
}

type Connection = { readonly isBroken: () => boolean; readonly release: () => Promise<void> }

async function connected(pool: pg.Pool): Promise<Connection> {
  const client = await pool.connect()
  let broken = false
  const notice = (): void => void (broken = true)
  client.on('error', notice).on('end', notice)
  // The connection is not used again: what it holds goes with it, but not at once, and the next one may be waiting.
  const release = async (): Promise<void> => {
    await client.query("select pg_advisory_unlock(hashtext('bindery farm run'))").catch(() => {})
    client.release(true)
  }
  const { rows } = await client
    .query<{ taken: boolean }>("select pg_try_advisory_lock(hashtext('bindery farm run')) as taken")
    .catch((error: unknown) => {
      client.release(true)
      throw error
    })
  if (rows[0]?.taken === true) return { isBroken: () => broken, release }
  client.release(true)
  throw new BinderyError('locked', 'another controller looks after the farm in this database', { subject: 'DATABASE_URL' })
}
