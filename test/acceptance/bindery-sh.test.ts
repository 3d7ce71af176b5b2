import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { baseTools, busyboxTools } from '../helpers/base-tools.ts'
import { answers, cutsAfter, hangs, hostileServer, neverEnds, portal } from '../helpers/hostile-server.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { assertSameTree } from './judge.ts'
import { serveWithHabits, serveWithNginx, serveWithPython } from './servers.ts'
import type { Mischief } from '../helpers/hostile-server.ts'
import type { Site } from './servers.ts'

/** Machines without Node: under every shell and with every downloader, against servers that mean well and that do not. */
const work = mkdtempSync(join(tmpdir(), 'bindery-sh-'))
after(() => rmSync(work, { recursive: true }))

const client = resolve('dist/bindery-sh')
const root = join(work, 'root')

/** Runs a line of bash in `work`. */
function sh(script: string): string {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
  return execFileSync('bash', ['-eu', '-o', 'pipefail', '-c', script], {
    cwd: work,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

/** Servers of this process have to answer meanwhile. */
async function run(path: string, ...args: readonly string[]): Promise<Ran> {
  const child = spawn(join(path, 'sh'), [client, '-R', root, ...args], {
    cwd: work,
    env: { PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString('latin1')))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('latin1')))
  const status = await new Promise<number | null>((done) => child.once('close', done))
  return { status, stdout, stderr }
}

async function ran(wanted: number, path: string, ...args: readonly string[]): Promise<Ran> {
  const it = await run(path, ...args)
  assert.equal(it.status, wanted, `${args.join(' ')}\n${it.stdout}${it.stderr}`)
  return it
}

/** A root of the first release that follows what is at the addresses. */
function newRoot(urls: readonly string[], ...more: readonly string[]): void {
  sh('rm -rf root && cp -a OLD root && mkdir -p conf')
  configure(urls, ...more)
}

function configure(urls: readonly string[], ...more: readonly string[]): void {
  const lines = [...urls.map((url) => `url ${url}`), `key /../bundles.pub`, 'channel base/amd64 base-1.0-20260101-amd64', ...more]
  writeFileSync(join(work, 'conf/bindery-sh.conf'), `# of the test\n\n${lines.join('\n')}\n`)
}

const conf = ['-f', join(work, 'conf/bindery-sh.conf')]
const firstBundle = 'base-1.0-20260101-amd64_to_base-1.1-20260201-amd64.sh'
const secondBundle = 'base-1.1-20260201-amd64_to_base-1.2-20260301-amd64.sh'

/** Lists and trees after the first and after the second bundle lie in `one` and `two`. */
before(() => {
  if (needsRoot().skip !== undefined || needs('mtree', 'setfattr', 'getfattr').skip !== undefined) return
  sh(`'${resolve('test/acceptance/trees.sh')}' OLD NEW
    for tree in OLD NEW; do
      setfattr -x user.origin $tree/usr/share/doc/numbers 2>/dev/null || true
      touch -r $tree/usr/share/doc/page1 $tree/usr/share/doc
    done
    cp -a NEW LAST && echo later >LAST/usr/share/doc/later && touch -r NEW/usr/share/doc LAST/usr/share/doc LAST/usr/share/doc/later
    bindery init -r repo -k keys --no-passphrase
    bindery keygen --no-passphrase -p bundles.pub -s bundles.sec
    bindery keygen --no-passphrase -p other.pub -s other.sec
    bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
    bindery cut NEW -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
    bindery cut LAST -o c.tar.zst --product base --revision 1.2 --date 20260301 --arch amd64
    bindery publish -r repo -k keys a.tar.zst && bindery publish -r repo -k keys b.tar.zst
    bindery bundle -r repo -s bundles.sec --expires 30 base/amd64
    mkdir one two && cp -a repo/SHA256.sig repo/bundles one
    bindery publish -r repo -k keys c.tar.zst
    bindery bundle -r repo -s bundles.sec base/amd64
    cp -a repo/SHA256.sig repo/bundles two`)
})

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

const machines: readonly Machine[] = [
  machine('dash', 'curl', 'signify-openbsd', serveWithNginx),
  machine('bash', 'wget', 'openssl', serveWithPython),
  machine('mksh', 'tnftp', 'signify-openbsd', serveWithNginx),
  machine('ksh93', 'curl', 'openssl', serveWithPython),
  busybox('signify-openbsd'),
]

describe('bindery-sh', { ...needs('mtree', 'diff', 'getfattr', 'setfattr', 'nginx', 'python3'), ...needsRoot() }, () => {
  for (const { name, programs, tools, serve, but } of machines) {
    test(`${name}: the newest release over two bundles, and back`, needs(...programs), async () => {
      const site = await serve(join(work, 'two'))
      const path = tools(join(work, 'tools'))
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

  const loaders: readonly (readonly [string, Machine['tools']])[] = [
    ['curl', (folder) => baseTools(folder, 'dash', ['curl', 'signify-openbsd'])],
    ['wget', (folder) => baseTools(folder, 'dash', ['wget', 'openssl'])],
    ['tnftp', (folder) => baseTools(folder, 'dash', ['tnftp', 'signify-openbsd'])],
    ['busybox', (folder) => busyboxTools(folder, ['openssl'])],
  ]
  for (const [loader, tools] of loaders)
    for (const serve of [serveWithNginx, serveWithPython, withRanges])
      test(`${loader}: what broke off goes on, ${serve.name}`, needs(loader), async () => {
        const site = await serve(join(work, 'two'))
        const path = tools(join(work, 'tools'))
        try {
          newRoot([site.url])
          await ran(0, path, ...conf, 'check')
          for (const left of [bundleBytes().subarray(0, 1_000_000), Buffer.from('<html>somewhere else</html>'), Buffer.alloc(3_000_000)]) {
            plantPart(left)
            await ran(0, path, ...conf, 'fetch')
            assert.equal(globSync(join(root, 'var/db/bindery/cache/*')).length, 2)
          }
        } finally {
          await site.close()
        }
      })
})

function bundleBytes(): Buffer {
  return readFileSync(join(work, 'two/bundles', firstBundle))
}

/** Leaves, instead of the first bundle, something that a broken download may have left. */
function plantPart(left: Buffer): void {
  const file = join(root, 'var/db/bindery/cache', digestOf(join(work, 'two/bundles', firstBundle)))
  rmSync(file, { force: true })
  writeFileSync(`${file}.part`, left)
}

function digestOf(file: string): string {
  return sh(`sha256sum '${file}'`).slice(0, 64)
}

describe(
  'bindery-sh refuses',
  { ...needs('mtree', 'getfattr', 'setfattr', 'dash', 'curl', 'wget', 'busybox', 'signify-openbsd'), ...needsRoot() },
  () => {
    const folderOf = (name: string): string => join(work, `tools-${name}`)
    const paths = (): readonly (readonly [string, string])[] => [
      ['curl', baseTools(folderOf('curl'), 'dash', ['curl', 'signify-openbsd'])],
      ['wget', baseTools(folderOf('wget'), 'dash', ['wget', 'openssl'])],
      ['busybox', busyboxTools(folderOf('busybox'), ['signify-openbsd'])],
    ]

    const file = (path: string): Buffer => readFileSync(join(work, path))
    const flipped = (bytes: Buffer, at: number): Buffer => {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] as number) ^ 1
      return copy
    }
    const evil = (): Buffer => Buffer.from(`#!/bin/sh\ntouch ${work}/pwned\n`.padEnd(file(`two/bundles/${firstBundle}`).length))
    const signed = (key: string, message: string): Buffer => {
      writeFileSync(join(work, 'message'), message)
      sh(`bindery sign -e -s ${key}.sec -m message -x message.sig`)
      return file('message.sig')
    }
    const expired = (): readonly [string, Buffer, Buffer] => {
      const index = `bindery-bundles 1\nserial 1700000000\nexpires 1700000001\nbundle 1 2 base/amd64 base-1.0-20260101-amd64 base-1.1-20260201-amd64\n`
      writeFileSync(join(work, 'expired'), index)
      return [
        '/bundles/index.1700000000',
        Buffer.from(index),
        signed('bundles', `SHA256 (index.1700000000) = ${digestOf(join(work, 'expired'))}\n`),
      ]
    }

    type Attack = {
      readonly name: string
      readonly status: number
      readonly lies: () => Readonly<Record<string, Mischief>>
      readonly lines?: readonly string[]
      readonly everyLoader?: true
    }
    before(() => newRoot([]))
    const list = '/SHA256.sig'
    const bundle = `/bundles/${firstBundle}`
    const attacks: readonly Attack[] = [
      {
        name: 'an altered bundle',
        everyLoader: true,
        status: 3,
        lies: () => ({ [bundle]: answers(200, {}, flipped(file(`two${bundle}`), 200_000)) }),
      },
      { name: 'another program', status: 3, lies: () => ({ [bundle]: answers(200, {}, evil()) }) },
      { name: 'a bundle that is cut', everyLoader: true, status: 1, lies: () => ({ [bundle]: cutsAfter(file(`two${bundle}`), 70_000) }) },
      { name: 'a bundle without an end', everyLoader: true, status: 3, lies: () => ({ [bundle]: neverEnds() }) },
      {
        name: 'a bundle of somewhere else',
        everyLoader: true,
        status: 3,
        lies: () => ({ [bundle]: answers(302, { Location: '/elsewhere' }), '/elsewhere': answers(200, {}, evil()) }),
      },
      { name: 'a portal', everyLoader: true, status: 3, lies: () => ({ [list]: portal }) },
      { name: 'an altered list', status: 3, lies: () => ({ [list]: answers(200, {}, flipped(file('two/SHA256.sig'), 200)) }) },
      {
        name: 'a list with an altered signature',
        status: 3,
        lies: () => ({ [list]: answers(200, {}, flipped(file('two/SHA256.sig'), 80)) }),
      },
      { name: 'a list that is cut', status: 3, lies: () => ({ [list]: answers(200, {}, file('two/SHA256.sig').subarray(0, 300)) }) },
      { name: 'a list without an end', everyLoader: true, status: 3, lies: () => ({ [list]: neverEnds() }) },
      {
        name: 'a list of another key',
        status: 3,
        lies: () => ({ [list]: answers(200, {}, signed('other', file('two/SHA256.sig').toString().split('\n').slice(2).join('\n'))) }),
      },
      {
        name: 'a list without an index',
        status: 3,
        lies: () => ({ [list]: answers(200, {}, signed('bundles', `SHA256 (x) = ${'0'.repeat(64)}\n`)) }),
      },
      { name: 'an older list', status: 3, lies: () => ({ [list]: answers(200, {}, file('one/SHA256.sig')) }) },
      { name: 'another index', status: 3, lies: () => indexLie(answers(200, {}, Buffer.from('bindery-bundles 1\n'))) },
      {
        name: 'an expired list',
        status: 3,
        lies: () => {
          const [path, index, sig] = expired()
          rmSync(join(root, 'var/db/bindery/bundles'), { recursive: true })
          return { [list]: answers(200, {}, sig), [path]: answers(200, {}, index) }
        },
      },
      {
        name: 'a list that was redirected for ever',
        everyLoader: true,
        status: 1,
        lies: () => ({ [list]: answers(302, { Location: '/SHA256.sig' }) }),
      },
      { name: 'silence', everyLoader: true, status: 1, lies: () => ({ [list]: hangs }), lines: ['idle-timeout 2'] },
      { name: 'nothing', everyLoader: true, status: 1, lies: () => ({ [list]: answers(404) }) },
    ]

    function indexLie(lie: Mischief): Readonly<Record<string, Mischief>> {
      rmSync(join(root, 'var/db/bindery/bundles/index'))
      const [index] = globSync(join(work, 'two/bundles/index.*')).sort().reverse()
      return { [`/bundles/${basename(index as string)}`]: lie }
    }

    for (const { name, status, lies, lines = [], everyLoader } of attacks) {
      test(name, async () => {
        for (const [loader, path] of everyLoader === true ? paths() : paths().slice(0, 1)) {
          rmSync(join(root, 'var/db/bindery'), { recursive: true, force: true })
          configure([`file://${join(work, 'two')}`])
          await ran(0, path, ...conf, 'check')
          const told = lies()
          const site = await hostileServer((request, socket) => {
            const page = join(work, 'two', request.path)
            const lie = told[request.path] ?? answers(existsSync(page) ? 200 : 404, {}, existsSync(page) ? readFileSync(page) : undefined)
            lie(request, socket)
          })
          try {
            configure([`${site.base}/`], ...lines)
            const it = await run(path, ...conf, 'install')
            assert.equal(it.status, status, `${loader}: ${it.stderr}`)
            assert.match(it.stderr, /^bindery: install: \S.*\n(bindery: hint: .*\n)?$/, loader)
            assert.ok(!existsSync(join(work, 'pwned')))
            assert.deepEqual(globSync(join(root, 'var/db/bindery/{journal,receipt/*}')), [])
          } finally {
            await site.close()
          }
        }
      })
    }

    test('and has touched nothing', async () => {
      await assertSameTree(root, join(work, 'OLD'))
    })

    for (const [place, loader] of ['curl', 'wget', 'busybox'].entries())
      test(`${loader}: to fetch twice what came before the connection broke`, async () => {
        const whole = bundleBytes()
        const site = await hostileServer((request, socket) => {
          const range = /^bytes=(\d+)-$/.exec(request.headers.get('range') ?? '')
          if (request.path !== bundle) answers(200, {}, file(join('one', request.path)))(request, socket)
          else if (range === null) cutsAfter(whole, 1_500_000)(request, socket)
          else
            answers(
              206,
              { 'Content-Range': `bytes ${range[1]}-${whole.length - 1}/${whole.length}` },
              whole.subarray(Number(range[1])),
            )(request, socket)
        })
        try {
          newRoot([`${site.base}/`])
          const [, path] = paths()[place] as readonly [string, string]
          // Who goes on by itself needs one run.
          if ((await run(path, ...conf, 'fetch')).status !== 0) await ran(0, path, ...conf, 'fetch')
          const ranges = site.requests.filter((request) => request.path === bundle).map((request) => request.headers.get('range'))
          assert.deepEqual(ranges.filter((range) => range !== undefined && range !== 'bytes=0-').slice(-1), ['bytes=1500000-'])
        } finally {
          await site.close()
        }
      })

    test('an address that lies, and takes the next one', async () => {
      const path = baseTools(folderOf('curl'), 'dash', ['curl', 'signify-openbsd'])
      const site = await hostileServer(answers(200, {}, evil()))
      try {
        newRoot([`${site.base}/`, `file://${join(work, 'two')}`])
        await ran(0, path, ...conf, 'install')
        await assertSameTree(root, join(work, 'LAST'))
      } finally {
        await site.close()
      }
    })
  },
)

describe('bindery-sh on a machine', { ...needs('mtree', 'getfattr', 'setfattr', 'dash', 'signify-openbsd'), ...needsRoot() }, () => {
  let path = ''
  before(() => {
    path = baseTools(join(work, 'tools-here'), 'dash', ['signify-openbsd'])
  })

  for (const [undo, tree] of [
    [[], 'LAST'],
    [['--undo'], 'NEW'],
  ] as const)
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

  test('where another one works', async () => {
    newRoot([`file://${join(work, 'two')}`])
    await ran(0, path, ...conf, 'check')
    writeFileSync(join(root, 'var/db/bindery/lock/1.x'), 'bindery-lock 1\npid 1\nhost elsewhere\nstarted x\nverb install\n')
    for (const verb of ['check', 'fetch', 'install', 'recover', 'rollback']) await ran(5, path, ...(/r/.test(verb) ? [] : conf), verb)
    await assertSameTree(root, join(work, 'OLD'))
  })

  test('whose channel is held', async () => {
    newRoot([`file://${join(work, 'two')}`], 'hold base/amd64')
    assert.match((await ran(0, path, ...conf, 'check', '-e')).stdout, /, held\n$/)
    await ran(0, path, ...conf, 'install')
    await assertSameTree(root, join(work, 'OLD'))
    await ran(0, path, ...conf, 'install', 'base/amd64')
    await assertSameTree(root, join(work, 'LAST'))
  })

  test('that is not as the configuration says', async () => {
    newRoot([`file://${join(work, 'two')}`])
    sh(`sed -i 's/base-1.0/base-1.1/' conf/bindery-sh.conf`)
    await ran(3, path, ...conf, 'install')
    await assertSameTree(root, join(work, 'OLD'))
    sh(`sed -i 's/base-1.1/base-0.9/' conf/bindery-sh.conf`)
    await ran(1, path, ...conf, 'install')
    sh(`sed -i 's/ base-0.9.*//' conf/bindery-sh.conf`)
    await ran(1, path, ...conf, 'install')
    await assertSameTree(root, join(work, 'OLD'))
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
