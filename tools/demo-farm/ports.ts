import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { plantPort, plantPorts } from '../../test/helpers/ports-tree/plant.ts'
import type { PortFacts } from '../../test/helpers/ports-tree/plant.ts'

/** A port of the demo, with the flavors that its list of ports names. */
type DemoPort = PortFacts & { readonly flavors?: readonly string[] }

/** Compiled where `cc` is, a page beside the program. */
export function programOf(name: string, version: string): string {
  return [
    `cat >main.c <<'EOF'`,
    '#include <stdio.h>',
    `int main(void) { puts("${name} ${version}"); return 0; }`,
    'EOF',
    'bin="$WRKINST/usr/local/bin"',
    'mkdir -p "$bin" "$WRKINST/usr/local/man/man1"',
    `cc -O2 -s -o "$bin/${name}" main.c`,
    `printf '.Dd November 1, 2026\\n.Dt %s 1\\n.Os\\n.Sh NAME\\n.Nm ${name}\\n.Nd of the demo\\n' '${name.toUpperCase()}' >"$WRKINST/usr/local/man/man1/${name}.1"`,
    '',
  ].join('\n')
}

function program(pkgpath: string, version: string, more: Partial<DemoPort> = {}): DemoPort {
  return { pkgpath, version, build: programOf(pkgpath.split('/').at(-1) as string, version), ...more }
}

const ports: readonly DemoPort[] = [
  program('archivers/zstd', '1.5.6'),
  program('archivers/lzip', '1.24.1'),
  program('databases/sqlports', '7.49'),
  program('devel/quirks', '7.50'),
  program('devel/git', '2.46.0', { subpackages: '-main -x11', depends: 'net/curl:curl-*:curl-8.9.1' }),
  program('devel/gmake', '4.4.1'),
  program('devel/jansson', '2.14'),
  program('devel/pcre2', '10.44'),
  program('editors/nano', '8.1'),
  program('editors/vim', '9.1.707', { subpackages: '-main -lang', flavors: ['gtk3', 'no_x11'] }),
  program('graphics/png', '1.6.43'),
  program('lang/lua/5.4', '5.4.6', { stem: 'lua' }),
  program('mail/mutt', '2.2.13', { flavors: ['gpgme', 'sasl'] }),
  program('misc/screen', '4.9.1'),
  program('net/curl', '8.9.1', { depends: 'archivers/zstd:zstd-*:zstd-1.5.6' }),
  program('net/icinga/core2', '2.14.2', { stem: 'icinga2' }),
  program('net/isc-bind', '9.18.28'),
  program('net/rsync', '3.3.0', { flavors: ['iconv', 'minimal'] }),
  program('net/wget', '1.24.5'),
  program('print/mupdf', '1.24.9'),
  program('security/gnupg', '2.2.43'),
  program('security/sudo', '1.9.15.5', { flavors: ['ldap'] }),
  program('shells/bash', '5.2.32'),
  program('shells/zsh', '5.9'),
  program('sysutils/htop', '3.3.0'),
  program('sysutils/tree', '2.1.1'),
  program('textproc/jq', '1.7.1'),
  program('www/nginx', '1.26.2', { subpackages: '-main -perl -geoip' }),
  program('x11/dmenu', '5.3'),
  program('x11/xclip', '0.13'),
]

export const release = '7.6'
export const branch = 'OPENBSD_7_6'
export const startOfBranch = 'OPENBSD_7_6_BASE'

export type Sources = {
  readonly cvs: string
  /** What developers work in, on the branch. */
  readonly work: string
  readonly sqlports: string
}

/** The ports in a CVS repository with the stable branch begun, and the database of the release's ports. */
export function makeSources(folder: string): Sources {
  const [cvs, work, first, sqlports] = ['cvs', 'developer', 'import', 'sqlports'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ]
  mkdirSync(first)
  plantPorts(first, ports)
  runCvs({ cvs }, folder, 'init')
  runCvs({ cvs }, first, 'import', '-m', 'the release', 'ports', 'DEMO', 'RELEASE')
  runCvs({ cvs }, folder, 'checkout', '-d', 'developer', 'ports')
  runCvs({ cvs }, work, 'tag', startOfBranch)
  runCvs({ cvs }, work, 'tag', '-b', branch)
  checkOut({ cvs }, folder, 'developer')
  writeSqlports(sqlports)
  return { cvs, work, sqlports }
}

/** The stable branch, as each builder has it. */
export function checkOut(sources: Pick<Sources, 'cvs'>, folder: string, name: string): string {
  runCvs(sources, folder, 'checkout', '-r', branch, '-d', name, 'ports')
  return join(folder, name)
}

function runCvs({ cvs }: Pick<Sources, 'cvs'>, cwd: string, ...words: readonly string[]): void {
  execFileSync('cvs', ['-Q', '-d', cvs, ...words], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
}

export function commit(sources: Sources, port: PortFacts, message: string): void {
  plantPort(sources.work, port)
  runCvs(sources, sources.work, 'commit', '-m', message, port.pkgpath)
}

/** As `sqlports` has them: a row for each port, flavor and subpackage. */
function writeSqlports(file: string): void {
  const database = new DatabaseSync(file)
  database.exec(`CREATE TABLE Paths (FullPkgPath TEXT NOT NULL, PkgPath TEXT NOT NULL);
    CREATE TABLE OnlyForArch (FullPkgPath TEXT NOT NULL, Value TEXT NOT NULL)`)
  const insert = database.prepare('INSERT INTO Paths VALUES (?, ?)')
  database.exec('BEGIN')
  for (const port of ports) for (const path of pathsOf(port)) insert.run(path, port.pkgpath)
  database.exec('COMMIT')
  database.close()
}

function pathsOf({ pkgpath, flavors, subpackages }: DemoPort): readonly string[] {
  const subs = subpackages?.split(' ').map((sub) => `,${sub}`) ?? ['']
  return ['', ...(flavors ?? [])].flatMap((flavor) => subs.map((sub) => `${pkgpath}${flavor === '' ? '' : `,${flavor}`}${sub}`))
}

export function portNamed(pkgpath: string): PortFacts {
  return ports.find((port) => port.pkgpath === pkgpath) as PortFacts
}
