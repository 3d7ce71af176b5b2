import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { farmMirror } from '../src/command/farm-mirror.ts'
import { targetAt } from '../src/command/farm-mirror-target.ts'
import { folderStore } from '../src/host/folder-store.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { writeMirror } from './helpers/openbsd-mirror/mirror.ts'
import { needs } from './helpers/programs.ts'
import { contextOf, runCommand } from './helpers/run-command.ts'
import { s3Account, s3Store } from './helpers/s3-store.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { AddressInfo } from 'node:net'
import type { S3Store } from './helpers/s3-store.ts'
import type { Outcome } from './helpers/run-command.ts'

const set = '7.6/packages-stable/amd64'
const base = packageOf({ name: 'gtk+3-3.24.0', pkgpath: 'x11/gtk+3' })

type Bench = {
  readonly store: S3Store
  readonly publish: (date: string, names: readonly string[]) => Promise<void>
  readonly mirror: (environment?: Readonly<Record<string, string>>, ...words: readonly string[]) => Promise<Outcome>
  readonly published: () => Map<string, Buffer>
}

function environmentOf(store: S3Store): Readonly<Record<string, string>> {
  return {
    AWS_ENDPOINT_URL: store.url,
    AWS_REGION: s3Account.region,
    AWS_ACCESS_KEY_ID: s3Account.id,
    AWS_SECRET_ACCESS_KEY: s3Account.secret,
  }
}

/** A published folder, and a bucket. */
async function atBench(use: (bench: Bench) => Promise<void>): Promise<void> {
  const store = await s3Store('packages')
  const known = environmentOf(store)
  try {
    await inTemporary(async (folder) => {
      const files = (): readonly string[] => readdirSync(join(folder, set)).filter((name) => !name.startsWith('.'))
      await use({
        store,
        publish: async (date, names) => {
          await writeMirror({ folder: join(folder, set), packages: names.map((name) => ({ ...base, name })), date })
          utimesSync(join(folder, set, 'index.txt'), Date.parse(date) / 1000, Date.parse(date) / 1000)
          writeFileSync(join(folder, set, '.retired'), '')
        },
        mirror: async (environment = {}, ...words) =>
          await runCommand(farmMirror, [...words, folder, 's3://packages/pub/'], { environment: { ...known, ...environment } }),
        published: () => new Map(files().map((name) => [`pub/${set}/${name}`, readFileSync(join(folder, set, name))])),
      })
    })
  } finally {
    await store.close()
  }
}

test('a bucket is brought up to date: packages first, the index last, what is there already is not sent again', async () => {
  await atBench(async ({ store, publish, mirror, published }) => {
    store.objects.set('pub/7.6/packages/amd64/zsh-5.9.tgz', Buffer.from('z'))
    await publish('2026-11-20T09:30:15Z', ['gtk+3-3.24.0', 'curl-8.5.0', 'vim-9.1'])
    assert.equal((await mirror({}, '--check')).stdout, `s3://packages/pub/: ${set}: has no index.txt\n`)
    store.log.length = 0
    assert.equal((await mirror()).stdout, `s3://packages/pub/: ${set}: current\n`)
    const puts = store.log.filter((line) => line.startsWith('PUT ')).map((line) => line.slice(`PUT pub/${set}/`.length))
    assert.deepEqual([puts.slice(0, 3).every((name) => name.endsWith('.tgz')), puts.at(-1)], [true, 'index.txt'])
    assert.deepEqual(new Set(store.objects.keys()), new Set([...published().keys(), 'pub/7.6/packages/amd64/zsh-5.9.tgz']))
    for (const [key, bytes] of published()) assert.deepEqual(store.objects.get(key), bytes)
    await publish('2026-11-20T10:30:15Z', ['gtk+3-3.24.0', 'curl-8.5.0', 'vim-9.1p0'])
    assert.match((await mirror({}, '--check')).stdout, /: behind by 60 minutes\n$/)
    store.log.length = 0
    assert.equal((await mirror()).status, 0)
    assert.equal(store.log.filter((line) => /^PUT .*(gtk|curl)/.test(line)).length, 0, 'these are there')
    store.objects.delete(`pub/${set}/vim-9.1p0.tgz`)
    assert.match((await mirror({}, '--check')).stdout, /: torn: vim-9\.1p0\.tgz\n$/)
  })
})

test('a store that is busy is asked again; one that refuses, or takes altered bytes, is told', async () => {
  await atBench(async ({ store, publish, mirror }) => {
    await publish('2026-11-20T09:30:15Z', ['curl-8.5.0'])
    store.busy = 2
    assert.equal((await mirror()).status, 0)
    const wrong = await mirror({ AWS_SECRET_ACCESS_KEY: 'other' })
    assert.deepEqual(
      [wrong.status, wrong.stdout],
      [6, `s3://packages/pub/: ${set}: failed: the store answered 403: SignatureDoesNotMatch: of packages\n`],
    )
    store.objects.clear()
    store.spoil = (body) => Buffer.concat([body, Buffer.from('x')])
    assert.match((await mirror()).stdout, /failed: the store answered 400: XAmzContentSHA256Mismatch/)
    assert.equal(store.objects.size, 0)
    for (const [environment, code] of [
      [{ AWS_ENDPOINT_URL: 'ftp://a' }, 'usage'],
      [{ AWS_ENDPOINT_URL: 'no url' }, 'usage'],
    ] as const) {
      assert.equal((await mirror(environment)).code, code)
    }
    assert.equal(
      (await runCommand(farmMirror, ['/nowhere', 's3://b'])).error?.message,
      'a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment',
    )
    assert.equal((await runCommand(farmMirror, ['/nowhere', 's3:///b'])).code, 'usage')
  })
})

test('a listing that is no UTF-8 is refused, and so is a key that is no name', async () => {
  await atBench(async ({ publish, mirror }) => {
    await publish('2026-11-20T09:30:15Z', ['curl-8.5.0'])
    for (const [key, why] of [
      ['%E0%A4', 'lists a name that is no UTF-8: %E0%A4'],
      ['\xff', 'is no UTF-8 text'],
    ] as const) {
      const listing = `<ListBucketResult><Contents><Key>${key}</Key><Size>1</Size><ETag>"a"</ETag></Contents></ListBucketResult>`
      const server = createServer((_, answer) => void answer.end(Buffer.from(listing, 'latin1'))).listen(0, '127.0.0.1')
      await once(server, 'listening')
      try {
        const { status, stdout } = await mirror({ AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
        assert.deepEqual([status, stdout], [6, `s3://packages/pub/: ${set}: failed: ${why}\n`])
      } finally {
        server.close()
      }
    }
  })
})

test('a repository in a bucket: blobs first, the timestamp last, and what it no longer has goes', async () => {
  const store = await s3Store('packages')
  try {
    await inTemporary(async (folder) => {
      const repository = join(folder, 'repo')
      const put = async (key: string, text: string): Promise<void> => await folderStore(repository).put(key, oneChunk(utf8(text)))
      for (const key of ['metadata/timestamp.json', 'blobs/base/amd64/a.tar', 'metadata/1.snapshot.json']) await put(key, key)
      const target = targetAt({ ...contextOf(), environment: environmentOf(store) }, 's3://packages/pub/repo')
      const folders = ['metadata', 'blobs/base/amd64']
      await target.bring?.(repository, folders)
      const puts = store.log.filter((line) => line.startsWith('PUT '))
      assert.deepEqual(puts, [
        'PUT pub/repo/blobs/base/amd64/a.tar',
        'PUT pub/repo/metadata/1.snapshot.json',
        'PUT pub/repo/metadata/timestamp.json',
      ])
      assert.equal(Buffer.from((await target.read('metadata/timestamp.json')) ?? []).toString(), 'metadata/timestamp.json')
      await folderStore(repository).delete('blobs/base/amd64/a.tar')
      await put('metadata/timestamp.json', 'the next one')
      await target.bring?.(repository, folders)
      assert.deepEqual([...store.objects.keys()].toSorted(), ['pub/repo/metadata/1.snapshot.json', 'pub/repo/metadata/timestamp.json'])
      assert.equal(store.objects.get('pub/repo/metadata/timestamp.json')?.toString(), 'the next one')
    })
  } finally {
    await store.close()
  }
})

test('curl signs for our store as we do', needs('curl'), async () => {
  const store = await s3Store('packages')
  try {
    const curl = async (secret: string, key: string, body: string): Promise<string> => {
      return await new Promise((resolve) => {
        const digest = createHash('sha256').update(body).digest('hex')
        const words = [
          '-s',
          '-o',
          '/dev/null',
          '-w',
          '%{http_code}',
          '-X',
          'PUT',
          '--data-binary',
          body,
          '-H',
          `x-amz-content-sha256: ${digest}`,
        ]
        const signing = ['--aws-sigv4', `aws:amz:${s3Account.region}:s3`, '--user', `${s3Account.id}:${secret}`]
        execFile('curl', [...words, ...signing, `${store.url}/packages/${key}`], (_, stdout) => resolve(stdout))
      })
    }
    assert.equal(await curl(s3Account.secret, 'a/b.txt', 'hello'), '200')
    assert.equal(await curl('another', 'a/c.txt', 'hello'), '403')
    assert.deepEqual([...store.objects.keys()], ['a/b.txt'])
  } finally {
    await store.close()
  }
})
