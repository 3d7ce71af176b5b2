import { sql } from 'kysely'
import { BinderyError } from '../../base/error.ts'
import { inTransaction } from './world.ts'
import type { Kysely, Transaction } from 'kysely'
import type { Tables } from './tables.ts'

/**
 * A whole catalog as lines of JSON, and back: from one engine to the other, or to a newer machine. The queue is not in it: it is made anew
 * from the builds that wait.
 */
const tables = [
  { name: 'branch', key: 'name' },
  { name: 'builder', key: 'name' },
  { name: 'operator', key: 'name' },
  { name: 'mirror', key: 'place' },
  { name: 'source_state', key: 'id' },
  { name: 'update', key: 'id' },
  { name: 'build', key: 'id' },
  { name: 'attempt', key: 'id' },
  { name: 'package', key: 'id' },
  { name: 'handover', key: 'id' },
  { name: 'handover_package', key: 'handover, package' },
  { name: 'publication', key: 'id' },
  { name: 'sighting', key: 'id' },
  { name: 'report', key: 'machine, channel' },
  { name: 'event', key: 'id' },
] as const

type TableName = (typeof tables)[number]['name']

const format = 'bindery-farm'
const version = 1
const rowsAtOnce = 1000

/** As of one moment, whatever is written meanwhile. */
export async function exportCatalog(db: Kysely<Tables>, write: (line: string) => Promise<void>): Promise<void> {
  await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (tx) => {
      await write(JSON.stringify({ format, version }))
      for (const { name, key } of tables) await exportTable(tx, name, key, write)
    })
}

async function exportTable(tx: Transaction<Tables>, name: TableName, key: string, write: (line: string) => Promise<void>): Promise<void> {
  const columns = sql.raw(key)
  for (let last: string | undefined; ;) {
    const after =
      last === undefined
        ? sql``
        : sql`where row(${columns}) > (select ${columns} from jsonb_populate_record(null::${tableOf(name)}, ${last}::jsonb))`
    const { rows } = await sql<{ row: string }>`
      select to_jsonb(found)::text as row from (
        select * from ${tableOf(name)} ${after} order by ${columns} limit ${sql.lit(rowsAtOnce)}) found`.execute(tx)
    for (const { row } of rows) await write(`{"table":"${name}","row":${row}}`)
    last = rows.at(-1)?.row
    if (rows.length < rowsAtOnce) return
  }
}

function tableOf(name: TableName): ReturnType<typeof sql.table> {
  return sql.table(`farm.${name}`)
}

/** Into a catalog that is empty, all or nothing. Throws `exists`, `bad-format`. Builds that were being built wait again. */
export async function importCatalog(db: Kysely<Tables>, lines: AsyncIterable<string>): Promise<number> {
  return await inTransaction({ db }, async (tx) => {
    await refuseFilled(tx)
    const count = await importLines(tx, lines)
    await sql`update farm.attempt set ended_at = now(), outcome = 'lost', why = 'the farm was imported' where ended_at is null`.execute(tx)
    await sql`update farm.build set state = 'waiting', since = now() where state = 'building'`.execute(tx)
    await sql`update farm.build set job = null where job is not null`.execute(tx)
    for (const { name, key } of tables)
      if (key === 'id')
        await sql`select setval(pg_get_serial_sequence(${`farm.${name}`}, 'id'), coalesce(max(id), 0) + 1, false) from ${tableOf(name)}`.execute(
          tx,
        )
    return count
  })
}

async function refuseFilled(tx: Transaction<Tables>): Promise<void> {
  const found = await tx.selectFrom('farm.branch').select('name').limit(1).executeTakeFirst()
  if (found !== undefined) throw new BinderyError('exists', 'the farm is not empty', { hint: 'import into a new one' })
}

async function importLines(tx: Transaction<Tables>, lines: AsyncIterable<string>): Promise<number> {
  let number = 0
  let batch: { table: TableName; rows: unknown[] } | undefined
  const flush = async (): Promise<void> => {
    if (batch !== undefined) await insertRows(tx, batch.table, batch.rows)
    batch = undefined
  }
  for await (const line of lines) {
    number++
    const record = recordOf(line, number)
    if (number === 1) refuseOther(record)
    else {
      const { name } = tableNamed(record, number)
      if (batch?.table !== name || batch.rows.length >= rowsAtOnce) await flush()
      batch ??= { table: name, rows: [] }
      batch.rows.push(record['row'])
    }
  }
  await flush()
  if (number === 0) throw new BinderyError('bad-format', 'is empty')
  return number - 1
}

type Line = Readonly<Record<string, unknown>>

function recordOf(line: string, number: number): Line {
  try {
    const record: unknown = JSON.parse(line)
    if (typeof record === 'object' && record !== null) return record as Line
  } catch {
    // Told below.
  }
  throw new BinderyError('bad-format', `line ${number} is no record of a farm`)
}

function refuseOther(record: Line): void {
  if (record['format'] !== format) throw new BinderyError('bad-format', 'is no export of a farm')
  if (record['version'] !== version)
    throw new BinderyError('not-supported', `has version ${String(record['version'])}`, { hint: 'a newer bindery wrote it' })
}

function tableNamed(record: Line, number: number): (typeof tables)[number] {
  const table = tables.find(({ name }) => name === record['table'])
  if (table === undefined) throw new BinderyError('bad-format', `line ${number} is of no table of a farm`)
  return table
}

async function insertRows(tx: Transaction<Tables>, name: TableName, rows: readonly unknown[]): Promise<void> {
  try {
    await sql`insert into ${tableOf(name)} overriding system value
      select * from jsonb_populate_recordset(null::${tableOf(name)}, ${JSON.stringify(rows)}::jsonb)`.execute(tx)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new BinderyError('bad-format', `what it says of ${name} does not hold: ${message}`, { cause })
  }
}
