import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe } from 'node:test'
import { baseTools } from '../helpers/base-tools.ts'
import { makeBundleSite } from '../helpers/bundle-site.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { isTurn, isWholeSuite, testsByDay } from '../helpers/whole-suite.ts'
import { assertSameTree } from './judge.ts'

/** A bundle on machines that lack something, are full, lie, or have names that sh would take apart: all of it or nothing is done. */
const work = folderInMemory('bindery-hostile-')
after(() => rmSync(work, { recursive: true }))

type Machine = { readonly path?: string; readonly tmp?: string; readonly cwd?: string }

/** `root` as it is named to the bundle, from the working directory. */
function install(root: string, { path = process.env['PATH'] ?? '', tmp = work, cwd = work }: Machine = {}): Told {
  const done = spawnSync('/bin/sh', [join(work, 'update.sh'), '-R', root], { cwd, env: { PATH: path, TMPDIR: tmp } })
  return { status: done.status, talk: done.stderr.toString() }
}

type Told = { readonly status: number | null; readonly talk: string }

function sh(script: string): void {
  const done = spawnSync('bash', ['-euc', script], { cwd: work })
  assert.equal(done.status, 0, `${script}\n${done.stderr.toString()}`)
}

/** Nothing of the run is left, in the tree or among the temporary files. */
async function assertUntouched(root: string, place: string): Promise<void> {
  await assertSameTree(join(work, root), join(work, 'OLD'))
  const found = spawnSync('find', [
    join(work, root, 'var/db/bindery'),
    '-name',
    'journal*',
    '-o',
    '-path',
    '*/stage/*',
    '-o',
    '-path',
    '*/store/*',
  ])
  assert.equal(found.stdout.toString(), '', place)
}

if (isTurn(2))
  describe('a bundle', { ...needs('mtree', 'getfattr', 'setfattr', 'dash'), ...needsRoot() }, () => {
    before(() => {
      makeBundleSite(work)
      mkdirSync(join(work, 'small'))
    })
    const road = testsByDay()
    beforeEach(() => rmSync(join(work, 'root'), { recursive: true, force: true }))

    road('where a tool is missing names it, before anything is touched', async () => {
      sh('cp -a OLD root')
      const tools = [
        'sh',
        'setfattr',
        'getfattr',
        'chroot',
        'env',
        'head',
        'id',
        'ps',
        'sleep',
        'uniq',
        'wc',
        'mkfifo',
        'mknod',
        'sha256sum',
        'printf',
      ]
      const path = baseTools(join(work, 'tools'), 'dash', [])
      for (const tool of spawnSync('ls', [path])
        .stdout.toString()
        .split('\n')
        .filter((name) => name !== '' && !tools.includes(name))) {
        sh(`mv tools/${tool} away`)
        const { status, talk } = install('root', { path })
        assert.match(talk, new RegExp(`^bindery: install: ${tool} is missing\\n$`))
        assert.equal(status, 1)
        sh(`mv away tools/${tool}`)
      }
      await assertUntouched('root', 'tools')
      for (const tool of ['wc', 'uniq', 'head', 'env']) sh(`rm -f tools/${tool}`)
      assert.equal(install('root', { path }).status, 0)
      await assertSameTree(join(work, 'root'), join(work, 'NEW'))
      sh('rm -r root')
    })

    road('in folders with strange names', async () => {
      const names = ['with space\nnew line\n', '-back\\slash\\040%s%n', `*?[a]quote'"$(touch x)\`touch y\``]
      for (const name of isWholeSuite ? names : [names.toReversed().join('')]) {
        const folder = join(work, 'odd', name)
        mkdirSync(join(folder, 'tmp'), { recursive: true })
        spawnSync('cp', ['-a', join(work, 'OLD'), join(folder, name)])
        spawnSync('cp', [join(work, 'update.sh'), join(folder, name, '..', `${name}.sh`)])
        const options = { cwd: folder, env: { PATH: process.env['PATH'], TMPDIR: join(folder, 'tmp') } }
        const done = spawnSync('/bin/sh', [`./${name}.sh`, '-R', `./${name}`], options)
        assert.deepEqual([done.status, done.stderr.toString()], [0, 'bindery: install: base/amd64: mind the gap\n'], name)
        // mtree(1) cannot work below such names itself.
        renameSync(join(folder, name), join(work, 'root'))
        await assertSameTree(join(work, 'root'), join(work, 'NEW'))
        rmSync(join(work, 'root'), { recursive: true })
        assert.equal(spawnSync('ls', ['-A', join(folder, 'tmp')]).stdout.toString(), '')
      }
      rmSync(join(work, 'odd'), { recursive: true })
    })

    for (const [what, sizes] of [
      ['temporary files', [4, 280, 2048]],
      ['root', [8, 120, 4096]],
    ] as const)
      road(`that has no room for its ${what} does nothing`, async (t) => {
        const statuses = new Set<number | null>()
        const isRoot = what === 'root'
        const root = isRoot ? 'small/root' : 'root'
        const used = isRoot ? Number.parseInt(spawnSync('du', ['-sk', 'OLD'], { cwd: work }).stdout.toString(), 10) : 0
        for (const more of sizes) {
          const kilobytes = used + more
          if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'none', join(work, 'small')]).status !== 0)
            return t.skip('cannot mount')
          try {
            sh(`cp -a OLD ${root}`)
            const { status, talk } = install(root, isRoot ? {} : { tmp: join(work, 'small') })
            statuses.add(status)
            if (status === 0) await assertSameTree(join(work, root), join(work, 'NEW'))
            else {
              assert.equal(status, 1, talk)
              await assertUntouched(root, `${kilobytes} kB: ${talk}`)
            }
          } finally {
            spawnSync('umount', [join(work, 'small')])
            rmSync(join(work, 'root'), { recursive: true, force: true })
          }
        }
        assert.deepEqual(statuses, new Set([0, 1]))
      })

    road('over a folder that is mounted read-only does nothing', async (t) => {
      sh('cp -a OLD root')
      if (spawnSync('bash', ['-c', 'mount --bind root/etc root/etc && mount -o remount,ro,bind root/etc'], { cwd: work }).status !== 0)
        return t.skip('cannot mount')
      try {
        const { status, talk } = install('root')
        assert.deepEqual([status, /read-only/.test(talk)], [1, true], talk)
      } finally {
        spawnSync('umount', [join(work, 'root/etc')])
      }
      await assertUntouched('root', 'read-only')
      sh('rm -r root')
    })

    road('twice at once is one install', async () => {
      sh('cp -a OLD root')
      const runs = [0, 1, 2].map(() => spawn('/bin/sh', [join(work, 'update.sh'), '-R', 'root'], { cwd: work, stdio: 'ignore' }))
      const statuses = await Promise.all(runs.map(async (run) => (await once(run, 'close'))[0] as number))
      assert.ok(
        statuses.every((status) => status === 0 || status === 5),
        statuses.join(),
      )
      if (!statuses.includes(0)) assert.equal(install('root').status, 0)
      await assertSameTree(join(work, 'root'), join(work, 'NEW'))
      sh('rm -r root')
    })

    road('with a clock that is wrong installs, and with one that says nothing does not', async () => {
      const path = baseTools(join(work, 'tools'), 'dash', [])
      for (const [said, wanted] of [
        ['0', 0],
        ['99999999999', 0],
        ['', 1],
        ['soon', 1],
      ] as const) {
        rmSync(join(path, 'date'))
        writeFileSync(join(path, 'date'), `#!/bin/sh\necho ${said}\n`, { mode: 0o755 })
        sh('rm -rf root && cp -a OLD root')
        assert.equal(install('root', { path }).status, wanted, said)
        await assertSameTree(join(work, 'root'), join(work, wanted === 0 ? 'NEW' : 'OLD'))
      }
    })
  })
