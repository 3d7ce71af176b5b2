import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { makeBundleSite } from '../helpers/bundle-site.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { inTurn, isTurn, isWholeSuite, testsByDay } from '../helpers/whole-suite.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { assertSameTree } from './judge.ts'

/** A bundle under every shell: what it does is what `bindery install` and `bindery rollback` do, on the same machine. */
const work = folderInMemory('bindery-bundle-')
after(() => rmSync(work, { recursive: true }))

/** Runs a line of bash in `work`; `wanted` is its status. */
function run(script: string, wanted = 0): { readonly out: string; readonly talk: readonly string[] } {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
  const done = spawnSync('bash', ['-eu', '-o', 'pipefail', '-c', script], { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] })
  assert.equal(done.status, wanted, `${script}\n${done.stdout.toString()}${done.stderr.toString()}`)
  return { out: done.stdout.toString(), talk: done.stderr.toString().split('\n').filter(Boolean) }
}

const sh = (script: string, wanted = 0): string => run(script, wanted).out

type Shell = {
  readonly name: string
  readonly program: string
  /** What runs a bundle, with what it needs around it. */
  readonly run: string
  /** touch(1) of busybox knows no fractions of a second. */
  readonly but: readonly string[]
}

const shells: readonly Shell[] = [
  { name: 'dash', program: 'dash', run: 'dash', but: [] },
  { name: 'bash', program: 'bash', run: 'bash --posix', but: [] },
  { name: 'mksh', program: 'mksh', run: 'mksh', but: [] },
  { name: 'ksh93', program: 'ksh93', run: 'ksh93', but: [] },
  { name: 'busybox ash and its tools', program: 'busybox', run: 'env PATH="$PWD/applets" busybox ash', but: ['time'] },
]

const enroll = (root: string): string => `bindery -C ${root} enroll "file://$PWD/repo/" repo/metadata/1.root.json base/amd64 2>/dev/null`

/** Every kind of local change that a plan has to respect. */
const spoil = (root: string): string => `(cd ${root}
  echo mine >>etc/numbers
  chmod 600 etc/owned && chown 5:5 bin/wall
  rm etc/dated bin/su
  echo mine >gone/deep/mine && echo mine >gone/deep/$'odd\\nname'
  mkdir add && echo mine >add/mine
  echo mine >turn/d/mine
  echo mine >etc/moved
  echo mine >turn/l.new && rm turn/l && ln -s elsewhere turn/l
  echo mine >etc/single2
  echo mine >>etc/dropped
  echo mine >"odd/$(printf 'n%.0s' $(seq 255))"
  chmod 711 etc)`

/** Our own state differs by design: what is compared is the tree. */
async function assertSameBut(actual: string, expected: string, but: readonly string[]): Promise<void> {
  sh(`for root in ${actual} ${expected}; do mv $root/var/db/bindery $root.state; done`)
  await assertSameTree(join(work, actual), join(work, expected), but)
  sh(`for root in ${actual} ${expected}; do mv $root.state $root/var/db/bindery; done`)
}

if (isTurn(2))
  describe('a bundle', { ...needs('mtree', 'diff', 'getfattr', 'setfattr'), ...needsRoot() }, () => {
    before(() => {
      makeBundleSite(work)
      sh(`if command -v busybox >/dev/null; then mkdir applets && busybox --install -s applets; fi`)
    })

    // Others run bundles for bindery-sh.
    for (const shell of shells.filter(({ program }) => isWholeSuite || ['dash', 'busybox'].includes(program))) {
      describe(shell.name, needs(shell.program), () => {
        test('brings the new tree and takes it back', async () => {
          assert.deepEqual(run(`cp -a OLD root && ${shell.run} update.sh -R root`).talk, ['bindery: install: base/amd64: mind the gap'])
          await assertSameTree(join(work, 'root'), join(work, 'NEW'), shell.but)
          assert.match(
            sh(`${shell.run} update.sh -R root list`),
            /^base\/amd64: base-1\.1-20260201-amd64\n1: install \S+Z base-1\.0-\S+ -> base-1\.1-\S+\n$/,
          )
          assert.deepEqual(run(`${shell.run} update.sh -R root`).talk, [])
          sh(`${shell.run} update.sh -R root rollback`)
          await assertSameTree(join(work, 'root'), join(work, 'OLD'), shell.but)
          assert.match(run(`${shell.run} update.sh -R root rollback`, 1).talk.join(), /nothing to roll back/)
          sh('rm -r root')
        })

        if (!isWholeSuite && shell.program !== 'busybox') return
        test('keeps what was changed here, as bindery does', async () => {
          sh(`cp -a OLD mine && ${enroll('mine')} && ${spoil('mine')} && cp -a mine theirs`)
          const [mine, theirs] = [run(`${shell.run} update.sh -R mine`, 6), run('bindery -C theirs install', 6)]
          assert.deepEqual(mine.talk.toSorted(), theirs.talk.toSorted())
          await assertSameBut('mine', 'theirs', shell.but)
          assert.deepEqual(
            run(`${shell.run} update.sh -R mine rollback`).talk.toSorted(),
            run('bindery -C theirs rollback').talk.toSorted(),
          )
          await assertSameBut('mine', 'theirs', shell.but)
          sh('rm -r mine theirs')
        })
      })
    }

    // bindery-sh installs the same trees.
    if (isWholeSuite)
      test('everything that a tree can hold', async () => {
        const big = mkdtempSync(join(work, 'big-'))
        const inside = (script: string): string => sh(`cd ${big} && ${script}`)
        inside(`'${resolve('test/acceptance/trees.sh')}' OLD NEW
      for tree in OLD NEW; do setfattr -x user.origin $tree/usr/share/doc/numbers 2>/dev/null || true; done
      bindery init -r repo -k keys --no-passphrase
      bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
      bindery cut NEW -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
      bindery publish -r repo -k keys --system none a.tar.zst && bindery publish -r repo -k keys --system none b.tar.zst
      bindery bundle -r repo -o update.sh base/amd64 && cp -a OLD root && sh update.sh -R root`)
        await assertSameTree(join(big, 'root'), join(big, 'NEW'))
        inside('sh update.sh -R root rollback')
        await assertSameTree(join(big, 'root'), join(big, 'OLD'))
        rmSync(big, { recursive: true })
      })

    test('shellcheck has nothing to say', needs('shellcheck'), () => {
      sh('sed "/^{ bindery_bundle/q" update.sh >program.sh && shellcheck -s sh program.sh')
    })

    const testByDay = testsByDay()

    // bindery-sh and the client take turns with the other one, too.
    for (const basis of inTurn(['installed', 'tar'], 0)) {
      testByDay(`each takes back what the other has installed, with basis ${basis}`, async () => {
        sh(`cp -a OLD both && bindery -C both enroll --basis ${basis} "file://$PWD/repo/" repo/metadata/1.root.json base/amd64`)
        sh('sh update.sh -R both && bindery -C both audit && bindery -C both check -e && bindery -C both install')
        await assertSameTree(join(work, 'both'), join(work, 'NEW'))
        sh('bindery -C both rollback && bindery -C both audit')
        await assertSameTree(join(work, 'both'), join(work, 'OLD'))
        sh('bindery -C both install && sh update.sh -R both rollback && bindery -C both audit && bindery -C both install')
        await assertSameTree(join(work, 'both'), join(work, 'NEW'))
        assert.equal(
          sh('sh update.sh -R both list').split('\n').slice(1).join('\n'),
          sh('bindery -C both list').split('\n').slice(1).join('\n'),
        )
        sh('rm -r both')
      })
    }

    testByDay('where nothing is enrolled, bindery can take back what a bundle did', async () => {
      sh('cp -a OLD alone && sh update.sh -R alone && bindery -C alone list && bindery -C alone rollback')
      await assertSameTree(join(work, 'alone'), join(work, 'OLD'))
      sh('rm -r alone')
    })

    testByDay('a dry run says what bindery says, and changes nothing', async () => {
      sh(`cp -a OLD dry && ${enroll('dry')}`)
      // What is no plain name is shown as the journal has it.
      const seen = (text: string): string[] =>
        text
          .split('\n')
          .filter((line) => !/\/odd\//.test(line) && !/n{200}/.test(line))
          .sort()
      assert.deepEqual(seen(sh('sh update.sh -n -R dry')), seen(sh('bindery -C dry install -n')))
      await assertSameTree(join(work, 'dry'), join(work, 'OLD'))
      sh('cp -a OLD bare && sh update.sh -n -R bare >/dev/null && test ! -e bare/var/db/bindery && rm -r dry bare')
    })

    testByDay('a whole release for an empty root', async () => {
      sh('bindery bundle -r repo --full -o first.sh base/amd64 && mkdir empty && sh first.sh -R empty')
      // The state came to lie below it before the release did: the folder was there, and kept its time.
      sh('touch -r NEW/var empty/var')
      await assertSameTree(join(work, 'empty'), join(work, 'NEW'))
      sh('sh first.sh -R empty rollback && test ! -e empty/bin && rm -r empty')
    })

    testByDay('a root of another release is refused', () => {
      sh('cp -a OLD wrong && sh update.sh -R wrong && bindery bundle -r repo --full -o first.sh base/amd64')
      sh('sed -i "s/^name .*/name base-9.9-20260101-amd64/" wrong/var/db/bindery/channel/base-amd64/release')
      assert.match(run('sh update.sh -R wrong', 3).talk.join(), /base-9\.9-20260101-amd64 is installed/)
      sh('mkdir -p other/bin && echo other >other/bin/sh')
      assert.match(run('sh update.sh -R other', 3).talk.join(), /this is not base-1\.0-20260101-amd64/)
      sh('cp -a OLD staged && sh update.sh -R staged && echo >staged/var/db/bindery/tree')
      assert.match(run('sh update.sh -R staged rollback', 1).talk.join(), /staged: is in staged mode/)
      sh('sh update.sh -R staged list >listed && rm staged/var/db/bindery/tree && sh update.sh -R staged list | cmp - listed')
      sh('test ! -e other/var && rm -r wrong other staged')
    })

    test('signed: signify verifies it from outside', needs('signify-openbsd'), () => {
      sh(`bindery keygen -p bundles.pub -s bundles.sec --no-passphrase
      bindery bundle -r repo -s bundles.sec base/amd64 && bindery bundle -r repo -s bundles.sec --full base/amd64
      cd repo/bundles && ls *.sh | sort >../../names && test "$(wc -l <../../names)" = 2
      signify-openbsd -C -p ../../bundles.pub -x ../SHA256.sig $(cat ../../names)
      cd ../.. && bindery fsck -r repo && bindery prune -r repo && test -e repo/SHA256.sig
      bindery keygen -p others.pub -s others.sec --no-passphrase`)
      sh('bindery bundle -r repo -s others.sec base/amd64', 3)
    })

    test('the same input gives the same bytes', () => {
      sh('bindery bundle -r repo -o again.sh base/amd64 && cmp update.sh again.sh')
    })
  })
