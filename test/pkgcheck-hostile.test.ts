import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { current, inCheckWorld, snapshots } from './helpers/pkgcheck.ts'
import type { CheckResult, CheckWorld } from './helpers/pkgcheck.ts'

/** One clear line, or two with a hint, and status 1; never a stack, never an escape to the terminal, never a word to a shell. */
function assertRefused({ status, stdout, stderr }: CheckResult, line: RegExp): void {
  assert.equal(status, 1, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, line)
  assert.ok(stderr.split('\n').length <= 3, stderr)
  assert.doesNotMatch(stderr, /[\u0000-\u0009\u000b-\u001f\u007f]| at .*\.ts/)
}

const index = ['a-2.tgz a-2,0 x/a']

async function inWorld(use: (world: CheckWorld) => Promise<void>): Promise<void> {
  await inCheckWorld(async (world) => {
    world.install('a-1 x/a')
    await world.mirror(snapshots, { index })
    await use(world)
  })
}

const url = `${snapshots}index.pkgup.gz`
const escaped = url.replaceAll('.', '\\.')

const indexes: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['a version of words', gzipSync('one\n2023\n'), /^expected index version 1, got: one\n$/],
  ['a version with a blank', gzipSync('1 \n2023\n'), /^expected index version 1, got: 1 \n$/],
  ['CRLF', gzipSync('1\r\n2023-08-08T12:34:56Z\r\n'), /^expected index version 1, got: 1\?\n$/],
  ['a newer version', gzipSync('2\n2023\n'), /^expected index version 1, got: 2\nplease update obsdpkgup and try again\n$/],
  [
    'an older one',
    gzipSync('0\n2023\n'),
    /^expected index version 1, got: 0\nwait for remote mirror to update to the current pkgup index format and try again later\n$/,
  ],
  [
    'hashes of 2020',
    gzipSync(`a-2.tgz ${'A'.repeat(43)}=\n`),
    /^expected index version 1, got: a-2\.tgz A+=?\nthis is an index of summer 2020.*\n$/,
  ],
  ['nothing', gzipSync(''), /^expected index version 1, got: \n$/],
  ['no text at all', new Uint8Array(0), new RegExp(`^${escaped}: is no gzip file, or a damaged one\n$`)],
  ['what is no gzip', Buffer.from('<html>'), new RegExp(`^${escaped}: is no gzip file, or a damaged one\n$`)],
  ['a truncated one', gzipSync('1\n2023\n'.repeat(99)).subarray(0, 30), new RegExp(`^${escaped}: is no gzip file, or a damaged one\n$`)],
  ['a bomb', gzipSync(new Uint8Array(200 << 20)), new RegExp(`^${escaped}: unpacks to more than \\d+ bytes\n$`)],
  ['a control sequence', gzipSync('\u001b[2J\n2023\n'), /^expected index version 1, got: \?\[2J\n$/],
  ['no date', gzipSync('1\n'), /^error parsing pkgUp quirks date : is no RFC 3339 date\n$/],
  ['a wrong date', gzipSync('1\nyesterday\u001b\n'), /^error parsing pkgUp quirks date yesterday\?: is no RFC 3339 date\n$/],
  [
    'a date that is none',
    gzipSync('1\n2023-13-41T99:00:00Z\n'),
    /^error parsing pkgUp quirks date 2023-13-41T99:00:00Z: is no RFC 3339 date\n$/,
  ],
]

for (const [name, bytes, line] of indexes) {
  test(`an index with ${name}`, async () => {
    await inWorld(async (world) => {
      world.page(url, bytes)
      assertRefused(await world.check([]), line)
    })
  })
}

const listings: readonly (readonly [string, string, RegExp])[] = [
  ['nothing', '', /^couldn't find quirks package in index\n$/],
  ['short lines', 'total 4\nquirks-7.1.tgz\na b c quirks-1.tgz\n', /^couldn't find quirks package in index\n$/],
  ['another folder', `-rw-r--r--  1 0  0  1 Aug  8 12:34:56 2023 quirks-/../../x\n`, /^couldn't find quirks package in index\n$/],
  [
    'a file that is not there',
    `-rw-r--r--  1 0  0  1 Aug  8 12:34:56 2023 quirks-9.tgz\n`,
    /^404 while downloading quirks: "https:\/\/\S+\/quirks-9\.tgz"\n$/,
  ],
]

for (const [name, text, line] of listings) {
  test(`index.txt with ${name}`, async () => {
    await inWorld(async (world) => {
      world.page(`${snapshots}index.txt`, text)
      assertRefused(await world.check([]), line)
    })
  })
}

test('what is missing on the mirror is told in the words of obsdpkgup', async () => {
  await inWorld(async (world) => {
    world.http.pages.delete(`${snapshots}quirks-7.1.tgz`)
    assertRefused(await world.check([]), /^404 while downloading quirks: /)
    world.http.pages.set(`${snapshots}quirks-7.1.tgz`, { status: 503, bytes: Buffer.from('x') })
    assertRefused(await world.check([]), /^unexpected HTTP response \(503\) while downloading quirks: /)
    world.http.pages.set(`${snapshots}index.txt`, { status: 500 })
    assertRefused(await world.check([]), /^unexpected HTTP response \(500\) while downloading index: /)
    world.http.pages.delete(`${snapshots}index.txt`)
    assertRefused(await world.check([]), /^404 encountered while downloading index: /)
    world.http.pages.set(url, { status: 502 })
    assertRefused(await world.check([]), /^unexpected HTTP response: 502\n$/)
    world.http.pages.delete(url)
    assertRefused(await world.check([]), new RegExp(`^unable to locate pkgup index at '${escaped}'\\.\n$`))
  })
})

test('a quirks package without a signature, or with another header', async () => {
  await inWorld(async (world) => {
    for (const [bytes, line] of [
      [gzipSync('x'), /could not find date in signify block\n$/],
      [Buffer.from('no gzip at all'), /is no gzip file\n$/],
      [new Uint8Array(5), /quirks-7\.1\.tgz: .*\n$/],
    ] as const) {
      world.page(`${snapshots}quirks-7.1.tgz`, bytes)
      assertRefused(await world.check([]), line)
    }
  })
})

test('broken entries of the index never hide the others, and make the status say so', async () => {
  await inWorld(async (world) => {
    world.install('b-1 x/b')
    await world.mirror(snapshots, {
      index: ['a-2.tgz', 'b-2.tgz b-2,0 x/b', 'a-3.tgz a-3,0', 'a-;reboot-4.tgz a-4,0 x/a', 'noversion.tgz n,0 x/n'],
    })
    const { status, stdout, stderr } = await world.check([])
    assert.equal(status, 1)
    assert.equal(stdout, 'pkg_add -u -Dsnap b\n')
    const broken = [...stderr.matchAll(/: the entry of (\S+) is broken$/gm)].map((match) => match[1])
    assert.deepEqual(broken, ['a-2.tgz', 'a-3.tgz', 'noversion.tgz'])
  })
})

test('broken packages of the machine never hide the others', async () => {
  await inWorld(async (world) => {
    world.writeFile('var/db/pkg/noversion/+CONTENTS', '@name noversion\n')
    world.writeFile('var/db/pkg/nopath-1/+CONTENTS', '@name nopath-1\n@cwd /\n')
    world.writeFile('var/db/pkg/noname-1/+CONTENTS', '@comment pkgpath=x/n ftp=yes\n')
    world.writeFile('var/db/pkg/depend-1/+CONTENTS', '@name depend-1\n@comment pkgpath=x/n ftp=yes\n@depend x\n')
    world.writeFile('var/db/pkg/crlf-1/+CONTENTS', '@name crlf-1\r\n')
    world.writeFile('var/db/pkg/none-1/+DESC', '')
    world.writeFile('var/db/pkg/$(reboot)-1/+CONTENTS', '@name x-1\n@comment pkgpath=x/x ftp=yes\n')
    world.writeFile('var/db/pkg/long-1/+CONTENTS', `@name ${'x'.repeat(6 << 20)}`)
    world.writeFile('var/db/pkg/a-file', '')
    const { status, stdout, stderr } = await world.check([])
    assert.equal(status, 1)
    assert.equal(stdout, 'pkg_add -u -Dsnap a\n')
    const lines = stderr.trimEnd().split('\n')
    assert.deepEqual(lines.slice(-3), ['a-1->2', '', 'to upgrade:'])
    assert.deepEqual(
      lines.slice(0, -3).map((line) => line.replace(/^.*\/(?=none-1)/, '')),
      [
        '"$(reboot)-1" is no name of a package',
        'crlf-1: +CONTENTS line 1 holds a control character',
        'depend-1: +CONTENTS line 3: @depend is not pkgpath:pattern:default',
        'long-1: +CONTENTS has a head of more than 4194304 bytes',
        'noname-1: +CONTENTS has no @name',
        'none-1: +CONTENTS not found',
        'nopath-1: +CONTENTS has no pkgpath',
        'couldn\'t find version in pkg: "noversion"',
      ],
    )
  })
})

test('a system that cannot be judged', async () => {
  await inWorld(async (world) => {
    assertRefused(
      await world.check([], { kern: 'FreeBSD 14.0' }),
      /^kern\.version: 'FreeBSD 14\.0' is no version of OpenBSD\n--kern-version /,
    )
    assertRefused(await world.check([], { kern: 'OpenBSD' }), /^kern\.version: /)
    assertRefused(await world.check([], { arch: '../x' }), /^'\.\.\/x' is no architecture\n$/)
    assertRefused(
      await world.check([], { environment: { PKG_PATH: 'gopher://x/' } }),
      /^gopher:\S+: is no http, https or file URL of a mirror\n$/,
    )
    for (const path of ['./here', ':', 'ftp://x/', 'http://:80/', 'https:///x'])
      assertRefused(await world.check([], { environment: { PKG_PATH: path } }), /^(?:\S+: (?:is no|a path)|PKG_PATH) .*\n$/)
    assertRefused(
      await world.check([], { environment: { PKGUP_URL: 'http://' } }),
      /^http:\S+: is no http, https or file URL of a mirror\n$/,
    )
    world.remove('a-1')
    assert.equal((await world.check([], { kern: current })).stderr, 'up to date\n')
  })
})

test('nothing of an index reaches the terminal as it is', async () => {
  await inWorld(async (world) => {
    await world.mirror(snapshots, { index: ['a-1.tgz a-1,0,@\u001b[2J-1,\u009bx.1.2 x/a', 'a-2\u001b.tgz a-2,0 x/a'] })
    for (const words of [['--explain', 'a'], ['--report'], ['--json'], []]) {
      const { stdout, stderr } = await world.check(words)
      assert.doesNotMatch(Buffer.from(stdout, 'latin1').toString() + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/, words.join(' '))
    }
  })
})

test('a body that breaks off', async () => {
  await inWorld(async (world) => {
    world.http.pages.set(url, { bytes: gzipSync('1\n'.repeat(50_000)), breakAfter: 10 })
    assertRefused(await world.check([]), new RegExp(`^${escaped}: `))
  })
})
