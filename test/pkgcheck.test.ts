import assert from 'node:assert/strict'
import { test } from 'node:test'
import { current, inCheckWorld, release, snapshots, stable } from './helpers/pkgcheck.ts'
import type { CheckOptions } from './helpers/pkgcheck.ts'

/** What obsdpkgup prints in each case of doc/spec/pkgcheck.md, byte for byte. */
type Case = {
  readonly name: string
  readonly installed: readonly string[]
  readonly index: readonly string[]
  readonly words?: readonly string[]
  readonly how?: CheckOptions
  readonly dates?: { readonly date?: string; readonly indexDate?: string }
  readonly stderr: string
  readonly stdout: string
}

const stableSystem = 'OpenBSD 7.8 (GENERIC.MP) #1: Sun Oct 12 11:11:11 MDT 2025'

const cases: readonly Case[] = [
  {
    name: 'an update of the version, and one with flavors',
    installed: ['curl-8.1.0 net/curl', 'vim-9.0.0-gtk3 editors/vim,gtk3'],
    index: ['curl-8.2.1.tgz curl-8.2.1,0 net/curl', 'vim-9.0.1-gtk3.tgz vim-9.0.1-gtk3,0 editors/vim,gtk3'],
    stderr: 'curl-8.1.0->8.2.1\nvim-9.0.0-gtk3->9.0.1-gtk3\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap curl vim\n',
  },
  {
    name: 'a release has no -Dsnap',
    installed: ['curl-8.1.0 net/curl'],
    index: ['curl-8.2.1.tgz curl-8.2.1,0 net/curl'],
    how: { kern: stableSystem },
    stderr: 'curl-8.1.0->8.2.1\n\nto upgrade:\n',
    stdout: 'pkg_add -u curl\n',
  },
  {
    name: '-s makes a release look at snapshots',
    installed: ['curl-8.1.0 net/curl'],
    index: ['curl-8.2.1.tgz curl-8.2.1,0 net/curl'],
    words: ['-s'],
    how: { kern: stableSystem },
    stderr: 'curl-8.1.0->8.2.1\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap curl\n',
  },
  { name: 'nothing to do', installed: ['a-1 x/a'], index: ['a-1.tgz a-1,0 x/a'], stderr: 'up to date\n', stdout: '' },
  { name: 'nothing to do, from cron', installed: ['a-1 x/a'], index: ['a-1.tgz a-1,0 x/a'], words: ['-c'], stderr: '', stdout: '' },
  {
    name: 'cron tells of updates like anybody',
    installed: ['a-1 x/a'],
    index: ['a-2.tgz a-2,0 x/a'],
    words: ['-c', '-d'],
    stderr: 'a-1->2\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap a\n',
  },
  {
    name: 'the same version with another signature, newer or not',
    installed: ['a-1 x/a @wantlib c.97.1', 'b-1 x/b @wantlib c.98.0'],
    index: ['a-1.tgz a-1,0,c.98.0 x/a', 'b-1.tgz b-1,0,c.97.1 x/b'],
    stderr: 'a-1->1\nb-1->1\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap a b\n',
  },
  {
    name: 'the index is newer than the mirror, told even to cron',
    installed: ['a-1 x/a'],
    index: ['a-1.tgz a-1,0 x/a'],
    words: ['-c'],
    dates: { date: '2023-08-08T12:34:56Z', indexDate: '2023-08-09T01:02:03Z' },
    stderr:
      'WARNING: pkgup index appears to be newer than packages on configured mirror.\n' +
      'configured mirror: Tue, 08 Aug 2023 12:34:56 +0000\npkgup mirror:      Wed, 09 Aug 2023 01:02:03 +0000\n',
    stdout: '',
  },
  {
    name: 'the index is older than the mirror',
    installed: ['a-1 x/a'],
    index: ['a-2.tgz a-2,0 x/a'],
    dates: { date: '2023-08-08T12:34:56Z', indexDate: '2023-08-08T12:34:55+02:00' },
    stderr:
      'a-1->2\nWARNING: pkgup index appears to be older than packages on configured mirror\n' +
      'pkgup mirror:      Tue, 08 Aug 2023 12:34:55 +0200\nconfigured mirror: Tue, 08 Aug 2023 12:34:56 +0000\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap a\n',
  },
  {
    name: 'the same moment in another zone is no skew',
    installed: [],
    index: [],
    dates: { date: '2023-08-08T12:34:56Z', indexDate: '2023-08-08T14:34:56+02:00' },
    stderr: 'up to date\n',
    stdout: '',
  },
  {
    name: 'a branch is named by the third part of its path, others by their stem; names come sorted and once',
    installed: [
      'python-3.11.1 lang/python/3.11,-main @option is-branch',
      'python-3.12.1 lang/python/3.12,-main @option is-branch',
      'node-20.1 lang/node @option is-branch',
      'b-1 x/b,one',
      'b-1-f x/b,two',
      'a-1 x/a',
    ],
    index: [
      'python-3.11.2.tgz python-3.11.2,0 lang/python/3.11,-main',
      'python-3.12.2.tgz python-3.12.2,0 lang/python/3.12,-main',
      'node-20.2.tgz node-20.2,0 lang/node',
      'b-2.tgz b-2,0 x/b,one',
      'b-2-f.tgz b-2-f,0 x/b,two',
      'a-2.tgz a-2,0 x/a',
    ],
    stderr: 'a-1->2\nb-1->2\nb-1-f->2-f\nnode-20.1->20.2\npython-3.11.1->3.11.2\npython-3.12.1->3.12.2\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap a b node python%3.11 python%3.12\n',
  },
  {
    name: 'flavors and path must be the same to the byte; lower versions are never offered; quirks looks after itself',
    installed: ['a-2 x/a', 'b-1-one x/b,one', 'c-1 x/c', 'quirks-7.0 devel/quirks', 'd-1 x/d'],
    index: [
      'a-1.tgz a-1,0 x/a',
      'b-2.tgz b-2,0 x/b,one',
      'b-2-one.tgz b-2-one,0 x/b',
      'c-2.tgz c-2,0 y/c',
      'quirks-7.1.tgz quirks-7.1,0 devel/quirks',
    ],
    stderr: 'up to date\n',
    stdout: '',
  },
  {
    name: 'the best of several versions, in the order of obsdpkgup: the revision counts where the numbers are equal',
    installed: ['a-1.0rc1 x/a', 'b-1.01p1 x/b', 'c-1v0 x/c'],
    index: [
      'a-1.0.tgz a-1.0,0 x/a',
      'a-1.0pl2.tgz a-1.0pl2,0 x/a',
      'a-1.0pl1.tgz a-1.0pl1,0 x/a',
      'b-1.1p2.tgz b-1.1p2,0 x/b',
      'c-9.tgz c-9,0 x/c',
    ],
    stderr: 'a-1.0rc1->1.0pl2\nb-1.01p1->1.1p2\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap a b\n',
  },
  {
    name: 'blanks, foreign files and short lines in the index are passed over',
    installed: ['a-1 x/a'],
    index: ['', '#', 'README', 'SHA256.sig x y', '  a-2.tgz \t a-2,0  x/a and more', 'z.txt 1 2'],
    stderr: 'a-1->2\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap a\n',
  },
  {
    name: 'libraries that were kept and installations that broke off are no packages',
    installed: ['.libs-icu4c-70.1 textproc/icu4c', '.libs1-icu4c-71.1 textproc/icu4c', 'partial-vim-9.0 editors/vim', 'a-1 x/a'],
    index: ['vim-9.1.tgz vim-9.1,0 editors/vim', 'icu4c-72.1.tgz icu4c-72.1,0 textproc/icu4c', 'a-2.tgz a-2,0 x/a'],
    stderr: 'a-1->2\n\nto upgrade:\n',
    stdout: 'pkg_add -u -Dsnap a\n',
  },
]

for (const { name, installed, index, words = [], how, dates = {}, stderr, stdout } of cases) {
  test(name, async () => {
    await inCheckWorld(async (world) => {
      world.install(...installed)
      const isStable = how?.kern === stableSystem && !words.includes('-s')
      await world.mirror(isStable ? stable : snapshots, { index, ...dates })
      assert.deepEqual({ ...(await world.check(words, how)), requests: [] }, { status: 0, stdout, stderr, requests: [] })
    })
  })
}

test('-v tells how long it took, before and after what was found', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a')
    await world.mirror(snapshots, { index: ['a-2.tgz a-2,0 x/a'] })
    const { stderr } = await world.check(['-v'])
    assert.match(stderr, /^network took: \d+\.\d{6} seconds\na-1->2\nparse took: \d+\.\d{6} seconds\n\nto upgrade:\n$/)
  })
})

const urls: readonly (readonly [string, Readonly<Record<string, string>>, string | undefined, string, string])[] = [
  ['no setting at all', {}, undefined, current, snapshots],
  ['installurl', {}, ' https://m.example/pub/OpenBSD/ \n', current, 'https://m.example/pub/OpenBSD/snapshots/packages/amd64/'],
  ['installurl on a release', {}, 'https://m.example/OpenBSD', stableSystem, 'https://m.example/OpenBSD/7.8/packages-stable/amd64/'],
  ['-beta follows snapshots', {}, undefined, 'OpenBSD 7.8-beta (RAMDISK) #1', snapshots],
  ['OpenBSD 10', {}, undefined, 'OpenBSD 10.2 (GENERIC) #1', 'https://cdn.openbsd.org/pub/OpenBSD/10.2/packages-stable/amd64/'],
  ['PKG_PATH', { PKG_PATH: 'http://m.example//x//%c/packages/%a/' }, 'https://no', current, 'http://m.example/x/snapshots/packages/amd64/'],
  ['PKG_PATH without a slash at its end', { PKG_PATH: 'http://m.example/x' }, undefined, current, 'http://m.example/x/'],
  [
    'PKG_PATH with %m',
    { PKG_PATH: 'http://m.example/%m' },
    undefined,
    stableSystem,
    'http://m.example/pub/OpenBSD/7.8/packages-stable/amd64/',
  ],
  ['PKG_PATH with %v', { PKG_PATH: 'http://m.example/%v/%a' }, undefined, stableSystem, 'http://m.example/7.8/amd64/'],
  ['PKG_PATH of a host alone', { PKG_PATH: 'm.example' }, undefined, current, 'http://m.example/pub/OpenBSD/snapshots/packages/amd64/'],
  ['a port in PKG_PATH', { PKG_PATH: 'http://m.example:8080/x/:http://n.example/y/' }, undefined, current, 'http://m.example:8080/x/'],
  [
    'TRUSTED_PKG_PATH first',
    { TRUSTED_PKG_PATH: 'http://t.example/', PKG_PATH: 'http://p.example/' },
    undefined,
    current,
    'http://t.example/',
  ],
  ['an empty one is none', { TRUSTED_PKG_PATH: '', PKG_PATH: 'http://p.example/' }, undefined, current, 'http://p.example/'],
]

for (const [name, environment, installUrl, kern, directory] of urls) {
  test(`where packages are: ${name}`, async () => {
    await inCheckWorld(async (world) => {
      world.install('a-1 x/a')
      if (installUrl !== undefined) world.writeFile('etc/installurl', installUrl)
      await world.mirror(directory, { index: ['a-2.tgz a-2,0 x/a'] })
      const { status, stdout } = await world.check([], { environment, kern })
      assert.equal(status, 0)
      assert.match(stdout, /^pkg_add -u(?: -Dsnap)? a\n$/)
    })
  })
}

test('PKGUP_URL names an index apart from the packages, by version on a release', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a')
    await world.mirror(snapshots, { index: undefined })
    await world.mirror(stable, { index: undefined })
    const environment = { PKGUP_URL: 'https://p.example/pkgup/' }
    const [ofSnapshots, ofRelease] = ['https://p.example/pkgup/snapshots/amd64/', 'https://p.example/pkgup/7.8/amd64/']
    await world.mirror(ofSnapshots, { index: ['a-2.tgz a-2,0 x/a'] })
    const first = await world.check([], { environment })
    assert.deepEqual([first.stdout, first.stderr], ['pkg_add -u -Dsnap a\n', 'a-1->2\n\nto upgrade:\n'])
    await world.mirror(ofRelease, { index: ['a-3.tgz a-3,0 x/a'] })
    const second = await world.check([], { environment, kern: stableSystem })
    assert.deepEqual([second.stdout, second.stderr], ['pkg_add -u a\n', 'a-1->3\n\nto upgrade:\n'])
    assert.ok(!second.requests.some((url) => url.startsWith(release)))
  })
})

test('a release has its stable directory first, and behind it that of the release', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a', 'b-1 x/b', 'c-1 x/c')
    await world.mirror(stable, { index: ['a-2.tgz a-2,0 x/a', 'c-1.tgz c-1,0 x/c'] })
    await world.mirror(release, { index: ['a-3.tgz a-3,0 x/a', 'b-2.tgz b-2,0 x/b', 'c-2.tgz c-2,0 x/c'], date: '2020-01-01T00:00:00Z' })
    const { stdout, stderr } = await world.check([], { kern: stableSystem })
    // As pkg_add: the first that has it decides.
    assert.deepEqual([stdout, stderr], ['pkg_add -u a b\n', 'a-1->2\nb-1->2\n\nto upgrade:\n'])
  })
})

test('before there are stable packages, the release alone will do', async () => {
  await inCheckWorld(async (world) => {
    world.install('b-1 x/b')
    await world.mirror(release, { index: ['b-2.tgz b-2,0 x/b'] })
    assert.equal((await world.check([], { kern: stableSystem })).stdout, 'pkg_add -u b\n')
  })
})
