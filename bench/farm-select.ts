import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { bindery, quote } from './harness.ts'
import type { Bench } from './harness.ts'

const archs = ['aarch64', 'amd64', 'i386', 'sparc64'] as const

/**
 * What is to be built anew in a tree of 10,000 ports of which one in twenty changed: from what `cvs rdiff` printed, beside the way of
 * OpenBSD's builders (text tools, and a query to sqlports for each port), and from a clone of git, beside the bare diff.
 */
export const bench: Bench = {
  name: 'farm select',
  run: async (kit) => {
    const ports = Array.from({ length: kit.smoke ? 200 : 10_000 }, (_, number) => `category${number % 60}/port${number}`)
    const changed = ports.filter((_, number) => number % 20 === 0)
    const sqlports = join(kit.work, 'sqlports')
    fillSqlports(sqlports, ports)
    const rdiff = join(kit.work, 'rdiff')
    writeFileSync(rdiff, changed.map(rdiffOf).join(''))
    const clone = join(kit.work, 'ports')
    commitTwice(clone, ports, changed)
    const list = `--sqlports ${quote(sqlports)} --arch amd64`
    const { ours, theirs } = kit.compare({
      ours: `${bindery} farm select --rdiff ${quote(rdiff)} ${list} > ours`,
      theirs: `${queries(quote(rdiff), quote(sqlports))} > theirs`,
    })
    kit.measure('test -s ours && sort theirs | cmp - <(sort ours)')
    const { git, diff } = kit.compare({
      git: `${bindery} farm select --git ${quote(clone)} --from release --to stable ${list} > ours`,
      diff: `git -C ${quote(clone)} diff --name-status release stable > diff`,
    })
    const name = `${ports.length} ports, ${changed.length} changed`
    return [
      {
        what: `${name}, from cvs rdiff`,
        unit: 's',
        ours: ours.wallSeconds,
        peer: { name: 'a query for each', value: theirs.wallSeconds },
        goal: { of: 'ours', atMost: 2 },
      },
      {
        what: `${name}, from git`,
        unit: 's',
        ours: git.wallSeconds,
        peer: { name: 'git diff', value: diff.wallSeconds },
        goal: { of: 'ours', atMost: 2 },
      },
      { what: `${name}, memory`, unit: 'MiB', ours: ours.peakMiB },
    ]
  },
}

function rdiffOf(port: string): string {
  return ['Makefile', 'distinfo', 'pkg/PLIST'].map((file) => `File ports/${port}/${file} changed from revision 1.80 to 1.80.2.1\n`).join('')
}

/** As `sqlports` makes it today: numbers below, of paths and words. Every port has three packages, one in a hundred is for one architecture. */
function fillSqlports(file: string, ports: readonly string[]): void {
  const database = new DatabaseSync(file)
  database.exec(`
    CREATE TABLE _Paths (ID INTEGER PRIMARY KEY, FULLPKGPATH TEXT NOT NULL UNIQUE, PKGPATH INTEGER REFERENCES _Paths(ID));
    CREATE TABLE _Arch (KEYREF INTEGER PRIMARY KEY, VALUE TEXT NOT NULL UNIQUE);
    CREATE TABLE _OnlyForArch (FULLPKGPATH INTEGER NOT NULL REFERENCES _Paths(ID), VALUE INTEGER NOT NULL REFERENCES _Arch(KEYREF));
    CREATE VIEW Paths AS SELECT p.ID AS PATHID, p.FULLPKGPATH AS FULLPKGPATH, q.FULLPKGPATH AS PKGPATH FROM _Paths p
      LEFT JOIN _Paths q ON q.ID = p.PKGPATH;
    BEGIN`)
  for (const [number, arch] of archs.entries()) database.prepare('INSERT INTO _Arch VALUES (?, ?)').run(number, arch)
  const path = database.prepare('INSERT INTO _Paths VALUES (?, ?, ?)')
  const onlyFor = database.prepare('INSERT INTO _OnlyForArch VALUES (?, ?)')
  for (const [number, port] of ports.entries()) {
    const id = 4 * number + 1
    path.run(id, port, null)
    for (const [index, kind] of [',-main', ',gtk2', ',gtk2,-main'].entries()) path.run(id + index + 1, `${port}${kind}`, id)
    if (number % 100 === 0) onlyFor.run(id + 2, archs.indexOf('sparc64'))
  }
  database.exec('COMMIT')
  database.close()
}

function commitTwice(folder: string, ports: readonly string[], changed: readonly string[]): void {
  const git = (...words: readonly string[]): void => {
    const run = spawnSync('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@example.org', '-C', folder, ...words])
    if (run.status !== 0) throw new Error(`git ${words.join(' ')}: ${run.stderr.toString()}`)
  }
  mkdirSync(folder)
  git('init', '-q')
  const commit = (branch: string, which: readonly string[]): void => {
    for (const port of which) {
      for (const file of ['Makefile', 'distinfo', 'pkg/PLIST']) {
        const at = join(folder, port, file)
        mkdirSync(dirname(at), { recursive: true })
        writeFileSync(at, `${port} ${file} ${branch}\n`)
      }
    }
    git('add', '-A')
    git('commit', '-q', '-m', branch)
    git('branch', branch)
  }
  commit('release', ports)
  commit('stable', changed)
}

/** Lines into pkgpaths, and each of them asked for on its own. */
function queries(rdiff: string, sqlports: string): string {
  const pkgpaths = `sed -n 's,^File ports/\\(.*\\) changed .*,\\1,p' ${rdiff} | sed -e 's,/[^/]*$,,' -e 's,/pkg$,,' | sort -u`
  const query = `SELECT p.FULLPKGPATH FROM Paths p LEFT JOIN _OnlyForArch o ON o.FULLPKGPATH = p.PATHID LEFT JOIN _Arch a ON a.KEYREF = o.VALUE
    WHERE (p.PKGPATH = '$port' OR p.FULLPKGPATH = '$port') AND (a.VALUE IS NULL OR a.VALUE = 'amd64')`
  return `${pkgpaths} | while read -r port; do sqlite3 ${sqlports} "${query}"; done`
}
