import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe } from 'node:test'
import { baseTools, busyboxTools } from '../helpers/base-tools.ts'
import { elfFile } from '../helpers/elf-file.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { isTurn, isWholeSuite, testsByDay } from '../helpers/whole-suite.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { bashIn } from './bash-in.ts'
import { assertSameTree } from './judge.ts'

/** What a bundle leaves is what `bindery install` leaves: extended attributes, former files, libraries that are needed. */
const work = folderInMemory('bindery-alike-')
after(() => rmSync(work, { recursive: true }))

const run = bashIn(work)

function plantElf(path: string, links: Parameters<typeof elfFile>[0]): void {
  mkdirSync(dirname(join(work, path)), { recursive: true })
  writeFileSync(join(work, path), elfFile(links), { mode: 0o755 })
}

const whole = (program: string): string => run(`command -v ${program}`).out.trim()

const capability = '0x0100000200200000000000000000000000000000'

function makeReleases(): void {
  for (const release of ['R0', 'R1', 'R2']) {
    if (release !== 'R2')
      for (const name of ['libfoo.so.1', 'libbar.so.2', 'libalone.so.3']) plantElf(`${release}/usr/lib/${name}`, { soname: name })
    if (release !== 'R2') plantElf(`${release}/usr/lib/libtop.so.1.5`, { soname: 'libtop.so.1', needed: ['libbar.so.2'] })
    plantElf(`${release}/usr/bin/own`, release === 'R2' ? {} : { needed: ['libalone.so.3'] })
  }
  run(`for release in R0 R1 R2; do
      (cd $release && mkdir -p bin etc 'dir ectory' var/db share/former/deep && echo $release >bin/tool && cp bin/tool bin/ping && chmod 755 bin/*
        for name in attr local clash bytes same; do echo $name >etc/$name; done; ln -s tool bin/link
        mkdir long; for n in 1 2; do echo $release >"long/$(printf 'n%.0s' $(seq 254))$n"; done
        echo $release >etc/new; echo same >share/former/kept)
    done
    (cd R0; echo gone >share/former/deep/gone; echo own >share/former/own; ln -s x share/former/link; echo back >share/back)
    rmdir R[12]/share/former/deep; ln -s libtop.so.1.5 R0/usr/lib/libtop.so.1; ln -s libtop.so.1.5 R1/usr/lib/libtop.so.1
    echo again >R2/share/back
    for release in R0 R1; do (cd $release
      setfattr -n security.capability -v ${capability} bin/ping
      setfattr -n user.one -v 1 bin/tool; setfattr -n user.empty etc/bytes; setfattr -n user.bytes -v 0x00010a2c3dff5c25 etc/bytes; setfattr -n 'user.odd =,\\name' -v x etc/bytes
      setfattr -n user.a -v 1 etc/attr; setfattr -n user.a -v 1 etc/local; setfattr -n user.a -v 1 etc/clash; setfattr -n user.dir -v old 'dir ectory'
      setfattr -h -n trusted.link -v old bin/link); done
    (cd R2
      setfattr -n security.capability -v ${capability} bin/ping; chmod 700 bin/ping
      setfattr -n user.one -v 2 bin/tool; setfattr -n user.two -v 2 bin/tool; setfattr -n user.bytes -v 0x00ff etc/bytes
      setfattr -n user.a -v 2 etc/attr; setfattr -n user.b -v 2 etc/attr; setfattr -n user.a -v 1 etc/local; echo more >>etc/local; setfattr -n user.a -v 2 etc/clash
      setfattr -n user.dir -v new 'dir ectory'; setfattr -h -n trusted.link -v new bin/link)
    find R0 -exec touch -h -d '2026-01-01 UTC' {} +; find R1 R2 -exec touch -h -d '2026-02-01 00:00:00.5 UTC' {} +
    bindery init -r repo -k keys --no-passphrase
    n=0; for release in R0 R1 R2; do
      bindery cut $release -o $release.tar.zst --product base --revision 1.$n --date 20260101 --arch amd64 && bindery publish -r repo -k keys $release.tar.zst; n=$((n + 1))
    done
    bindery bundle -r repo -o update.sh base/amd64`)
}

const enroll = (root: string): string => `bindery -C ${root} enroll "file://$PWD/repo/" repo/metadata/1.root.json base/amd64 2>/dev/null`

/** Runs both on the same machine, there and back again; what they say and leave is the same. */
async function assertAlike(spoil: string, wanted: number, path?: string, but: readonly string[] = []): Promise<readonly string[]> {
  run(
    `rm -rf mine* theirs* other* before* && cp -a R1 mine && ${enroll('mine')} && (cd mine && ${spoil}) && cp -a mine theirs && cp -a mine before`,
  )
  const [mine, theirs] = [run('sh update.sh -R mine', wanted, path), run('bindery -C theirs install', wanted)]
  assert.deepEqual(mine.talk.toSorted(), theirs.talk.toSorted())
  await assertSameBut('mine', 'theirs', but)
  run('test "$(cat mine/var/db/bindery/channel/*/obsolete 2>&1)" = "$(cat theirs/var/db/bindery/channel/*/obsolete 2>&1)"')
  run('cp -a mine other && bindery -C other rollback')
  assert.deepEqual(run('sh update.sh -R mine rollback', 0, path).talk, run('bindery -C theirs rollback').talk)
  for (const root of ['mine', 'theirs', 'other']) await assertSameBut(root, 'before', root === 'theirs' ? [] : but)
  run('rm -rf mine theirs before other')
  return mine.talk
}

/** Under sh and its tools, and under busybox and its own; or under one of them. */
async function assertAlikeUnder(one: 'sh' | 'busybox', spoil: string, wanted: number): Promise<readonly (readonly string[])[]> {
  const talks: (readonly string[])[] = []
  for (const shell of isWholeSuite ? ['sh', 'busybox'] : [one])
    talks.push(
      shell === 'sh'
        ? await assertAlike(spoil, wanted)
        : await assertAlike(spoil, wanted, busyboxTools(join(work, 'tools'), ['getfattr', 'setfattr']), ['time']),
    )
  return talks
}

async function assertSameBut(actual: string, expected: string, but: readonly string[]): Promise<void> {
  run(`for root in ${actual} ${expected}; do mv $root/var/db/bindery $root.state; done`)
  await assertSameTree(join(work, actual), join(work, expected), but)
  run(`for root in ${actual} ${expected}; do mv $root.state $root/var/db/bindery; done`)
}

if (isTurn(2))
  describe('like bindery install', { ...needs('mtree', 'diff', 'getfattr', 'setfattr', 'dash', 'busybox'), ...needsRoot() }, () => {
    before(makeReleases)
    const road = testsByDay()

    road('a bundle brings extended attributes, and keeps those of the machine', async () => {
      const spoil = `setfattr -n user.mine -v 1 bin/tool; setfattr -n user.a -v mine etc/clash; setfattr -n user.mine -v 1 etc/local
      setfattr -n user.mine -v 1 'dir ectory'; setfattr -n user.mine -v $'1\\n' etc/new`
      await assertAlikeUnder('busybox', spoil, 6)
    })

    road('where they cannot be set, that is said, and those that are here are not lost', async () => {
      const path = baseTools(join(work, 'tools'), 'dash', [])
      run('cp -a R1 root && echo mine >root/bin/tool')
      assert.deepEqual(
        run('sh update.sh -R root', 6, path).talk[0],
        'bindery: install: 2 paths have extended attributes, which cannot be set here',
      )
      assert.match(run('getfattr -d -m - -e hex root/etc/attr').out, /user\.a=0x31/)
      run('rm -r root')
    })

    road('files of former releases go, and what somebody made of them stays', async () => {
      const spoil = `mkdir -p share/former/deep; echo gone >share/former/deep/gone; echo mine >share/former/own; ln -s x share/former/link; echo back >share/back
      touch -d 2026-01-01 share/former/deep share/former/link share/back`
      await assertAlike(spoil, 0)
      run(
        `cp -a R1 root && (cd root && ${spoil}) && sh update.sh -R root && test ! -e root/share/former/deep -a ! -L root/share/former/link -a -e root/share/former/own`,
      )
      run('sh update.sh -R root rollback && test -e root/share/former/deep/gone && rm -r root')
    })

    road('versions come to lie beside long names as they do for bindery, each under one of its own', async () => {
      const spoil = `for name in long/*; do echo mine >$name; done; echo mine >"long/$(printf 'n%.0s' $(seq 251)).new"`
      await assertAlikeUnder('sh', spoil, 6)
    })

    road('a tar that makes no links, or not these, is not needed for them', () => {
      for (const name of isWholeSuite ? ['second', 'var/db/bindery/st*/*'] : ['var/db/bindery/st*/*']) {
        run(`mkdir -p odd-tar && printf '%s\\n' '#!/bin/sh' 'exec ${whole('tar')} --exclude="${name}" "$@"' >odd-tar/tar && chmod 755 odd-tar/tar
        cp -a R1 root && PATH="$PWD/odd-tar:$PATH" sh update.sh -R root && diff -r --no-dereference -x bindery root R2
        test "$(stat -c %h R1/etc/new root/var/db/bindery/store/1/* | sort -u)" = 1
        PATH="$PWD/odd-tar:$PATH" sh update.sh -R root rollback && diff -r --no-dereference -x bindery root R1 && rm -r root odd-tar`)
      }
    })

    road('libraries stay while something here needs them', async () => {
      plantElf('program', { needed: ['libfoo.so.1', 'libtop.so.1'] })
      plantElf('stranger', { needed: ['libfoo.so.11', 'xlibalone.so.33'] })
      const spoil = `mkdir -p usr/local/bin opt/bin && cp ../program 'usr/local/bin/a program' && cp ../stranger opt/bin && echo libalone.so.3 >opt/bin/text && chmod 755 opt/bin/text`
      for (const talk of await assertAlikeUnder('sh', spoil, 0))
        assert.equal(talk.filter((line) => line.includes('is still needed by')).length, 4)
      assert.deepEqual(await assertAlike('true', 0), [])
    })

    road('the list of what is still to go changes in its place', async () => {
      const list = 'bindery-obsolete 1\\nthrough 0\\n1 symlink x usr/lib/libgone.so.1\\n'
      await assertAlike(`printf '${list}' >var/db/bindery/channel/base-amd64/obsolete`, 0)
    })

    road('what another channel has taken over is not removed', () => {
      run(`mkdir -p C/share && echo moved >C/share/moved && echo comp >C/share/comp && cp -a R2 R3 && echo moved >R3/share/moved && cp -a R3 R4 && rm R4/share/moved
      bindery cut C -o c.tar.zst --product comp --revision 1.0 --date 20260101 --arch amd64 && bindery publish -r repo -k keys c.tar.zst
      for n in 3 4; do bindery cut R$n -o r.tar.zst --product base --revision 1.$n --date 20260101 --arch amd64 && bindery publish -r repo -k keys r.tar.zst; done
      bindery bundle -r repo -o moved.sh base/amd64 && bindery bundle -r repo --full -o comp.sh comp/amd64
      cp -a R3 root && sh moved.sh -R root && test ! -e root/share/moved && rm -r root
      cp -a R3 root && sh comp.sh -R root && sh moved.sh -R root && test -e root/share/moved && rm -r root`)
    })
  })
