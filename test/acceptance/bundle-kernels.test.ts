import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { busyboxTools } from '../helpers/base-tools.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { isTurn, testsByDay } from '../helpers/whole-suite.ts'
import { bashIn } from './bash-in.ts'
import { assertSameTree } from './judge.ts'
import type { Ran } from './bash-in.ts'

/** A bundle keeps a replaced kernel under a second name as `bindery install` does; either goes on and back where the other was. */
const work = folderInMemory('bindery-kernels-')
after(() => rmSync(work, { recursive: true }))

const run = bashIn(work)

/** Kernels as one file and as a directory; one module stays, one goes with each release, one comes, and one becomes a directory. */
function makeReleases(): void {
  run(`for n in 1 2 3; do
      mkdir -p R$n/var/db R$n/boot/kernel/deep R$n/boot/kernel/turns R$n/etc
      (cd R$n && echo $n | tee bsd boot/kernel/kernel boot/kernel/deep/changed.ko boot/kernel/only-$n.ko "boot/kernel/ odd = \\\\"$'\\n\\xff' etc/motd >/dev/null
        echo same >boot/kernel/same.ko && ln boot/kernel/kernel boot/kernel/other && ln -s kernel boot/kernel/link && ln -s boot/kernel/kernel netbsd
        [ $n != 2 ] || { rmdir boot/kernel/turns && echo file >boot/kernel/turns; }
        [ $n != 1 ] || { mkdir boot/kernel/going && echo going >boot/kernel/going/file; }
        chmod 700 bsd; chmod 555 boot/kernel/kernel)
      find R$n -exec touch -h -d "2020-01-0$n 00:00:00.5 UTC" {} +
    done
    bindery init -r repo -k keys --no-passphrase
    for n in 1 2 3; do
      bindery cut R$n -o dist --product kernel-GENERIC --revision 1.$n --date 20260101 --arch amd64 && bindery publish -r repo -k keys dist && rm dist && cp -a repo repo-$n
      [ $n = 1 ] || bindery bundle -r repo -o to-$n.sh kernel-GENERIC/amd64
    done
    ln -s repo-1 served && cp -a R1 enrolled && bindery -C enrolled enroll "file://$PWD/served/" repo/metadata/1.root.json kernel-GENERIC/amd64`)
}

type Way = 'bundle' | 'client'
type Step = { readonly to: number; readonly spoil?: string; readonly wanted?: number }

const installing = (root: string, way: Way, to: number, flags = ''): string =>
  way === 'bundle' ? `sh to-${to}.sh ${flags} -R ${root}` : `ln -sfn repo-${to} served && bindery -C ${root} install ${flags}`
const goingBack = (root: string, way: Way): string => (way === 'bundle' ? `sh to-3.sh -R ${root} rollback` : `bindery -C ${root} rollback`)

/** Either has its own way to show odd names, and times are not the same everywhere. */
const shown = ({ out }: Ran): readonly string[] =>
  out
    .split('\n')
    .filter((line) => !/odd|^attributes/.test(line))
    .sort()

const oldNames = (root: string): string => run(`cat ${root}/var/db/bindery/old-names 2>/dev/null || true`).out

async function assertSame(actual: string, expected: string, but: readonly string[] = []): Promise<void> {
  if (but.length === 0) assert.equal(oldNames(actual), oldNames(expected))
  run(`for root in ${actual} ${expected}; do mv $root/var/db/bindery $root.state; done`)
  await assertSameTree(join(work, actual), join(work, expected), but)
  run(`for root in ${actual} ${expected}; do mv $root.state $root/var/db/bindery; done`)
}

type Road = { readonly there: readonly Way[]; readonly back: readonly Way[]; readonly path?: string; readonly but?: readonly string[] }

/** What was done to both was done at the same time. */
const old = `find . -path ./var/db/bindery -prune -o -newermt 2021-03-01 -exec touch -h -d '2021-01-01 UTC' {} +`

/** Installs each step on a machine by these ways and on another by the client, and goes back, the last step first. Gives what was said. */
async function assertAlike(steps: readonly Step[], { there, back, path, but }: Road): Promise<readonly string[]> {
  run(`rm -rf mine* theirs* before* && cp -a enrolled mine && cp -a mine theirs`)
  const said: string[] = []
  for (const [i, { to, spoil, wanted }] of steps.entries()) {
    run(`for root in mine theirs; do (cd $root && ${spoil ?? 'true'}; ${old}); done; cp -a mine before-${i}`)
    const [way, ofBundle] = [there[i] as Way, path ?? process.env['PATH']]
    if (way === 'bundle')
      assert.deepEqual(shown(run(installing('mine', way, to, '-n'), 0, ofBundle)), shown(run(installing('theirs', 'client', to, '-n'))))
    const { talk } = run(installing('mine', way, to), wanted, ofBundle)
    assert.deepEqual(talk.toSorted(), run(installing('theirs', 'client', to), wanted).talk.toSorted())
    said.push(...talk)
    await assertSame('mine', 'theirs', but)
  }
  for (const [i, way] of back.entries()) {
    run(goingBack('mine', way), 0, path)
    await assertSame('mine', `before-${steps.length - 1 - i}`, but)
  }
  return said
}

const changed = `echo mine >obsd; echo mine >boot/kernel.old/kernel.new && mv boot/kernel.old/kernel.new boot/kernel.old/kernel; chmod 711 boot/kernel.old/deep
  echo mine >boot/kernel.old/going/mine; rm boot/kernel.old/same.ko; echo mine >boot/kernel.old/mine`

if (isTurn(1))
  describe('the second name of a kernel', { ...needs('mtree', 'diff', 'getfattr', 'setfattr', 'busybox'), ...needsRoot() }, () => {
    before(makeReleases)
    const road = testsByDay()

    road('is kept by a bundle under busybox and then by the client, and goes back by the other', async () => {
      const spoil = 'echo mine >boot/kernel/mine.ko; setfattr -n user.mine -v 1 bsd'
      const path = busyboxTools(join(work, 'tools'), ['getfattr', 'setfattr'])
      await assertAlike([{ to: 2, spoil }, { to: 3 }], { there: ['bundle', 'client'], back: ['bundle', 'client'], path, but: ['time'] })
      assert.equal(run('sh to-2.sh -R mine && cat mine/obsd mine/boot/kernel.old/kernel').out, '1\n1\n')
    })

    road('has three states like every path, where the client has put it as well', async () => {
      const steps = [{ to: 2 }, { to: 3, spoil: changed, wanted: 6 }]
      const said = await assertAlike(steps, { there: ['client', 'bundle'], back: ['bundle'] })
      assert.ok(said.includes('bindery: install: /obsd was modified here; the other version is /obsd.new'))
    })

    road('is left to what somebody has put there', async () => {
      const steps = [{ to: 2, spoil: 'echo mine >obsd; mkdir boot/kernel.old', wanted: 6 }]
      const said = await assertAlike(steps, { there: ['bundle'], back: ['client'] })
      assert.deepEqual(
        said.toSorted(),
        ['/boot/kernel.old', '/obsd'].map((path) => `bindery: install: ${path} is not of a release`),
      )
    })

    road('is in its place after a stop in the middle, whoever goes on, and gone after a way back', () => {
      run(
        'rm -rf mine && cp -a enrolled before && sh to-2.sh -R before && cp -a before done && sh to-3.sh -R done && bindery -C done audit --extra',
      )
      run(
        `mkdir stop && printf '%s\\n' '#!/bin/sh' 'case "$*" in */bsd) exit 1 ;; esac' 'exec ${run('command -v mv').out.trim()} "$@"' >stop/mv && chmod 755 stop/mv`,
      )
      for (const [goOn, tree] of [
        ['bindery -C mine recover', 'done'],
        ['sh to-3.sh -R mine recover --undo', 'before'],
      ] as const) {
        run('rm -rf mine && cp -a before mine && PATH="$PWD/stop:$PATH" sh to-3.sh -R mine', 4)
        assert.equal(run('cat mine/bsd mine/obsd mine/boot/kernel.old/kernel').out, '2\n2\n2\n')
        run(`${goOn} && diff -r --no-dereference -x bindery mine ${tree}`)
      }
      run('rm -r before done')
    })

    road('is not given where the list of them is damaged', () => {
      run('rm -rf mine && cp -a enrolled mine && sh to-2.sh -R mine && cp -a mine before')
      for (const damage of ['s/^path obsd/path ..\\/obsd/', 's/^path obsd/path \\\\056\\\\056/', '$d']) {
        run(`sed -i '${damage}' mine/var/db/bindery/old-names`)
        run('sh to-3.sh -R mine', 1)
        run('diff -r --no-dereference -x bindery mine before && cp before/var/db/bindery/old-names mine/var/db/bindery')
      }
    })
  })
