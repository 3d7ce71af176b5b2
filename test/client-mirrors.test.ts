import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromUtf8, utf8 } from '../src/base/bytes.ts'
import { metadataSource } from '../src/engine/client/fetch/mirrors.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { memoryHttp } from '../src/host/memory-http.ts'
import { testSession } from './helpers/client.ts'
import { answers, drips, hostileServer, neverEnds, portal } from './helpers/hostile-server.ts'
import type { SourceAnswer } from '../src/engine/repo/trust-types.ts'
import type { Page } from '../src/host/memory-http.ts'
import type { Mischief } from './helpers/hostile-server.ts'

const base = 'http://updates.test/'
const json = utf8('{"signed":{}}')

/** What a mirror answers for timestamp.json, and what it was asked. */
async function ask(
  page: Page,
  known?: string,
): Promise<{ readonly answer: SourceAnswer; readonly headers: Readonly<Record<string, string>> }> {
  const http = memoryHttp(new Map([[`${base}metadata/timestamp.json`, page]]))
  const answer = await metadataSource(await testSession({ http }), base).fetch('timestamp.json', 1000, known)
  return { answer, headers: http.requests[0]?.headers ?? {} }
}

test('bytes come with what they can be recognised by', async () => {
  const { answer, headers } = await ask({ bytes: json, etag: '"v1"' })
  assert.ok(answer.kind === 'bytes')
  assert.equal(fromUtf8(answer.bytes), '{"signed":{}}')
  assert.deepEqual(headers, { 'cache-control': 'max-age=0' })
  const again = await ask({ bytes: json, etag: '"v1"' }, answer.etag)
  assert.deepEqual([again.answer.kind, again.headers['if-none-match']], ['unchanged', '"v1"'])
})

test('Last-Modified does where there is no ETag; a server with neither is read each time', async () => {
  const date = 'Sat, 01 Aug 2026 10:00:00 GMT'
  const { answer } = await ask({ bytes: json, lastModified: date })
  assert.ok(answer.kind === 'bytes')
  const again = await ask({ bytes: json, lastModified: date }, answer.etag)
  assert.deepEqual([again.answer.kind, again.headers['if-modified-since']], ['unchanged', date])
  const plain = await ask({ bytes: json })
  assert.ok(plain.answer.kind === 'bytes' && plain.answer.etag === undefined)
})

test('what one mirror said is not told to another, nor nonsense to any', async () => {
  const elsewhere = `http://mirror.test/metadata/timestamp.json\netag\n"v1"`
  const injected = `${base}metadata/timestamp.json\netag\n"v1\r\nX-Evil: 1"`
  for (const known of [elsewhere, injected, 'nonsense', '']) {
    const { answer, headers } = await ask({ bytes: json, etag: '"v1"' }, known)
    assert.deepEqual([answer.kind, headers], ['bytes', { 'cache-control': 'max-age=0' }])
  }
})

test('a header that is no validator is passed over', async () => {
  for (const etag of ['unquoted', '"', '"a"b"', `"${'x'.repeat(300)}"`]) {
    const { answer } = await ask({ bytes: json, etag })
    assert.ok(answer.kind === 'bytes' && answer.etag === undefined, etag)
  }
})

test('what is not there is absent, also where listing is forbidden', async () => {
  for (const status of [403, 404, 410]) assert.equal((await ask({ status, bytes: utf8('no') })).answer.kind, 'absent')
})

test('an unasked 304 is an error, and so is any other status', async () => {
  for (const status of [304, 401, 500, 503]) await assert.rejects(ask({ status, bytes: utf8('?') }), { code: 'network' })
})

test('more than the limit is refused', async () => {
  await assert.rejects(ask({ bytes: utf8(`{${' '.repeat(1000)}}`) }), { code: 'over-limit' })
})

const hostile: Readonly<Record<string, { readonly mischief: Mischief; readonly code: string }>> = {
  portal: { mischief: portal, code: 'network' },
  empty: { mischief: answers(200), code: 'network' },
  endless: { mischief: neverEnds(), code: 'over-limit' },
  dripping: { mischief: drips(utf8(`{${' '.repeat(900)}}`), 20), code: 'too-slow' },
}

for (const [name, { mischief, code }] of Object.entries(hostile)) {
  test(`a mirror that is ${name} is left`, async () => {
    const server = await hostileServer(mischief)
    const network = { answerMs: 1000, idleMs: 1000, minimumRate: 1000, rateLimit: 0, rateWindowMs: 200, deadlineMs: 10_000 }
    const session = await testSession({ config: { ...defaultConfig, network } })
    await assert.rejects(metadataSource(session, `${server.base}/`).fetch('timestamp.json', 1000), { code })
    await server.close()
  })
}
