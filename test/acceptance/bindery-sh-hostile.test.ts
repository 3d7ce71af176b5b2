import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { baseTools, busyboxTools } from '../helpers/base-tools.ts'
import { answers, cutsAfter, hangs, hostileServer, neverEnds, portal } from '../helpers/hostile-server.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { halfToday, inTurn } from '../helpers/whole-suite.ts'
import {
  bundleBytes,
  conf,
  configure,
  digestOf,
  firstBundle,
  makeReleases,
  newRoot,
  plantPart,
  ran,
  root,
  run,
  sh,
  work,
} from './bindery-sh-world.ts'
import { assertSameTree } from './judge.ts'
import { serveWithNginx, serveWithPython } from './servers.ts'
import type { Mischief } from '../helpers/hostile-server.ts'

/** With every downloader, against servers that mean well and that do not. */
before(makeReleases)

describe('bindery-sh with', { ...needs('mtree', 'getfattr', 'setfattr', 'nginx', 'python3'), ...needsRoot() }, () => {
  const loaders: readonly (readonly [string, (folder: string) => string])[] = [
    ['curl', (folder) => baseTools(folder, 'dash', ['curl', 'signify-openbsd'])],
    ['wget', (folder) => baseTools(folder, 'dash', ['wget', 'openssl'])],
    ['tnftp', (folder) => baseTools(folder, 'dash', ['tnftp', 'signify-openbsd'])],
    ['busybox', (folder) => busyboxTools(folder, ['openssl'])],
  ]
  for (const [turn, [loader, tools]] of halfToday([...loaders.entries()]))
    for (const serve of inTurn([serveWithNginx, serveWithPython], turn))
      test(`${loader}: what broke off goes on, ${serve.name}`, needs(loader), async () => {
        const path = tools(join(work, 'tools'))
        const site = await serve(join(work, 'two'))
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
    before(async () => {
      newRoot([`file://${join(work, 'two')}`])
      await ran(0, (paths()[0] as readonly [string, string])[1], ...conf, 'check')
      sh('cp -a root/var/db/bindery checked')
    })
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

    for (const [turn, { name, status, lies, lines = [], everyLoader }] of halfToday([...attacks.entries()])) {
      test(name, async () => {
        for (const [loader, path] of everyLoader === true ? inTurn(paths(), turn) : paths().slice(0, 1)) {
          sh('rm -rf root/var/db/bindery && cp -a checked root/var/db/bindery')
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
        await ran(0, path, ...conf, 'fetch')
        assert.equal(globSync(join(root, 'var/db/bindery/cache/*')).length, 2)
      } finally {
        await site.close()
      }
    })
  },
)
