import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'

/** Two small releases of everything that can happen to a path, and a bundle between them: `update.sh`, from `OLD` to `NEW`. */
const script = `
mkdir -p OLD/bin OLD/lib OLD/etc OLD/gone/deep OLD/turn/d OLD/odd OLD/var/db
(cd OLD
  echo sh1 >bin/sh; chmod 755 bin/sh; ln bin/sh bin/ash; echo su >bin/su; chmod 4755 bin/su; echo wall >bin/wall; chmod 755 bin/wall
  echo lib1 >lib/libc.so.1; ln -s libc.so.1 lib/libc.so; ln -s 'a  target' lib/odd; echo gone >gone/deep/file
  echo x >turn/d/x; echo f >turn/f; ln -s d turn/l; mkfifo turn/pipe; mknod -m 640 turn/disk b 8 0
  echo p1 >etc/p1; ln etc/p1 etc/p2; echo s1 >etc/single1; echo s2 >etc/single2
  for name in numbers owned dated dropped; do echo $name >etc/$name; done
  : >etc/empty; echo closed >etc/closed; chmod 000 etc/closed
  odd)
find OLD -exec touch -h -d '2026-01-01 00:00:00.123456789 UTC' {} +
cp -a OLD NEW
(cd NEW
  echo sh2 >bin/sh; chmod 4711 bin/su; chmod 2755 bin/wall
  echo lib2 >lib/libc.so.2; ln -sf libc.so.2 lib/libc.so; ln -sfn 'another  target' lib/odd; rm -r lib/libc.so.1 gone turn/d
  ln -s f turn/d; rm turn/f turn/l turn/pipe turn/disk; mkdir turn/f; echo in >turn/f/in; echo file >turn/l
  echo file >turn/pipe; mknod -m 640 turn/disk b 8 16
  rm etc/p2; echo p1 >etc/p2; rm etc/single2; ln etc/single1 etc/single2; echo more >>etc/numbers; chown 67:67 etc/owned
  touch -d '2026-01-15 12:00:00.5 UTC' etc/dated; rm etc/dropped; echo opened >etc/closed; echo moved >etc/moved
  mkdir -p add/ed; echo a >add/ed/a; chmod 700 add
  odd again)
`

/** Names that sh would take apart, or a tool for something else. */
const odd = `odd() {
  local name
  for name in 'with space' $'new\\nline' $'at end\\n' 'back\\slash' '-dash' '*star?' $'latin1-\\xe9' $'bytes-\\xff\\xfe\\x01' 'ünïcode' '[glob]' \\
    "quote'\\"" "$(printf 'n%.0s' $(seq 255))"; do
    echo "$name$*" >"odd/$name"
  done
}
`

const publishing = `
bindery init -r repo -k keys --no-passphrase
bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
bindery cut NEW -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
bindery publish -r repo -k keys a.tar.zst && bindery publish -r repo -k keys --notice 'mind the gap' b.tar.zst
bindery bundle -r repo -o update.sh base/amd64
`

export function makeBundleSite(work: string): void {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
  const { status, stderr } = spawnSync('bash', ['-eu', '-c', odd + script + publishing], { cwd: work, env })
  assert.equal(status, 0, stderr.toString())
}
