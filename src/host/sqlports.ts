import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { BinderyError, toldOf } from '../base/error.ts'
import type { ListedPackage, PortsList } from '../port/ports-list.ts'

/**
 * The ports of an OpenBSD ports tree out of sqlports(5), an SQLite database. Its schema has changed several times: tables
 * were plain text, then numbers that refer to tables of paths and words, then got an underscore and views of their names.
 * So nothing is supposed that the database does not say itself: a column that refers to another table is read through it.
 */
export function readSqlports(file: string): PortsList {
  if (!existsSync(file)) throw new BinderyError('not-found', 'does not exist', { subject: file })
  try {
    const database = new DatabaseSync(file, { readOnly: true })
    try {
      return { ports: portsOf(database), source: file }
    } finally {
      database.close()
    }
  } catch (cause) {
    if (cause instanceof BinderyError) throw toldOf(cause, file)
    throw new BinderyError('bad-format', `cannot be read as sqlports: ${(cause as Error).message}`, { subject: file, cause })
  }
}

function portsOf(database: DatabaseSync): ReadonlyMap<string, readonly ListedPackage[]> {
  const paths = rows(database, 'Paths', ['FULLPKGPATH', 'PKGPATH'])
  if (paths === undefined) throw new BinderyError('bad-format', 'is no sqlports: it has no table of paths')
  const onlyFor = valuesByPath(rows(database, 'OnlyForArch', ['FULLPKGPATH', 'VALUE']))
  const notFor = valuesByPath(rows(database, 'NotForArch', ['FULLPKGPATH', 'VALUE']))
  const broken = brokenByPath(rows(database, 'Broken', ['FULLPKGPATH', 'ARCH', 'VALUE']))
  const ports = new Map<string, ListedPackage[]>()
  for (const [path, stripped] of paths) {
    if (path === null || path === undefined) continue
    const port = stripped ?? path.replace(/,.*/, '')
    const listed: ListedPackage = {
      fullpkgpath: path,
      onlyFor: onlyFor.get(path),
      notFor: notFor.get(path) ?? [],
      broken: broken.get(path) ?? [],
    }
    ports.set(port, [...(ports.get(port) ?? []), listed])
  }
  return ports
}

type Text = string | null
type Rows = readonly (readonly Text[])[]

function valuesByPath(found: Rows | undefined): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, readonly string[]>()
  // A list of words is one row for each, or one row of all.
  for (const [path, value] of found ?? []) {
    if (typeof path === 'string' && typeof value === 'string')
      values.set(path, [...(values.get(path) ?? []), ...value.split(/\s+/).filter((word) => word !== '')])
  }
  return values
}

function brokenByPath(found: Rows | undefined): ReadonlyMap<string, ListedPackage['broken']> {
  const broken = new Map<string, ListedPackage['broken']>()
  for (const [path, arch, why] of found ?? []) {
    if (typeof path === 'string') broken.set(path, [...(broken.get(path) ?? []), { arch: arch ?? undefined, why: why ?? '' }])
  }
  return broken
}

/** The texts of these columns of `_NAME` or `NAME`; undefined where there is none. A column that is missing is null. */
function rows(database: DatabaseSync, name: string, columns: readonly string[]): Rows | undefined {
  const table = [`_${name}`, name].find((candidate) => columnsOf(database, candidate).length > 0)
  if (table === undefined) return undefined
  const present = new Set(columnsOf(database, table))
  const texts = columns.map((column) => (present.has(column) ? textOf(database, table, column) : 'NULL'))
  const statement = database.prepare(`SELECT ${texts.map((text, index) => `${text} AS c${index}`).join(', ')} FROM "${table}" AS t`)
  return statement.all().map((row) => columns.map((_, index) => textIn(row[`c${index}`])))
}

function textIn(value: unknown): Text {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null
}

function columnsOf(database: DatabaseSync, table: string): readonly string[] {
  return database
    .prepare('SELECT name FROM pragma_table_info(?)')
    .all(table)
    .map(({ name }) => String(name).toUpperCase())
}

/** The column itself, or the text of what it refers to: a path, or a word of a table of words. */
function textOf(database: DatabaseSync, table: string, column: string): string {
  const reference = database
    .prepare('SELECT "table" AS target, "to" AS key FROM pragma_foreign_key_list(?) WHERE upper("from") = ?')
    .get(table, column)
  if (reference === undefined) return `t."${column}"`
  const target = String(reference['target'])
  const text = ['FULLPKGPATH', 'VALUE'].find((candidate) => columnsOf(database, target).includes(candidate))
  if (text === undefined) throw new BinderyError('bad-format', `'${column}' of '${table}' refers to '${target}', which holds no text`)
  return `(SELECT r."${text}" FROM "${target}" AS r WHERE r."${String(reference['key'] ?? 'ID')}" = t."${column}")`
}
