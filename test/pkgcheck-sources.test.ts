import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { sealedIndex } from '../src/engine/pkg/index/sealed-index.ts'
import { encodeUpdateDb } from '../src/format/openbsd/update-db.ts'
import { readUpdateInfo } from '../src/format/openbsd/update-info.ts'
import { obsdpkgupSignature } from '../src/format/openbsd/update-signature.ts'
import { inCheckWorld, snapshots, usualDate } from './helpers/pkgcheck.ts'
import { packageKey } from './helpers/openbsd-mirror/mirror.ts'
import type { IndexedInfo, IndexedPackage } from '../src/format/openbsd/bindery-index.ts'
import type { CheckWorld } from './helpers/pkgcheck.ts'

const key = await packageKey()

test('what is unchanged costs one answer without a body, the listing too, and quirks is not asked for', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a')
    await world.mirror(snapshots, { index: ['a-2.tgz a-2,0 x/a'] })
    const first = await world.check([])
    assert.deepEqual(first.requests.map(nameOf).toSorted(), ['index.pkgup.gz', 'index.txt', 'quirks-7.1.tgz'])
    const second = await world.check([])
    assert.deepEqual([second.status, second.stdout, second.stderr], [first.status, first.stdout, first.stderr])
    assert.deepEqual(second.requests.map(nameOf).toSorted(), ['index.pkgup.gz', 'index.txt'])
    for (const { headers } of world.http.requests.slice(-2)) assert.ok(headers?.['if-none-match'])
    await world.mirror(snapshots, { index: ['a-3.tgz a-3,0 x/a'], date: '2023-08-09T12:34:57Z' })
    const third = await world.check([])
    assert.deepEqual([third.stderr, third.requests.length], ['a-1->3\n\nto upgrade:\n', 3])
  })
})

function nameOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1)
}

test('an answer is given again only to the same question', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a', 'b-1 x/b')
    const index = ['a-2.tgz a-2,0 x/a', 'b-1.tgz b-1,0 x/b']
    await world.mirror(snapshots, { index })
    const told = async (words: readonly string[] = []): Promise<string> => (await world.check(words)).stderr
    const first = 'a-1->2\n\nto upgrade:\n'
    assert.deepEqual([await told(), await told()], [first, first])
    world.install('b-1 x/b @wantlib c.1.0')
    assert.equal(await told(), 'a-1->2\nb-1->1\n\nto upgrade:\n')
    world.remove('a-1')
    assert.equal(await told(), 'b-1->1\n\nto upgrade:\n')
    world.remove('b-1')
    assert.deepEqual([await told(), await told(['-c']), await told(), await told(['-c'])], ['up to date\n', '', 'up to date\n', ''])
    world.install('c-1 x/c')
    await world.mirror(snapshots, { index: ['c-2.tgz c-2,0 x/c'] })
    assert.equal(await told(), 'c-1->2\n\nto upgrade:\n')
    await world.mirror(snapshots, { index: ['c-2.tgz c-2,0 x/c'], date: '2023-08-09T12:34:57Z', indexDate: usualDate })
    assert.match(await told(), /^c-1->2\nWARNING: pkgup index appears to be older/)
    world.install('c-1 x/c @depend x')
    assert.deepEqual([(await world.check([])).status, (await world.check([])).status], [1, 1])
  })
})

test('a cache that is damaged, or cannot be written, is none', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a')
    await world.mirror(snapshots, { index: ['a-2.tgz a-2,0 x/a'] })
    await world.check([])
    const folder = join(world.root, 'cache/bindery/pages')
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    const files = readdirSync(folder)
    assert.equal(files.length, 4)
    for (const file of files) writeFileSync(join(folder, file), readFileSync(join(folder, file)).subarray(0, -1))
    assert.equal((await world.check([])).requests.length, 3)
    world.writeFile('cache2/bindery', 'a file in the way')
    const how = { environment: { XDG_CACHE_HOME: join(world.root, 'cache2') } }
    assert.equal((await world.check([], how)).stdout, 'pkg_add -u -Dsnap a\n')
    chmodSync(folder, 0o500)
    assert.equal((await world.check([])).status, 0)
    chmodSync(folder, 0o700)
  })
})

const updateDb = encodeUpdateDb([
  { name: 'a-1', lines: ['@name a-1', '@comment pkgpath=x/a ftp=yes', '@wantlib c.98.0', '@wantlib m.10.1'] },
  { name: 'b-1', lines: ['@name b-1', '@comment pkgpath=x/b ftp=yes', '@wantlib c.97.1'] },
  { name: 'c-1', lines: ['@option always-update BBBB'] },
  { name: 'd-1', lines: ['@option always-update AAAA'] },
  { name: 'e-2', lines: ['@name e-2', '@comment pkgpath=x/e ftp=yes', '@depend x/new:new-*:new-1'] },
  { name: 'f-1', lines: ['@name f-1', '@comment pkgpath=x/g ftp=yes', '@pkgpath x/old,-main', '@wantlib c.1.0'] },
])

const five = [
  'a-1 x/a @wantlib c.97.1;@wantlib m.10.1',
  'b-1 x/b @wantlib c.98.0',
  'c-1 x/c @option always-update AAAA',
  'd-1 x/d @option always-update AAAA',
  'e-1 x/e',
]

test('an untouched mirror has the index of its quirks package, and pkg_add knows older from newer', async () => {
  await inCheckWorld(async (world) => {
    world.install(...five)
    await world.mirror(snapshots, { index: undefined, updateDb })
    const { status, stdout, stderr, requests } = await world.check([])
    // b is built with an older library there: no update for pkg_add.
    assert.deepEqual([status, stdout, stderr], [0, 'pkg_add -u -Dsnap a c e\n', 'a-1->1\nc-1->1\ne-1->2\n\nto upgrade:\n'])
    assert.equal(requests.filter((url) => url.endsWith('quirks-7.1.tgz')).length, 2)
    const again = await world.check([])
    assert.deepEqual([again.stdout, again.requests.length], [stdout, 3])
  })
})

test('it is believed only where a key of the machine has signed it, each block', async () => {
  await inCheckWorld(async (world) => {
    world.install(...five)
    await world.mirror(snapshots, { index: undefined, updateDb })
    const url = `${snapshots}quirks-7.1.tgz`
    const sound = world.http.pages.get(url)?.bytes as Uint8Array
    for (const at of [sound.length - 20, sound.length - 200]) {
      const damaged = sound.slice()
      damaged[at] = (damaged[at] as number) ^ 1
      world.page(url, damaged)
      const { status, stdout, stderr } = await world.check([])
      assert.deepEqual([status, stdout], [1, ''])
      assert.match(stderr, /^https:\S+quirks-7\.1\.tgz: does not fit its signature in the block at byte \d+ behind (?:the|its) header\n$/)
    }
    world.page(url, sound)
    world.writeFile('etc/signify/openbsd-78-pkg.pub', Buffer.from((await packageKey('openbsd-78-pkg', 2)).publicKeyFile).toString())
    assert.match((await world.check([])).stderr, /^https:\S+quirks-7\.1\.tgz: was signed with key [0-9a-f]+, not with [0-9a-f]+\n$/)
  })
})

test('a mirror with neither index is told in the words of obsdpkgup', async () => {
  await inCheckWorld(async (world) => {
    await world.mirror(snapshots, { index: undefined })
    const { status, stderr } = await world.check([])
    assert.deepEqual([status, stderr], [1, `unable to locate pkgup index at '${snapshots}index.pkgup.gz'.\n`])
  })
})

function indexed(name: string, path: string, lines: string, size: number): IndexedPackage {
  const info = readUpdateInfo(Buffer.from(`@name ${name}\n@comment pkgpath=${path} ftp=yes\n${lines}`)) as IndexedInfo
  return { file: `${name}.tgz`, size, sha256: undefined, signature: obsdpkgupSignature(info), info }
}

const packages = [
  indexed('a-2', 'x/a', '@depend x/new:new-*:new-1\n', 2_000_000),
  indexed('new-1', 'x/new', '@depend x/newer:newer-*:newer-1\n', 300_000),
  indexed('newer-1', 'x/newer', '', 50_000),
  indexed('moved-1', 'y/moved', '@pkgpath x/old[,-main]\n', 1),
]

async function signed(world: CheckWorld, made: number, expires: number, signer = key.signer): Promise<void> {
  const bytes = await sealedIndex({ quirksDate: usualDate, made, expires, packages }, { signer, comment: 'verify with index.pub' })
  world.page(`${snapshots}index.bindery.zst`, bytes)
}

const later = 4_000_000_000

async function inSignedWorld(use: (world: CheckWorld, words: readonly string[]) => Promise<void>): Promise<void> {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a', 'old-1 x/old,-main', 'gone-1 x/gone', 'xfce-1 x/xfce', 'dead-1 x/dead', 'fw-1 x/fw @option firmware')
    await world.mirror(snapshots, { index: undefined })
    await use(world, ['-p', join(world.root, 'etc/signify/openbsd-78-pkg.pub')])
  })
}

test('a signed index is taken alone where a key is given, with its time and never backwards', async () => {
  await inSignedWorld(async (world, words) => {
    const none = await world.check(words)
    assert.deepEqual([none.status, none.stderr], [1, `unable to locate pkgup index at '${snapshots}index.bindery.zst'.\n`])
    await signed(world, 1000, later)
    assert.equal((await world.check(words)).stdout, 'pkg_add -u -Dsnap a\n')
    await signed(world, 999, later)
    assert.match((await world.check(words)).stderr, /index\.bindery\.zst: is of 1970-\S+, and a newer one was here before\n$/)
    await signed(world, 1001, 2000)
    assert.match((await world.check(words)).stderr, /index\.bindery\.zst: expired on 1970-\S+\nits maker has to sign a newer one\n$/)
    await signed(world, 1002, later, (await packageKey('other', 3)).signer)
    assert.match((await world.check(words)).stderr, /index\.bindery\.zst: was signed with key /)
    await signed(world, 1003, later)
    const page = world.http.pages.get(`${snapshots}index.bindery.zst`)?.bytes as Uint8Array
    page[page.length - 1] = (page.at(-1) as number) ^ 1
    assert.match((await world.check(words)).stderr, /index\.bindery\.zst: the signature does not fit the message\n$/)
  })
})

const quirksModule = `package OpenBSD::Quirks3;
my $stem_extensions = {
# 3.8
	'xfce' => 'xfce4',
};
my @msg = (
	"ancient software that doesn't work", #0
	"no longer maintained upstream", #1
);
setup_obsolete_reason(
# 5.6
	1 => 'dead',
);
`

test('--report tells what is gone, renamed or needed besides, and how much there is to download', async () => {
  await inSignedWorld(async (world, words) => {
    await signed(world, 1000, later)
    world.writeFile('usr/local/libdata/perl5/site_perl/OpenBSD/Quirks.pm', quirksModule)
    const { status, stdout, stderr } = await world.check([...words, '--report'])
    assert.deepEqual([status, stdout], [0, 'pkg_add -u -Dsnap a\n'])
    assert.equal(
      stderr,
      [
        'a-1->2',
        'dead-1 is obsolete: no longer maintained upstream',
        'gone-1 is not on the mirror any more',
        'old-1 is now moved-1',
        'xfce-1 is now xfce4',
        'needs new-1, for a-2: 300 kB',
        'needs newer-1, for new-1: 50 kB',
        'to download: 2.4 MB',
        '',
        'to upgrade:',
        '',
      ].join('\n'),
    )
  })
})

test('--json is one object a line, and nothing on stderr', async () => {
  await inSignedWorld(async (world, words) => {
    await signed(world, 1000, later)
    world.writeFile('var/db/pkg/broken/+CONTENTS', '')
    const { status, stdout, stderr } = await world.check([...words, '--json'])
    assert.deepEqual([status, stderr], [1, ''])
    const records = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      records.map(({ kind }) => kind),
      ['problem', 'update', 'gone', 'gone', 'gone', 'gone', 'dependency', 'dependency', 'summary'],
    )
    assert.deepEqual(records[1], {
      kind: 'update',
      installed: 'a-1',
      available: 'a-2',
      pkgpath: 'x/a',
      reason: 'version',
      argument: 'a',
      size: 2_000_000,
      changes: [
        { kind: 'name', old: 'a-1', new: 'a-2' },
        { kind: 'depend', new: '@new-1' },
      ],
    })
    assert.equal(records.at(-1)?.['command'], 'pkg_add -u -Dsnap a')
  })
})

test('--explain tells which element of the signature differs', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a @version 1;@depend y/z:z-*:z-1;@wantlib c.97.1;@wantlib m.10.1', 'b-2 x/b', 'c-1 x/c', 'd-1-f x/d', 'e-1 x/e')
    await world.mirror(snapshots, {
      index: ['a-1.tgz a-1,2,@q-1,@z-2,c.98.0,m.10.1 x/a', 'b-1.tgz b-1,0 x/b', 'c-1.tgz c-1,0 x/c', 'd-1.tgz d-1,0 x/d'],
    })
    const { status, stdout } = await world.check(['a', 'b-2', 'c', 'd', 'e'].flatMap((name) => ['--explain', name]))
    assert.equal(status, 0)
    assert.equal(
      stdout,
      [
        'a-1 there is an update: a-1',
        '  version: 1 -> 2',
        '  depend: @z-1 -> @z-2',
        '  depend: none -> @q-1',
        '  library: c.97.1 -> c.98.0',
        'b-2 is newer than what the mirror has: b-1',
        '  name: b-2 -> b-1',
        'c-1 is up to date',
        'd-1-f is on the mirror with other flavors or from another path alone',
        'e-1 is not on the mirror',
        '',
      ].join('\n'),
    )
    const unknown = await world.check(['--explain', 'nobody'])
    assert.deepEqual([unknown.status, unknown.stderr], [1, 'nobody: is not installed, or cannot be read\n'])
  })
})

const [one, two, three] = ['https://one.example', 'https://two.example', 'https://three.example'] as const
const directoryOf = (mirror: string): string => `${mirror}/snapshots/packages/amd64/`

test('of several mirrors the newest is taken whose index belongs to its packages, and pkg_add is told', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a')
    await world.mirror(directoryOf(one), { index: ['a-2.tgz a-2,0 x/a'], date: '2023-08-01T00:00:00Z' })
    await world.mirror(directoryOf(two), { index: ['a-3.tgz a-3,0 x/a'], date: '2023-08-02T00:00:00Z' })
    // In the middle of being synced: the packages are newer than their index.
    await world.mirror(directoryOf(three), {
      index: ['a-2.tgz a-2,0 x/a'],
      date: '2023-08-03T00:00:00Z',
      indexDate: '2023-08-01T00:00:00Z',
    })
    const { status, stdout, stderr } = await world.check(
      [one, two, three, 'https://dead.example'].flatMap((mirror) => ['--mirror', mirror]),
    )
    assert.deepEqual([status, stdout], [0, `PKG_PATH='${directoryOf(two)}' pkg_add -u -Dsnap a\n`])
    assert.equal(
      stderr,
      [
        'a-1->3',
        `WARNING: mirror ${directoryOf('https://dead.example')}: unable to locate pkgup index at '${directoryOf('https://dead.example')}index.pkgup.gz'.`,
        'WARNING: mirrors differ, the first of these was taken:',
        `Wed, 02 Aug 2023 00:00:00 +0000  ${directoryOf(two)}`,
        `Tue, 01 Aug 2023 00:00:00 +0000  ${directoryOf(one)}`,
        `Thu, 03 Aug 2023 00:00:00 +0000  ${directoryOf(three)}`,
        '',
        'to upgrade:',
        '',
      ].join('\n'),
    )
    const dead = await world.check(['--mirror', 'https://dead.example'])
    assert.deepEqual([dead.status, dead.stdout], [1, ''])
  })
})

test('PKG_PATH may name several directories, of which the first that has a package decides', async () => {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a', 'b-1 x/b')
    await world.mirror('http://one.example:8080/x/', { index: ['a-2.tgz a-2,0 x/a'] })
    await world.mirror('http://two.example/y/', { index: ['a-3.tgz a-3,0 x/a', 'b-2.tgz b-2,0 x/b'] })
    const environment = { PKG_PATH: 'http://one.example:8080/x:http://two.example/y/' }
    const { stdout, stderr } = await world.check([], { environment })
    assert.deepEqual([stdout, stderr], ['pkg_add -u -Dsnap a b\n', 'a-1->2\nb-1->2\n\nto upgrade:\n'])
    world.page('http://two.example/y/index.pkgup.gz', 'broken')
    const broken = await world.check([], { environment })
    assert.deepEqual([broken.status, broken.stdout], [1, 'pkg_add -u -Dsnap a\n'])
    assert.match(broken.stderr, /^http:\/\/two\.example\/y\/index\.pkgup\.gz: is no gzip file, or a damaged one\na-1->2\n/)
  })
})
