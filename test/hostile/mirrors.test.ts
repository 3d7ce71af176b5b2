import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latin1 } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { pkgindex } from '../../src/command/pkgindex.ts'
import { readPackageHead } from '../../src/engine/pkg/index/package-head.ts'
import { answers, cutsAfter, hostileServer, neverEnds } from '../helpers/hostile-server.ts'
import { packageOf } from '../helpers/openbsd-mirror/package-facts.ts'
import { packageFile, signedFile, unsignedPackage } from '../helpers/openbsd-mirror/package-file.ts'
import { packageKey } from '../helpers/openbsd-mirror/mirror.ts'
import { runCommand } from '../helpers/run-command.ts'
import type { Mischief } from '../helpers/hostile-server.ts'

const key = await packageKey()
const date = '2026-11-20T09:30:15Z'
const good = await packageFile(packageOf({ name: 'good-1.0', pkgpath: 'a/good', ballast: 30_000 }), key, date)
const quirks = await packageFile(packageOf({ name: 'quirks-1.0', pkgpath: 'devel/quirks' }), key, date)
/** Its head does not fit into the first range. */
const wide = packageOf({
  name: 'wide-1.0',
  pkgpath: 'a/wide',
  wantlibs: Array.from({ length: 6000 }, (_, i) => `lib${(i * 7919) % 99_991}.${(i * 31) % 977}.0`),
})
const wideFile = await signedFile(unsignedPackage(wide), key, date)

/** As a sound server answers a range. */
function serves(bytes: Uint8Array, etag = '"e"'): Mischief {
  return (request, socket) => {
    const [, first, last] = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.get('range') ?? '') as unknown as [string, string, string]
    const part = bytes.subarray(Number(first), Number(last) + 1)
    const range = `bytes ${first}-${Number(first) + part.length - 1}/${bytes.length}`
    answers(206, { 'Content-Range': range, ETag: etag }, part)(request, socket)
  }
}

/** Starts like a signed package, and goes on with a comment for ever. */
const endlessComment: Mischief = (request, socket) => {
  const [, first, last] = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.get('range') ?? '') as unknown as [string, string, string]
  const part = new Uint8Array(Number(last) - Number(first) + 1).fill(0x61)
  if (first === '0') part.set([0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 3])
  answers(206, { 'Content-Range': `bytes ${first}-${last}/999999999999` }, part)(request, socket)
}

/** Another file from the second range on. */
function changing(bytes: Uint8Array): Mischief {
  let asked = 0
  return (request, socket) => serves(bytes, `"${asked++}"`)(request, socket)
}

const evil: Readonly<Record<string, readonly [Mischief, RegExp]>> = {
  'absent-1.tgz': [answers(404), /answered 404/],
  'broken-1.tgz': [answers(500), /answered 500/],
  'changing-1.tgz': [changing(wideFile), /changed while it was read/],
  'comment-1.tgz': [endlessComment, /no packing list in its first/],
  'elsewhere-1.tgz': [answers(206, { 'Content-Range': `bytes 7-99/${good.length}` }, good.subarray(7, 100)), /another range/],
  'empty-1.tgz': [answers(200), /ends within|ends after/],
  'endless-1.tgz': [neverEnds(), /does not tell its size/],
  'page-1.tgz': [answers(200, {}, new TextEncoder().encode('<html>Please log in</html>')), /no gzip file/],
  'short-1.tgz': [cutsAfter(good, 100), /aborted|broken off/],
  'still-1.tgz': [answers(304), /answered 304/],
  'unranged-1.tgz': [answers(206, {}, good), /another range/],
}

test('a server that lies about single packages hides none of the others', async () => {
  const names = [...Object.keys(evil), 'good-1.0.tgz', 'quirks-1.0.tgz', 'wide-1.0.tgz'].sort()
  const listing = new TextEncoder().encode(names.map((name) => `<a href="${name}">${name}</a>\n`).join(''))
  const pages: Readonly<Record<string, Mischief>> = {
    '': answers(200, {}, listing),
    'good-1.0.tgz': serves(good),
    'quirks-1.0.tgz': serves(quirks),
    'wide-1.0.tgz': serves(wideFile),
  }
  const server = await hostileServer((request, socket) => {
    const name = request.path.slice(1)
    const mischief = pages[name] ?? evil[name]?.[0] ?? answers(404)
    mischief(request, socket)
  })
  try {
    const outcome = await runCommand(pkgindex, [`${server.base}/`])
    assert.equal(outcome.status, 6)
    for (const [i, [name, [, expected]]] of Object.entries(evil).entries()) {
      assert.match(outcome.stderr[i] as string, expected)
      assert.ok((outcome.stderr[i] as string).startsWith(`${server.base}/${name}: `), outcome.stderr[i])
    }
    assert.equal(outcome.stderr.length, Object.keys(evil).length)
    assert.deepEqual(
      outcome.stdout.split('\n').map((line) => line.slice(0, 25)),
      ['1', date, 'good-1.0.tgz good-1.0,0 a', 'quirks-1.0.tgz quirks-1.0', 'wide-1.0.tgz wide-1.0,0,l', ''],
    )
    assert.ok(server.requests.filter(({ path }) => path === '/wide-1.0.tgz').length > 1)
  } finally {
    await server.close()
  }
})

test('a mirror that is no mirror ends in one line', async () => {
  for (const mischief of [answers(500), neverEnds(), answers(200, {}, new TextEncoder().encode('hello\n')), answers(404)] as const) {
    const server = await hostileServer(mischief)
    try {
      const { status, stdout, error } = await runCommand(pkgindex, [`${server.base}/`])
      assert.ok(status === 1 || status === 3, String(status))
      assert.equal(stdout, '')
      assert.ok(error !== undefined && !error.message.includes('\n'))
    } finally {
      await server.close()
    }
  }
})

test('no name that a mirror lists leads elsewhere', async () => {
  const asked: string[] = []
  const server = await hostileServer((request, socket) => {
    asked.push(request.path)
    const list = ['../up-1.tgz', '/etc/x-1.tgz', 'a/b-1.tgz', '.x-1.tgz', 'quirks-1.0.tgz', 'odd?q#f-1.tgz'].map(
      (name) => `- 1 0 0 ${quirks.length} Nov 1 0:0:0 2026 ${name}\n`,
    )
    if (request.path === '/index.txt') answers(200, {}, new TextEncoder().encode(list.join('')))(request, socket)
    else if (request.path === '/quirks-1.0.tgz') serves(quirks)(request, socket)
    else answers(404)(request, socket)
  })
  try {
    await runCommand(pkgindex, [`${server.base}/`])
    assert.deepEqual(asked.toSorted(), ['/index.txt', '/odd%3Fq%23f-1.tgz', '/quirks-1.0.tgz'])
    assert.ok(latin1(quirks.subarray(0, 2)) === '\u001f\u008b')
  } finally {
    await server.close()
  }
})

test('a package with any byte changed, or cut anywhere, is read or refused in one sentence', () => {
  const small = unsignedPackage(packageOf({ name: 'vim-9.0', pkgpath: 'editors/vim', wantlibs: ['c.97.1'] }))
  for (const file of [small, good]) {
    for (let at = 0; at < file.length; at += at < 1000 ? 1 : 97) {
      const damaged = file.slice()
      damaged[at] = (damaged[at] as number) ^ (1 << (at % 8))
      readOrRefuse(damaged)
      readOrRefuse(file.subarray(0, at))
    }
  }
})

function readOrRefuse(bytes: Uint8Array): void {
  try {
    const head = readPackageHead(bytes, true)
    assert.ok(head !== 'more')
  } catch (error) {
    assert.ok(isBinderyError(error) && !error.message.includes('\n'), String(error))
  }
}
