import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { plantWorld } from '../helpers/capture-world.ts'
import { dir } from '../helpers/plant.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { inTemporary } from '../helpers/temporary.ts'
import { assertSameTree } from './judge.ts'
import { isTurn } from '../helpers/whole-suite.ts'

/** From a captured patch to machines and back, as a user types it: patches in order, rolled up, taken back. */

const tools = { ...needs('busybox', 'mtree', 'getfattr', 'setfattr'), ...needsRoot() }

if (isTurn(2))
  test('patches are installed in order or rolled up, and taken back one by one or all at once', tools, async () => {
    await inTemporary(async (work) => {
      const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
      const sh = (script: string): string => {
        const done = spawnSync('bash', ['-eu', '-o', 'pipefail', '-c', script], { cwd: work, env, encoding: 'utf8' })
        assert.equal(done.status, 0, `${script}\n${done.stderr}`)
        return done.stdout
      }
      await plantWorld(join(work, 'base'), {
        'usr/bin/tool': 'tool 1\n',
        'usr/lib/libtool.so.1': 'library 1\n',
        'etc/tool.conf': 'old\n',
        'var/db': dir(),
      })
      sh(`
      mkdir -p comp/usr/bin comp/usr/include && echo cc > comp/usr/bin/cc && echo h > comp/usr/include/tool.h
      cp -a base world && cp -a comp/. world
      bindery init -r repo -k keys --no-passphrase
      name='--date 20260101 --arch amd64'
      bindery cut base -o base.tar --format none --product base --revision 1.0 $name
      bindery cut comp -o comp.tar --format none --product comp --revision 1.0 $name
      bindery publish -r repo -k keys base.tar comp.tar

      bindery -q capture world -o 001 -- sh -c '
        echo "tool 2" > /usr/bin/tool; rm /usr/lib/libtool.so.1; echo "library 2" > /usr/lib/libtool.so.2; echo "h 2" > /usr/include/tool.h'
      bindery cut 001 --base base.tar --beside comp.tar -o p1.tar --format none --revision 1.0p1 $name
      bindery cut 001 --base comp.tar --beside base.tar -o c1.tar --format none --revision 1.0p1 $name
      bindery publish -r repo -k keys p1.tar c1.tar

      mkdir world1 && tar -xpf p1.tar -C world1 && tar -xpf c1.tar -C world1
      bindery -q capture world1 -o 002 -- sh -c 'mkdir -p /usr/share/tool; echo new > /usr/share/tool/new; rm /etc/tool.conf; ln -s tool /usr/bin/alias'
      bindery cut 002 --base p1.tar --beside c1.tar -o p2.tar --format none --revision 1.0p2 $name
    `)
      for (const release of ['p1', 'p2']) sh(`mkdir ${release} && tar -xpf ${release}.tar -C ${release}`)
      const enroll = (root: string): string =>
        sh(`cp -a base ${root} && bindery -C ${root} enroll file://${work}/repo repo/metadata/1.root.json base/amd64`)
      // Unpacking by tar gives some directories the time of what came into them.
      const is = async (root: string, release: string): Promise<void> =>
        await assertSameTree(join(work, root), join(work, release), ['time'])

      enroll('machine')
      sh('bindery -C machine install')
      await is('machine', 'p1')
      sh('bindery publish -r repo -k keys p2.tar && bindery -C machine install && bindery -C machine audit')
      await is('machine', 'p2')
      sh('bindery -C machine rollback')
      await is('machine', 'p1')
      sh('bindery -C machine install && bindery -C machine rollback --to base-1.0-20260101-amd64')
      await is('machine', 'base')

      enroll('rolled-up')
      sh('bindery -C rolled-up install')
      await is('rolled-up', 'p2')
      sh('test ! -e rolled-up/usr/include && bindery -C rolled-up audit && bindery -C rolled-up rollback')
      await is('rolled-up', 'base')
    })
  })
