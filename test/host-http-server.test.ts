import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { concatBytes, equalBytes } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { serveFolder } from '../src/host/http-server.ts'
import { storeKeyOf } from './helpers/blob-key.ts'
import { needs } from './helpers/programs.ts'
import type { IncomingHttpHeaders } from 'node:http'

const scratch = await mkdtemp(join(tmpdir(), 'bindery-serve-'))
const repo = join(scratch, 'repo')
const blob = new Uint8Array(Buffer.from('0123456789'.repeat(100_000)))
const blobKey = storeKeyOf('base/amd64/base-1.0-20260101-amd64.tar.zst', blob)
const metadata = Buffer.from(JSON.stringify({ signed: 'x'.repeat(2000) }))
await mkdir(join(repo, 'blobs/base/amd64'), { recursive: true })
await mkdir(join(repo, 'metadata'))
await mkdir(join(repo, '.lock'))
await writeFile(join(repo, '.lock/1.x'), 'secret')
await writeFile(join(scratch, 'outside'), 'secret')
await writeFile(join(repo, blobKey), blob)
await writeFile(join(repo, 'metadata/timestamp.json'), metadata)
await writeFile(join(repo, 'metadata/2.targets.json'), metadata)
await writeFile(join(repo, 'metadata/2.targets.json.gz'), gzipSync(metadata))
await writeFile(join(repo, 'empty'), '')
await symlink('/nowhere', join(repo, 'dangling'))

const log: string[] = []
const server = await serveFolder({ folder: repo, host: '127.0.0.1', port: 0, log: (line) => log.push(line) })
after(async () => {
  await server.close(0)
  await rm(scratch, { recursive: true, force: true })
})

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Uint8Array }

/** The path goes out exactly as it is written here: URL would tidy up `..`. */
function ask(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Answer> {
  const { port } = new URL(server.url)
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, headers, method }, (message) => {
      const parts: Uint8Array[] = []
      message.on('data', (part: Uint8Array) => parts.push(part))
      message.on('end', () => resolve({ status: message.statusCode as number, headers: message.headers, body: concatBytes(parts) }))
    })
    outgoing.on('error', reject).end()
  })
}

test('a blob is whole, immutable, tagged by its digest', async () => {
  const { status, headers, body } = await ask(`/${blobKey}`)
  assert.equal(status, 200)
  assert.ok(equalBytes(body, blob))
  assert.equal(headers.etag, `"${sha256(blob)}"`)
  assert.match(headers['cache-control'] ?? '', /immutable/)
  assert.equal(headers['accept-ranges'], 'bytes')
  assert.equal(headers['content-length'], String(blob.length))
})

test('HEAD answers the same head and no body', async () => {
  const get = await ask(`/${blobKey}`)
  const head = await ask(`/${blobKey}`, { range: 'bytes=0-9' }, 'HEAD')
  assert.equal(head.status, 200)
  assert.equal(head.body.length, 0)
  for (const name of ['etag', 'content-length', 'last-modified', 'cache-control'] as const)
    assert.equal(head.headers[name], get.headers[name])
})

test('metadata is revalidated: 304 by tag or by date, and the tag follows the content', async () => {
  const first = await ask('/metadata/timestamp.json')
  assert.equal(first.headers['cache-control'], 'no-cache')
  assert.equal(first.headers['content-type'], 'application/json')
  const etag = first.headers.etag as string
  for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const again = await ask('/metadata/timestamp.json', { 'if-none-match': condition })
    assert.equal(again.status, 304)
    assert.equal(again.body.length, 0)
    assert.equal(again.headers.etag, etag)
  }
  assert.equal((await ask('/metadata/timestamp.json', { 'if-modified-since': first.headers['last-modified'] as string })).status, 304)
  assert.equal((await ask('/metadata/timestamp.json', { 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' })).status, 200)
  const both = { 'if-none-match': '"other"', 'if-modified-since': first.headers['last-modified'] as string }
  assert.equal((await ask('/metadata/timestamp.json', both)).status, 200)
  await writeFile(join(repo, 'metadata/timestamp.json'), 'changed')
  assert.equal((await ask('/metadata/timestamp.json', { 'if-none-match': etag })).status, 200)
})

test('single ranges', async () => {
  const cases: [string, number, number][] = [
    ['bytes=0-9', 0, 10],
    ['bytes=999990-', 999_990, 1_000_000],
    ['bytes=-5', 999_995, 1_000_000],
    ['bytes=5-99999999', 5, 1_000_000],
    ['bytes=-99999999', 0, 1_000_000],
    ['bytes=7-7', 7, 8],
  ]
  for (const [range, start, end] of cases) {
    const { status, headers, body } = await ask(`/${blobKey}`, { range })
    assert.equal(status, 206, range)
    assert.equal(headers['content-range'], `bytes ${start}-${end - 1}/1000000`)
    assert.ok(equalBytes(body, blob.subarray(start, end)), range)
  }
  for (const range of ['bytes=1000000-', 'bytes=1000000-1000001', 'bytes=-0']) {
    const { status, headers } = await ask(`/${blobKey}`, { range })
    assert.equal(status, 416, range)
    assert.equal(headers['content-range'], 'bytes */1000000')
  }
  for (const range of ['bytes=0-1,5-6', 'bytes=9-3', 'lines=1-2', 'bytes=a-b', 'bytes=-', `bytes=0-${'9'.repeat(30)}`]) {
    assert.equal((await ask(`/${blobKey}`, { range })).status, 200, range)
  }
})

test('If-Range: the part when nothing changed, else the whole', async () => {
  const { headers } = await ask(`/${blobKey}`)
  const status = async (condition: string): Promise<number> =>
    (await ask(`/${blobKey}`, { range: 'bytes=0-0', 'if-range': condition })).status
  assert.equal(await status(headers.etag as string), 206)
  assert.equal(await status(headers['last-modified'] as string), 206)
  assert.equal(await status('"another"'), 200)
  assert.equal(await status(`W/${headers.etag as string}`), 200)
  assert.equal(await status('Thu, 01 Jan 1970 00:00:00 GMT'), 200)
})

test('a precompressed twin is sent to whoever takes it', async () => {
  const { headers, body } = await ask('/metadata/2.targets.json', { 'accept-encoding': 'br, gzip;q=0.8' })
  assert.equal(headers['content-encoding'], 'gzip')
  assert.equal(headers.vary, 'accept-encoding')
  assert.ok(equalBytes(body, gzipSync(metadata)))
  for (const accept of ['identity', 'gzip;q=0', '']) {
    const plain = await ask('/metadata/2.targets.json', { 'accept-encoding': accept })
    assert.equal(plain.headers['content-encoding'], undefined)
    assert.notEqual(plain.headers.etag, headers.etag)
    assert.ok(equalBytes(plain.body, metadata))
  }
})

test('an empty file', async () => {
  assert.deepEqual([(await ask('/empty')).status, (await ask('/empty')).body.length], [200, 0])
  assert.equal((await ask('/empty', { range: 'bytes=0-0' })).status, 416)
})

test('nothing outside, nothing hidden, no listing', async () => {
  const paths = [
    '/../outside',
    '/%2e%2e/outside',
    '/metadata/../../outside',
    '/metadata/%2e%2e%2f%2e%2e%2foutside',
    '/..%2foutside',
    '//etc/passwd',
    '/.lock/1.x',
    '/%2elock/1.x',
    '/',
    '/metadata',
    '/metadata/',
    '/blobs',
    '/nothing',
    '/a%00b',
    '/%zz',
    '/dangling',
    '/metadata\\timestamp.json',
  ]
  for (const path of paths) assert.equal((await ask(path)).status, 404, path)
})

test('only GET and HEAD', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const { status, headers } = await ask('/empty', {}, method)
    assert.equal(status, 405)
    assert.equal(headers.allow, 'GET, HEAD')
  }
})

test('nonsense on the socket hurts nobody', async () => {
  const { port } = new URL(server.url)
  for (const text of [
    '\r\n\r\n',
    'GET\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
    '\x16\x03\x01',
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.end(text))
      socket.on('close', () => resolve()).on('error', () => {})
      socket.resume()
    })
  }
  assert.equal((await ask('/empty')).status, 200)
})

test('a client that goes away in the middle leaves the server whole', async () => {
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve, reject) => {
      const outgoing = request(`${server.url}${blobKey}`, (message) => {
        message.once('data', () => {
          outgoing.destroy()
          resolve()
        })
      })
      outgoing.on('error', reject).end()
    })
  }
  assert.equal((await ask(`/${blobKey}`)).body.length, blob.length)
})

test('curl agrees: ranges, resume, conditions', needs('curl'), async () => {
  const curl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('curl', ['-sS', ...args], { maxBuffer: 1 << 24 })).stdout
  const url = `${server.url}${blobKey}`
  assert.equal(await curl('-r', '3-7', url), '34567')
  const part = join(scratch, 'part')
  await writeFile(part, blob.subarray(0, 123_456))
  await curl('-C', '-', '-o', part, url)
  assert.equal((await promisify(execFile)('sha256sum', [part])).stdout.slice(0, 64), sha256(blob))
  const tag = join(scratch, 'tag')
  await curl('--etag-save', tag, '-o', '/dev/null', url)
  assert.equal(await curl('--etag-compare', tag, '-o', '/dev/null', '-w', '%{http_code}', url), '304')
  assert.equal(await curl('-o', '/dev/null', '-w', '%{http_code}', '--path-as-is', `${server.url}../outside`), '404')
})

test('every answer is logged on one line', async () => {
  log.length = 0
  await ask('/nothing')
  assert.match(log[0] ?? '', /^GET \/nothing 404 4 \d+ ms$/)
})

test('a taken port, an address of elsewhere', async () => {
  const { port } = new URL(server.url)
  await assert.rejects(serveFolder({ folder: repo, host: '127.0.0.1', port: Number(port) }), (error) => isBinderyError(error, 'exists'))
  await assert.rejects(serveFolder({ folder: repo, host: '192.0.2.1', port: 0 }), (error) => isBinderyError(error, 'not-found'))
})
