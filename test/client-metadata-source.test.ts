import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromUtf8, utf8 } from '../src/base/bytes.ts'
import { conditionOf, metadataSource, validatorOf } from '../src/engine/client/fetch/mirrors.ts'
import { testSession } from './helpers/client.ts'
import type { SourceAnswer } from '../src/engine/repo/trust-types.ts'
import type { HttpRequest, HttpResponse } from '../src/port/http.ts'

/** What a mirror's answer for metadata is taken for, and whether its connection can be used again. */

const base = 'http://updates.test/'
const url = `${base}metadata/timestamp.json`
const json = utf8('{"signed":{}}')

type Asked = {
  readonly answer: SourceAnswer
  readonly requests: readonly HttpRequest[]
  /** Whether the body was read to its end, or left, which closes the connection. */
  readonly body: 'read' | 'left' | 'not asked for'
}

type Given = Partial<Omit<HttpResponse, 'body'>> & { readonly bytes?: Uint8Array; readonly limit?: number; readonly known?: string }

async function asked({ status = 200, headers = {}, bytes = json, limit = 1000, known }: Given): Promise<Asked> {
  const requests: HttpRequest[] = []
  let how: Asked['body'] = 'not asked for'
  const chunks = [bytes]
  const body: HttpResponse['body'] = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const value = chunks.shift()
        if (value !== undefined) return { done: false, value }
        how = 'read'
        return { done: true, value }
      },
      return: async () => {
        how = 'left'
        return { done: true, value: undefined }
      },
    }),
  }
  const get = async (request: HttpRequest): Promise<HttpResponse> => {
    requests.push(request)
    return { status, headers, body }
  }
  const answer = await metadataSource(await testSession({ http: { get } }), base)
    .fetch('timestamp.json', limit, known)
    .catch((error: unknown) => {
      throw Object.assign(error as Error, { body: how })
    })
  return { answer, requests, body: how }
}

const known = `${url}\netag\n"v1"`

test('bytes come as they are, with the tag of their address where there is one', async () => {
  const plain = await asked({})
  assert.deepEqual([plain.answer, plain.body], [{ kind: 'bytes', bytes: json }, 'read'])
  assert.deepEqual(Object.keys(plain.answer), ['kind', 'bytes'])
  assert.deepEqual(
    plain.requests.map((request) => [request.url, request.headers]),
    [[url, { 'cache-control': 'max-age=0' }]],
  )
  assert.deepEqual((await asked({ headers: { etag: '"v1"' } })).answer, { kind: 'bytes', bytes: json, etag: known })
  const date = { 'last-modified': 'Sat, 01 Aug 2026 10:00:00 GMT' }
  assert.deepEqual((await asked({ headers: date })).answer, { kind: 'bytes', bytes: json, etag: `${url}\ndate\n${date['last-modified']}` })
})

test('as many bytes as the limit are read, and one more is refused', async () => {
  assert.equal((await asked({ limit: json.length })).answer.kind, 'bytes')
  await assert.rejects(asked({ limit: json.length - 1 }), {
    code: 'over-limit',
    message: `is larger than ${json.length - 1} bytes`,
    subject: url,
  })
})

test('white space before metadata is none of it', async () => {
  for (const space of [' ', '\n', '\r', '\t', ' \r\n\t \t\r\n']) {
    const { answer } = await asked({ bytes: utf8(`${space}{}`) })
    assert.ok(answer.kind === 'bytes')
    assert.equal(fromUtf8(answer.bytes), `${space}{}`)
  }
})

test('what does not begin as metadata is a failure of the mirror', async () => {
  for (const text of ['', ' ', '[{}]', '<html>{}', '"{}"', '\v{}', '\0{}'])
    await assert.rejects(asked({ bytes: utf8(text) }), {
      code: 'network',
      message: 'answered something else than metadata',
      subject: url,
    })
})

test('it is unchanged where that was asked for, and is said', async () => {
  const found = await asked({ status: 304, known })
  assert.deepEqual([found.answer, found.body], [{ kind: 'unchanged' }, 'read'])
  assert.deepEqual(found.requests[0]?.headers, { 'cache-control': 'max-age=0', 'if-none-match': '"v1"' })
  await assert.rejects(asked({ status: 304 }), { code: 'network', message: 'answered 304', subject: url })
  // Of another address, so nothing was asked.
  await assert.rejects(asked({ status: 304, known: `http://b.test/\netag\n"v1"` }), { code: 'network', message: 'answered 304' })
})

test('with what is known, too, what is not there is absent, and any other answer a failure', async () => {
  assert.deepEqual((await asked({ status: 404, known })).answer, { kind: 'absent' })
  for (const status of [206, 500])
    await assert.rejects(asked({ status, known }), { code: 'network', message: `answered ${status}`, subject: url })
})

for (const [name, given, body] of [
  ['that says no length is read', { status: 404 }, 'read'],
  ['of no bytes is read', { status: 404, headers: { 'content-length': '0' } }, 'read'],
  ['of 4 KiB is read', { status: 404, headers: { 'content-length': '4096' } }, 'read'],
  ['of more is left', { status: 404, headers: { 'content-length': '4097' } }, 'left'],
  ['of a length that is none is left', { status: 404, headers: { 'content-length': 'x' } }, 'left'],
  // It has none, whatever the length of what it stands for.
  ['of an unchanged file is read', { status: 304, headers: { 'content-length': '100000' }, known }, 'read'],
  ['that is longer than it says is left', { status: 404, bytes: new Uint8Array(5000) }, 'left'],
] as const)
  test(`a body ${name}`, async () => {
    assert.equal((await asked(given)).body, body)
  })

test('so is it with answers that are failures', async () => {
  await assert.rejects(asked({ status: 500, headers: { 'content-length': '10' } }), { code: 'network', body: 'read' })
  await assert.rejects(asked({ status: 500, headers: { 'content-length': '100000' } }), { code: 'network', body: 'left' })
})

const date = 'Sat, 01 Aug 2026 10:00:00 GMT'

for (const [name, headers, expected] of [
  ['a tag', { etag: '"v1"' }, { kind: 'etag', value: '"v1"' }],
  ['a weak one', { etag: 'W/"v1"' }, { kind: 'etag', value: 'W/"v1"' }],
  ['an empty one', { etag: '""' }, { kind: 'etag', value: '""' }],
  ['a long one', { etag: `"${'x'.repeat(256)}"` }, { kind: 'etag', value: `"${'x'.repeat(256)}"` }],
  ['a tag before a date', { etag: '"v1"', 'last-modified': date }, { kind: 'etag', value: '"v1"' }],
  ['a date', { 'last-modified': date }, { kind: 'date', value: date }],
  ['a date behind a tag that is none', { etag: 'v1', 'last-modified': date }, { kind: 'date', value: date }],
  ['64 characters of a date', { 'last-modified': '0'.repeat(64) }, { kind: 'date', value: '0'.repeat(64) }],
  ['nothing', {}, undefined],
  ['the word for nothing', { etag: 'undefined' }, undefined],
  ['a longer tag', { etag: `"${'x'.repeat(257)}"` }, undefined],
  ['a tag with something before it', { etag: 'x"v1"' }, undefined],
  ['a tag with something behind it', { etag: '"v1"x' }, undefined],
  ['a tag of two lines', { etag: '"v1\nv2"' }, undefined],
  ['a longer date', { 'last-modified': '0'.repeat(65) }, undefined],
  ['an empty date', { 'last-modified': '' }, undefined],
  ['a date with a header before it', { 'last-modified': `X: y\r\n${date}` }, undefined],
  ['a date with a header behind it', { 'last-modified': `${date}\r\nX: y` }, undefined],
] as const)
  test(`what an answer can be recognised by: ${name}`, () => {
    assert.deepEqual(validatorOf(headers), expected)
  })

test('a tag is asked for as a tag, a date as a date, and nothing as nothing', () => {
  assert.deepEqual(conditionOf({ kind: 'etag', value: '"v1"' }), { 'if-none-match': '"v1"' })
  assert.deepEqual(conditionOf({ kind: 'date', value: date }), { 'if-modified-since': date })
  assert.deepEqual(conditionOf(undefined), {})
})

for (const [name, text, condition] of [
  ['a tag', known, { 'if-none-match': '"v1"' }],
  ['a date', `${url}\ndate\n${date}`, { 'if-modified-since': date }],
  ['a tag that is called a date', `${url}\ndate\n"v1"`, {}],
  ['a date that is called a tag', `${url}\netag\n${date}`, {}],
  ['nothing behind the address', url, {}],
  ['no value', `${url}\netag`, {}],
  ['another address', `${url}x\netag\n"v1"`, {}],
] as const)
  test(`of an earlier answer is known: ${name}`, async () => {
    assert.deepEqual((await asked({ known: text })).requests[0]?.headers, { 'cache-control': 'max-age=0', ...condition })
  })
