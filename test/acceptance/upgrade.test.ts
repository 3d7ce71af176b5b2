import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { needs, needsRoot } from '../helpers/programs.ts'
import { talkBeside } from './bash-beside.ts'
import { assertSameTree } from './judge.ts'
import { isTurn } from '../helpers/whole-suite.ts'

/** What releases removed, on a machine that joined late and has a program of its own; then `make upgrade`, by a real make. */
const work = mkdtempSync(join(tmpdir(), 'bindery-upgrade-'))
after(() => rmSync(work, { recursive: true }))

const sh = talkBeside(work)

/** sh, make and what they are linked against; then three releases of it. */
const releases = `
  mkdir -p 1.0/{bin,etc,usr/{bin,lib,share},var/db} && cp "$(command -v busybox)" 1.0/bin/busybox && cp "$(command -v make)" 1.0/usr/bin/make
  for name in sh rm echo grep; do ln -s busybox 1.0/bin/$name; done
  for file in 1.0/bin/busybox 1.0/usr/bin/make; do
    ldd $file | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "1.0$(dirname $lib)" && cp "$(realpath $lib)" "1.0$lib"; done || true
  done
  echo 'int old(void) { return 7; }' | gcc -shared -fPIC -x c - -Wl,-soname,libold.so.1 -o 1.0/usr/lib/libold.so.1
  cp -a 1.0 1.1
  echo uucp > 1.0/usr/bin/uucp && ln -s uucp 1.0/usr/bin/cu && mkdir -p 1.0/usr/share/uucp && echo doc > 1.0/usr/share/uucp/doc
  cp -a 1.1 1.2 && rm 1.2/usr/lib/libold.so.1 && mkdir 1.2/usr/share/upgrade
  cat > 1.2/usr/share/upgrade/Makefile <<'END'
include Makefile_upgrade.inc
upgrade:
	grep -q _sdpd /etc/group || echo '_sdpd:*:70:' >> /etc/group
	for file in $(TO_REMOVE); do test ! -e $$file || { echo $$file; rm -rf $$file; }; done
END
  printf 'TO_REMOVE+=/etc/old.db\\nTO_REMOVE+=/usr/bin/uucp\\n' > 1.2/usr/share/upgrade/Makefile_upgrade.inc
  cp -a 1.1 1.3
  bindery init -r repo -k keys --no-passphrase
  for n in 1.0 1.1 1.2; do
    bindery cut $n -o $n.tar.zst --product base --revision $n --date 20260101 --arch amd64
    [ $n = 1.2 ] && upgrade='--upgrade /usr/share/upgrade' || upgrade=
    bindery publish -r repo -k keys $upgrade $n.tar.zst
  done
`

/** Release 1.1 over the remains of 1.0, with a program and files of the machine's own. */
const machine = (root: string): string => `
  cp -a 1.1 ${root} && cp -a 1.0/usr/bin/{uucp,cu} ${root}/usr/bin/ && cp -a 1.0/usr/share/uucp ${root}/usr/share/
  mkdir -p ${root}/usr/local/bin && echo 'int old(void); int main(void) { return old(); }' |
    gcc -x c - -x none ${root}/usr/lib/libold.so.1 -o ${root}/usr/local/bin/x
  echo 'wheel:*:0:' > ${root}/etc/group && echo db > ${root}/etc/old.db && echo mine > ${root}/usr/bin/mine
  cp -a ${root} ${root}.before
  bindery -C ${root} enroll file://$PWD/repo/ repo/metadata/1.root.json base/amd64
`

const needed = /\/usr\/lib\/libold\.so\.1 is still needed by \/usr\/local\/bin\/x/

if (isTurn(2))
  describe('obsolete files', { ...needs('mtree', 'diff', 'getfattr', 'gcc', 'make', 'busybox', 'ldd'), ...needsRoot() }, () => {
    before(async () => void (await sh(releases)))

    test('go with the install, but for a library that is needed; make upgrade has the last word; all but that is rolled back', async () => {
      await sh(machine('root'))
      const plan = await sh('bindery -C root install -n')
      for (const path of ['/usr/bin/uucp', '/usr/bin/cu', '/usr/share/uucp/doc']) assert.match(plan, new RegExp(`^remove ${path}$`, 'm'))
      assert.match(plan, /^rmdir \/usr\/share\/uucp$/m)
      assert.match(plan, needed)

      assert.match(await sh('bindery -C root install'), needed)
      await sh(`
      cp -a root.before expected && rm expected/usr/bin/{uucp,cu} && rm -r expected/usr/share/uucp expected/etc/old.db
      cp -a 1.2/usr/share/upgrade expected/usr/share/ && printf 'wheel:*:0:\\n_sdpd:*:70:\\n' > expected/etc/group
    `)
      await assertSameTree(join(work, 'root'), join(work, 'expected'), ['time'])
      assert.match(await sh('bindery -C root list'), /base\/amd64: \/usr\/lib\/libold\.so\.1 is still needed/)
      await sh('chroot root /usr/local/bin/x', 7)
      await sh('bindery -C root audit')

      await sh('bindery -C root rollback && cp -a root/etc/group root.before/etc/group && rm root.before/etc/old.db')
      await assertSameTree(join(work, 'root'), join(work, 'root.before'), ['time'])
    })

    test('without a make, the list has done its part, and the status says that a step failed', async () => {
      await sh(`${machine('bare')} rm bare/usr/bin/make`)
      assert.match(await sh('bindery -C bare install', 6), /the step upgrade failed with status 127: .*make: not found/)
      await sh('test ! -e bare/usr/bin/uucp && test ! -e bare/usr/share/uucp && test -e bare/etc/old.db')
    })

    test('the library goes with the next install once nothing needs it', async () => {
      assert.match(await sh('bindery -C bare install', 6), /the step upgrade failed/)
      await sh('rm bare/usr/local/bin/x')
      await sh(`
      rm 1.3/usr/lib/libold.so.1 && echo 1.3 > 1.3/etc/version
      bindery cut 1.3 -o 1.3.tar.zst --product base --revision 1.3 --date 20260101 --arch amd64 && bindery publish -r repo -k keys 1.3.tar.zst
    `)
      // The step still has no make, and is tried once more.
      assert.match(await sh('bindery -C bare install', 6), /the step upgrade failed/)
      await sh('test ! -e bare/usr/lib/libold.so.1 && test -e bare/usr/bin/mine')
    })
  })
