import assert from 'node:assert/strict'
import { copyFileSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { baseTools, busyboxTools } from '../helpers/base-tools.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { inTurn, isTurn, isWholeSuite } from '../helpers/whole-suite.ts'
import { client, conf, configure, makeReleases, newRoot, ran, root, secondBundle, sh, work } from './bindery-sh-world.ts'
import { assertSameTree } from './judge.ts'
import { serveWithHabits, serveWithNginx, serveWithPython } from './servers.ts'
import type { Site } from './servers.ts'

/** Machines without Node, under every shell. */
before(makeReleases)

type Machine = {
  readonly name: string
  readonly programs: readonly string[]
  readonly tools: (folder: string) => string
  readonly serve: (folder: string) => Promise<Site>
  /** touch(1) of busybox knows no fractions of a second. */
  readonly but: readonly string[]
}

const withRanges = async (folder: string): Promise<Site> => await serveWithHabits(folder, { validator: 'etag', ranges: true })

function machine(shell: string, loader: string, verifier: string, serve: Machine['serve']): Machine {
  const tools = (folder: string): string => baseTools(folder, shell, [loader, verifier])
  return { name: `${shell}, ${loader}, ${verifier}`, programs: [shell, loader, verifier], tools, serve, but: [] }
}

function busybox(verifier: string): Machine {
  const tools = (folder: string): string => busyboxTools(folder, [verifier])
  return { name: `busybox alone, ${verifier}`, programs: ['busybox', verifier], tools, serve: withRanges, but: ['time'] }
}

/** The other shells are slower; dash meets each of the downloaders where servers are hostile. */
const machines: readonly Machine[] = [
  busybox('signify-openbsd'),
  ...(isWholeSuite
    ? [
        machine('mksh', 'tnftp', 'openssl', serveWithPython),
        machine('dash', 'curl', 'signify-openbsd', serveWithNginx),
        machine('bash', 'wget', 'openssl', serveWithPython),
        machine('ksh93', 'curl', 'openssl', serveWithPython),
      ]
    : []),
]

describe('bindery-sh', { ...needs('mtree', 'diff', 'getfattr', 'setfattr', 'nginx', 'python3'), ...needsRoot() }, () => {
  for (const { name, programs, tools, serve, but } of machines) {
    test(`${name}: the newest release over two bundles, and back`, needs(...programs), async () => {
      const path = tools(join(work, 'tools'))
      const site = await serve(join(work, 'two'))
      try {
        newRoot([site.url])
        const found = await ran(10, path, ...conf, 'check', '-e')
        assert.match(found.stdout, /^base\/amd64: base-1\.0-20260101-amd64 -> base-1\.2-20260301-amd64, \S+ MB in 2 bundles\n$/)
        const plan = await ran(0, path, ...conf, 'install', '-n')
        assert.match(plan.stdout, new RegExp(`^remove /usr/share/file-to-dir$[^]*^then ${secondBundle}\n$`, 'm'))
        await assertSameTree(root, join(work, 'OLD'))
        const done = await ran(0, path, ...conf, 'install')
        assert.deepEqual([done.stdout, done.stderr], ['', ''])
        await assertSameTree(root, join(work, 'LAST'), but)
        assert.deepEqual((await ran(0, path, ...conf, 'check', '-e')).stdout, '')
        assert.match(
          (await ran(0, path, 'list')).stdout,
          /^base\/amd64: base-1\.2-\S+\n1: install \S+ base-1\.0\S+ -> base-1\.1\S+\n2: install/,
        )
        assert.deepEqual(globSync(join(root, 'var/db/bindery/cache/*')), [])
        await ran(0, path, 'rollback')
        await ran(0, path, 'rollback')
        await assertSameTree(root, join(work, 'OLD'), but)
        await ran(1, path, 'rollback')
      } finally {
        await site.close()
      }
    })
  }
})

if (isTurn(1))
  test(
    'bindery-sh on a machine whose channel is held, under mksh',
    { ...needs('mksh', 'mtree', 'getfattr', 'setfattr'), ...needsRoot() },
    async () => {
      const tools = baseTools(join(work, 'tools-mksh'), 'mksh', ['openssl'])
      newRoot([`file://${join(work, 'two')}`], 'hold base/amd64')
      assert.match((await ran(0, tools, ...conf, 'check', '-e')).stdout, /, held\n$/)
      await ran(0, tools, ...conf, 'install')
      await assertSameTree(root, join(work, 'OLD'))
      await ran(0, tools, ...conf, 'install', 'base/amd64')
      await assertSameTree(root, join(work, 'LAST'))
    },
  )

if (isTurn(0))
  describe('bindery-sh on a machine', { ...needs('mtree', 'getfattr', 'setfattr', 'dash', 'signify-openbsd'), ...needsRoot() }, () => {
    let path = ''
    before(() => {
      path = baseTools(join(work, 'tools-here'), 'dash', ['signify-openbsd'])
    })

    const ways = [
      [[], 'LAST'],
      [['--undo'], 'NEW'],
    ] as const
    for (const [undo, tree] of inTurn(ways, 1))
      test(`that was killed in the middle: recover ${undo.join(' ')}`, async () => {
        newRoot([`file://${join(work, 'one')}`])
        await ran(0, path, ...conf, 'install')
        configure([`file://${join(work, 'two')}`])
        const dying = baseTools(join(work, 'tools-dying'), 'dash', ['signify-openbsd'])
        rmSync(join(dying, 'mv'))
        const script = `#!/bin/sh\n[ ! -f '${root}/var/db/bindery/journal' ] || kill -9 $PPID\nexec ${join(path, 'mv')} "$@"\n`
        writeFileSync(join(dying, 'mv'), script, { mode: 0o755 })
        await ran(137, dying, ...conf, 'install')
        assert.ok(existsSync(join(root, 'var/db/bindery/journal')))
        await ran(4, path, ...conf, 'install', '-n')
        await ran(0, path, 'recover', ...undo)
        await assertSameTree(root, join(work, tree))
        await ran(0, path, ...conf, 'install')
        await assertSameTree(root, join(work, 'LAST'))
      })

    test('that bindery looks after, too', async () => {
      newRoot([`file://${join(work, 'two')}`])
      sh(`bindery -C root enroll file://$PWD/repo/ repo/metadata/1.root.json base/amd64`)
      await ran(0, path, ...conf, 'install')
      assert.equal(sh('bindery -C root check'), '')
      sh('bindery -C root audit && bindery -C root rollback && bindery -C root rollback')
      await assertSameTree(root, join(work, 'OLD'))
      sh('bindery -C root install')
      assert.equal((await ran(0, path, ...conf, 'check', '-e')).stdout, '')
      await ran(0, path, 'rollback')
      await assertSameTree(root, join(work, 'OLD'))
    })

    test('where nobody is root: check remembers nothing, and the rest needs root', needs('setpriv'), () => {
      newRoot([`file://${join(work, 'two')}`])
      copyFileSync(client, join(work, 'client'))
      sh(`chmod 711 . && chmod 644 client bundles.pub`)
      const asNobody = (verb: string): string =>
        `cd / && PATH=${path} setpriv --reuid=65534 --regid=65534 --clear-groups sh ${work}/client -R ${root} -f ${conf[1] ?? ''} ${verb}`
      sh(`ln -sf "$(command -v setpriv)" ${path}/setpriv`)
      assert.match(sh(asNobody('check')), /^base\/amd64: base-1\.0\S+ -> base-1\.2\S+, \d/)
      for (const verb of ['fetch', 'install']) sh(`if (${asNobody(verb)}) 2>said; then false; fi; grep -q 'needs root' said`)
      assert.ok(!existsSync(join(root, 'var/db/bindery')))
    })

    test('where another one works', async () => {
      newRoot([`file://${join(work, 'two')}`])
      await ran(0, path, ...conf, 'check')
      writeFileSync(join(root, 'var/db/bindery/lock/1.x'), 'bindery-lock 1\npid 1\nhost elsewhere\nstarted x\nverb install\n')
      for (const verb of ['check', 'fetch', 'install', 'recover', 'rollback']) await ran(5, path, ...(/r/.test(verb) ? [] : conf), verb)
      await assertSameTree(root, join(work, 'OLD'))
    })

    test('that is not as the configuration says', async () => {
      newRoot([`file://${join(work, 'two')}`])
      sh(`find root -type f -exec sh -c 'for file; do echo other >>"$file"; done' sh {} +; cp -a root OTHER`)
      await ran(3, path, ...conf, 'install')
      await assertSameTree(root, join(work, 'OTHER'))
      sh(`sed -i 's/base-1.0/base-0.9/' conf/bindery-sh.conf`)
      await ran(1, path, ...conf, 'install')
      sh(`sed -i 's/ base-0.9.*//' conf/bindery-sh.conf`)
      await ran(1, path, ...conf, 'install')
      await assertSameTree(root, join(work, 'OTHER'))
    })

    test('with a list of its own number and another index, and with a damaged memory', async () => {
      newRoot([`file://${join(work, 'two')}`])
      await ran(0, path, ...conf, 'check')
      const seen = join(root, 'var/db/bindery/bundles/seen')
      writeFileSync(seen, readFileSync(seen, 'utf8').replace(/index .*/, `index ${'0'.repeat(64)}`))
      await ran(3, path, ...conf, 'check')
      writeFileSync(seen, '')
      await ran(3, path, ...conf, 'check')
    })

    test('with a cache that others can write to', async () => {
      newRoot([`file://${join(work, 'two')}`], 'cache /tmp/cache')
      await ran(0, path, ...conf, 'fetch')
      assert.equal(globSync(join(root, 'tmp/cache/*')).length, 2)
      sh('chmod 777 root/tmp/cache')
      await ran(1, path, ...conf, 'install')
      sh('rm -r root/tmp/cache && ln -s /tmp root/tmp/cache')
      await ran(1, path, ...conf, 'install')
    })

    test('without anything that verifies', async () => {
      const bare = baseTools(join(work, 'tools-bare'), 'dash', [])
      newRoot([`file://${join(work, 'two')}`])
      const it = await ran(1, bare, ...conf, 'install')
      assert.match(it.stderr, /no signify, and no openssl/)
      await assertSameTree(root, join(work, 'OLD'))
    })

    for (const line of [
      'url gopher://x/',
      'url http://x/ y',
      'key nobody.pub',
      'key ../x.pub',
      'channel base',
      'channel base/amd64 comp-1-2-amd64',
      'verify no',
      'url',
    ])
      test(`with a wrong line: ${line}`, async () => {
        newRoot([`file://${join(work, 'two')}`], line)
        await ran(2, path, ...conf, 'check')
      })
  })

test('a wrong call is status 2', needs('dash'), () => {
  for (const words of ['', 'upgrade', 'check -n', 'install --undo', 'list base/amd64', 'check -x', 'check -R'])
    assert.throws(() => sh(`dash '${client}' ${words}`), { status: 2 }, words)
})

test('shellcheck is content', needs('shellcheck'), () => {
  copyFileSync(client, join(work, 'bindery-sh'))
  assert.equal(sh('shellcheck -s sh bindery-sh'), '')
})

test('no function is called like one of a bundle: the later would take the place of the other', () => {
  const names = [...readFileSync(client, 'utf8').matchAll(/^(\w+)\(\) [{(]/gm)].map(([, name]) => name)
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  )
})
