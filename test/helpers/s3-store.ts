import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const s3Account = { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', region: 'eu-test-1' }

export type S3Store = {
  readonly url: string
  readonly objects: Map<string, Buffer>
  /** `PUT KEY` and so on, in their order. */
  readonly log: string[]
  /** So many requests from now on are answered with 503. */
  busy: number
  /** Changes a body on its way. */
  spoil: ((body: Buffer) => Buffer) | undefined
  close(): Promise<void>
}

/** A strict S3-compatible store in memory: signatures (AWS Signature Version 4) and digests are checked, lists have pages of three. */
export async function s3Store(bucket: string): Promise<S3Store> {
  const server = createServer((request, response) => {
    answer(store, bucket, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const store: S3Store = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects: new Map(),
    log: [],
    busy: 0,
    spoil: undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return store
}

async function answer(store: S3Store, bucket: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const sent = Buffer.concat(chunks)
  const body = store.spoil === undefined || request.method !== 'PUT' ? sent : store.spoil(sent)
  const url = new URL(request.url as string, store.url)
  const [, name, ...rest] = url.pathname.split('/')
  const key = decodeURIComponent(rest.join('/'))
  const refuse = (status: number, code: string): void => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>of ${name}</Message></Error>`)
  }
  if (store.busy > 0) {
    store.busy--
    return refuse(503, 'SlowDown')
  }
  if (!isSigned(request, url)) return refuse(403, 'SignatureDoesNotMatch')
  if (request.headers['x-amz-content-sha256'] !== sha256(body)) return refuse(400, 'XAmzContentSHA256Mismatch')
  if (name !== bucket) return refuse(404, 'NoSuchBucket')
  store.log.push(`${request.method} ${key}${key === '' ? (url.searchParams.get('prefix') ?? '') : ''}`)
  if (request.method === 'PUT') store.objects.set(key, body)
  if (request.method === 'DELETE') store.objects.delete(key)
  if (request.method !== 'GET') return void response.writeHead(request.method === 'PUT' ? 200 : 204).end()
  if (key === '') return void response.end(listing(store, url.searchParams))
  const object = store.objects.get(key)
  if (object === undefined) return refuse(404, 'NoSuchKey')
  response.end(object)
}

const pageSize = 3

function listing({ objects }: S3Store, query: URLSearchParams): string {
  const after = query.get('continuation-token') ?? ''
  const keys = [...objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? '') && key > after).toSorted()
  const page = keys.slice(0, pageSize)
  const contents = page.map((key) => {
    const object = objects.get(key) as Buffer
    const tag = createHash('md5').update(object).digest('hex')
    const encoded = encodeURIComponent(key).replaceAll('%2F', '/')
    return `<Contents><Key>${encoded}</Key><Size>${object.length}</Size><ETag>&quot;${tag}&quot;</ETag></Contents>`
  })
  const more = keys.length > pageSize ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
  return `<ListBucketResult><EncodingType>url</EncodingType>${contents.join('')}${more}</ListBucketResult>`
}

/** Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header". */
function isSigned({ method, headers }: IncomingMessage, url: URL): boolean {
  const [, id, date, region, signed, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? []
  if (id !== s3Account.id || region !== s3Account.region || signed === undefined) return false
  const names = signed.split(';')
  if (!['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => names.includes(name))) return false
  const query = [...url.searchParams].map((pair) => pair.map(strict).join('=')).toSorted()
  const lines = names.map((name) => `${name}:${String(headers[name]).trim().replaceAll(/\s+/g, ' ')}\n`)
  const path = decodeURIComponent(url.pathname).split('/').map(strict).join('/')
  const canonical = [method, path, query.join('&'), lines.join(''), signed, headers['x-amz-content-sha256']].join('\n')
  const scope = `${date}/${region}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n')
  const key = [date as string, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${s3Account.secret}`)
  return hmac(key, text).toString('hex') === signature
}

function strict(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
