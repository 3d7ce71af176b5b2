import { execFileSync, spawnSync } from 'node:child_process'
import { resolve } from 'node:path'

/** What torture starts from: two releases of a small, telling tree, a repository before and after the second, and machines. */

/**
 * A shell with its linker and its libc, all of which change; names that are one file, links, holes, attributes, a configuration that both
 * sides changed, folders that come, go and change.
 */
const trees = `
libc=$(ldd /bin/dash | grep -o '/[^ ]*libc\\.so[^ ]*')
linker=$(ldd /bin/dash | grep -o '/[^ ]*/ld-[^ ]*')
make_old() {
  mkdir -p bin etc lib closed gone/deep var/db ".\${libc%/*}" ".\${linker%/*}"
  cp /bin/dash bin/sh; cp "$libc" ".$libc"; cp "$linker" ".$linker"
  for file in bin/sh ".$libc" ".$linker"; do echo one >>"$file"; chmod 755 "$file"; done
  echo one >bin/ash; ln bin/ash bin/bsh; echo su >bin/su; chmod 4755 bin/su; echo same >bin/same; ln -s ash lib/link
  seq 100 >etc/conf; echo gone >gone/deep/file; echo joined >etc/p; ln etc/p etc/q; echo dated >etc/dated
  truncate -s 1M lib/sparse; printf x | dd of=lib/sparse bs=4096 seek=100 conv=notrunc status=none
  setfattr -n user.origin -v one lib/sparse
}
make_new() {
  for file in bin/sh ".$libc" ".$linker" bin/ash; do echo two >>"$file"; done
  chmod 4711 bin/su; sed -i 's/^90$/ninety/' etc/conf; rm -r gone; ln -sfn bsh lib/link; chmod 700 closed; chown 67:67 closed
  mkdir -p added/deep; echo a >added/deep/a; chmod 750 added; rm etc/q; echo apart >etc/q; touch -d '2026-02-01 UTC' etc/dated
  printf y | dd of=lib/sparse bs=4096 seek=200 conv=notrunc status=none; setfattr -n user.origin -v two lib/sparse
}
mkdir OLD
(cd OLD && make_old)
find OLD -exec touch -h -d '2026-01-01 00:00:00.123456789 UTC' {} +
cp -a OLD NEW
(cd NEW && make_new)
`

const releases = `
bindery init -r repo -k keys --no-passphrase
bindery cut OLD -o old.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
bindery cut NEW -o new.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
bindery publish -r repo -k keys old.tar.zst
cp -a repo first
bindery publish -r repo -k keys new.tar.zst
`

const machines = `
cp -a OLD plain
sed -i 's/^10$/ten/' plain/etc/conf; touch -d '2026-01-05 UTC' plain/etc/conf plain/etc
cp -a plain enrolled
bindery -q -C enrolled enroll "file://$PWD/repo/" repo/metadata/1.root.json base/amd64
cp -a enrolled fetched; bindery -q -C fetched fetch
cp -a fetched installed; bindery -q -C installed install
`

export function makeSite(work: string): void {
  runScript(work, trees + releases + machines)
}

/** The way from the first release to the second as `update.sh`. */
export function makeBundle(work: string): void {
  runScript(work, 'bindery bundle -r repo -o update.sh base/amd64')
}

/** `from`, a folder of the site, anew as `to`. */
export function copyFolder(work: string, from: string, to: string): void {
  execFileSync('sh', ['-c', 'rm -rf "$2" && cp -a "$1" "$2"', 'sh', resolve(work, from), resolve(work, to)])
}

/** By bash, with bindery in its PATH. */
export function runScript(work: string, script: string): void {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
  const { status, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], { cwd: work, env, encoding: 'utf8' })
  if (status !== 0 && status !== 6) throw new Error(`the site could not be made: exit status ${String(status)}\n${stderr}`)
}
