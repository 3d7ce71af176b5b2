import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { readSqlports } from '../src/host/sqlports.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { ListedPackage } from '../src/port/ports-list.ts'

/** The same two ports in each generation of the schema. */
const generations: Readonly<Record<string, string>> = {
  'plain text': `
    CREATE TABLE Paths (FULLPKGPATH TEXT NOT NULL PRIMARY KEY, PKGPATH TEXT NOT NULL);
    CREATE TABLE Broken (FULLPKGPATH TEXT NOT NULL, ARCH TEXT, VALUE TEXT NOT NULL);
    CREATE TABLE OnlyForArch (FULLPKGPATH TEXT NOT NULL, VALUE TEXT NOT NULL);
    INSERT INTO Paths VALUES ('editors/vim', 'editors/vim'), ('editors/vim,gtk2,-lang', 'editors/vim'), ('net/curl', 'net/curl');
    INSERT INTO Broken VALUES ('net/curl', 'sparc64', 'SIGBUS');
    INSERT INTO OnlyForArch VALUES ('editors/vim,gtk2,-lang', 'amd64'), ('editors/vim,gtk2,-lang', 'arm64')`,
  'numbers, each path its own port': `
    CREATE TABLE Paths (ID INTEGER PRIMARY KEY, FULLPKGPATH TEXT NOT NULL UNIQUE, PKGPATH INTEGER NOT NULL REFERENCES Paths(ID));
    CREATE TABLE Arch (KEYREF INTEGER PRIMARY KEY AUTOINCREMENT, VALUE TEXT NOT NULL UNIQUE);
    CREATE TABLE Broken (FULLPKGPATH INTEGER NOT NULL REFERENCES Paths(ID), ARCH INTEGER REFERENCES Arch(KEYREF), VALUE TEXT NOT NULL);
    CREATE TABLE OnlyForArch (FULLPKGPATH INTEGER NOT NULL REFERENCES Paths(ID), VALUE INTEGER NOT NULL REFERENCES Arch(KEYREF));
    INSERT INTO Paths VALUES (1, 'editors/vim', 1), (2, 'editors/vim,gtk2,-lang', 1), (3, 'net/curl', 3);
    INSERT INTO Arch VALUES (1, 'sparc64'), (2, 'amd64'), (3, 'arm64');
    INSERT INTO Broken VALUES (3, 1, 'SIGBUS');
    INSERT INTO OnlyForArch VALUES (2, 2), (2, 3)`,
  'numbers below views, a port without a path of its port': `
    CREATE TABLE _Paths (ID INTEGER PRIMARY KEY, FULLPKGPATH TEXT NOT NULL UNIQUE, PKGPATH INTEGER REFERENCES _Paths(ID),
      CANONICAL INTEGER REFERENCES _Paths(ID));
    CREATE TABLE _Arch (KEYREF INTEGER PRIMARY KEY AUTOINCREMENT, VALUE TEXT NOT NULL UNIQUE);
    CREATE TABLE _Broken (FULLPKGPATH INTEGER NOT NULL REFERENCES _Paths(ID), ARCH INTEGER REFERENCES _Arch(KEYREF), VALUE TEXT NOT NULL);
    CREATE TABLE _OnlyForArch (FULLPKGPATH INTEGER NOT NULL REFERENCES _Paths(ID), VALUE INTEGER NOT NULL REFERENCES _Arch(KEYREF),
      N INTEGER NOT NULL);
    CREATE VIEW Paths AS SELECT p.ID AS pathid, p.FULLPKGPATH AS fullpkgpath, q.FULLPKGPATH AS pkgpath FROM _Paths p
      LEFT JOIN _Paths q ON q.ID = p.PKGPATH;
    CREATE TABLE Meta (SchemaVersion TEXT, Hash TEXT, CurrentDate TEXT);
    INSERT INTO _Paths VALUES (1, 'editors/vim', NULL, 1), (2, 'editors/vim,gtk2,-lang', 1, 2), (3, 'net/curl', NULL, 3);
    INSERT INTO _Arch VALUES (1, 'sparc64'), (2, 'amd64'), (3, 'arm64');
    INSERT INTO _Broken VALUES (3, 1, 'SIGBUS');
    INSERT INTO _OnlyForArch VALUES (2, 2, 0), (2, 3, 1)`,
}

const free = { onlyFor: undefined, notFor: [], broken: [] }
const expected: ReadonlyMap<string, readonly ListedPackage[]> = new Map([
  [
    'editors/vim',
    [
      { fullpkgpath: 'editors/vim', ...free },
      { fullpkgpath: 'editors/vim,gtk2,-lang', ...free, onlyFor: ['amd64', 'arm64'] },
    ],
  ],
  ['net/curl', [{ fullpkgpath: 'net/curl', ...free, broken: [{ arch: 'sparc64', why: 'SIGBUS' }] }]],
])

for (const [name, schema] of Object.entries(generations)) {
  test(`sqlports with ${name}`, async () => {
    await inTemporary(async (folder) => {
      const file = join(folder, 'sqlports')
      const database = new DatabaseSync(file)
      database.exec(schema)
      database.close()
      assert.deepEqual(readSqlports(file).ports, expected)
    })
  })
}

test('a file that is no sqlports is refused, with its name', async () => {
  await inTemporary(async (folder) => {
    const [text, other, none] = [join(folder, 'text'), join(folder, 'other'), join(folder, 'none')]
    writeFileSync(text, 'no database at all, but longer than the header of one: '.repeat(10))
    const database = new DatabaseSync(other)
    database.exec('CREATE TABLE t (x)')
    database.close()
    for (const file of [text, other])
      assert.throws(
        () => readSqlports(file),
        (error) => isBinderyError(error, 'bad-format') && error.subject === file,
      )
    assert.throws(
      () => readSqlports(none),
      (error) => isBinderyError(error, 'not-found') && error.subject === none,
    )
  })
})
