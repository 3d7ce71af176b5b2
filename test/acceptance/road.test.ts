import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { needs, needsRoot } from '../helpers/programs.ts'
import { isWholeSuite } from '../helpers/whole-suite.ts'
import { bashBeside } from './bash-beside.ts'
import { assertSameTree } from './judge.ts'
import { serveWithBindery, serveWithHabits, serveWithNginx, serveWithPython, type Site } from './servers.ts'

/** The whole road as a user types it: two trees, a repository, any web server, a client; judged by other programs. */
const work = mkdtempSync(join(tmpdir(), 'bindery-road-'))
after(() => rmSync(work, { recursive: true }))

const sh = bashBeside(work)

/** The client's half, on a copy of OLD in the folder `root`. */
async function walk(site: Site, root: string, { repo = 'repo', basis = 'tar' } = {}): Promise<void> {
  try {
    await sh(`cp -a OLD ${root} && bindery -C ${root} enroll --basis ${basis} ${site.url} ${repo}/metadata/1.root.json base/amd64`)
    await assertSameTree(join(work, root), join(work, 'OLD'))
    assert.match(await sh(`bindery -C ${root} check`), /base-1\.1-20260201-amd64/)
    await sh(`bindery -C ${root} check -e`, 10)
    await sh(`bindery -C ${root} install`)
    await assertSameTree(join(work, root), join(work, 'NEW'))
    await sh(`bindery -C ${root} check -e && bindery -C ${root} audit && bindery -C ${root} install && bindery -C ${root} audit`)
    await assertSameTree(join(work, root), join(work, 'NEW'))
    await sh(`bindery -C ${root} rollback`)
    await assertSameTree(join(work, root), join(work, 'OLD'))
    await sh(`bindery -C ${root} audit`)
    for (const line of (await sh(`bindery -C ${root} list --json`)).trim().split('\n')) assert.equal(typeof JSON.parse(line), 'object')
  } finally {
    await site.close()
  }
}

const judges = needs('mtree', 'diff', 'getfattr', 'setfattr', 'zstd', 'cmp')

describe('the road', { ...judges, ...needsRoot() }, () => {
  before(async () => {
    await sh(`'${resolve('test/acceptance/trees.sh')}' OLD NEW`)
    await sh(`
      bindery init -r repo -k keys --no-passphrase
      bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
      bindery cut NEW -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
      bindery publish -r repo -k keys --system none a.tar.zst && bindery publish -r repo -k keys --system none b.tar.zst
    `)
  })

  test('a delta is a filter from one tar to the other', async () => {
    await sh('bindery delta a.tar.zst b.tar.zst -o d && zstd -dc a.tar.zst | bindery patch d | cmp - <(zstd -dc b.tar.zst)')
  })

  test('what other tars unpack is the tree', needs('bsdtar'), async () => {
    await sh('mkdir gnu bsd && zstd -dc b.tar.zst | tar -xpf - --numeric-owner -C gnu && bsdtar -xpf b.tar.zst --numeric-owner -C bsd')
    await sh('diff -r --no-dereference gnu/odd NEW/odd && diff -r --no-dereference bsd/odd NEW/odd && cmp gnu/bin/sh bsd/bin/sh')
  })

  test('the repository is sound, and publishing the same again changes nothing', async () => {
    await sh('bindery fsck -r repo')
    const published = await sh('find repo -type f -exec sha256sum {} + | sort')
    await sh('bindery publish -r repo -k keys --system none a.tar.zst b.tar.zst')
    assert.equal(await sh('find repo -type f -exec sha256sum {} + | sort'), published)
  })

  // The demo goes it, too.
  if (isWholeSuite) test('bindery serve', async () => await walk(await serveWithBindery(join(work, 'repo')), 'serve'))
  test('nginx', needs('nginx'), async () => await walk(await serveWithNginx(join(work, 'repo')), 'nginx'))
  test('python: Last-Modified, no ranges', needs('python3'), async () => await walk(await serveWithPython(join(work, 'repo')), 'python'))

  for (const validator of isWholeSuite ? (['etag', 'last-modified'] as const) : []) {
    for (const ranges of [true, false]) {
      const name = `${validator}-${ranges ? 'ranges' : 'whole'}`
      test(name, async () => await walk(await serveWithHabits(join(work, 'repo'), { validator, ranges }), name))
    }
  }

  test('with nothing kept: the old tar is rebuilt from the installed files', async () => {
    await walk(await serveWithHabits(join(work, 'repo'), { validator: 'etag', ranges: true }), 'installed', { basis: 'installed' })
    await sh('test -z "$(find installed/var/db/bindery/channel -name "*.tar*" -o -name "*.delta")"')
  })

  test('once more with an offline signature', async () => {
    await sh(`
      bindery init -r repo2 -k vault --no-passphrase
      mkdir online && mv vault/{snapshot,timestamp}.* online
      for dist in a b; do
        bindery publish -r repo2 --system none --unsigned box $dist.tar.zst
        bindery sign -k vault box
        bindery publish -r repo2 -k online --signed box
        rm -r box
      done
    `)
    await walk(await serveWithHabits(join(work, 'repo2'), { validator: 'last-modified', ranges: true }), 'offline', { repo: 'repo2' })
  })

  test('a prompt without a terminal is a usage error', async () => {
    await sh('setsid -w bindery init -r repo3 -k keys3', 2)
    await sh('test ! -e repo3 && test ! -e keys3')
  })
})
