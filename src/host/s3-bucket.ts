import { AwsV4Signer } from 'aws4fetch'
import { setTimeout as sleep } from 'node:timers/promises'
import { collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { utf8Text } from '../base/utf8-text.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { openExchange } from './http-exchange.ts'
import { proxyFor } from './http-proxy.ts'
import type { IncomingMessage } from 'node:http'
import type { ByteStream } from '../base/bytes.ts'
import type { Sha256 } from '../base/digest.ts'

/** An object as the store lists it. `tag` is the MD5 of its bytes where the store keeps it so. */
export type S3Object = { readonly key: string; readonly size: number; readonly tag: string }

export type S3Content = {
  readonly size: number
  readonly sha256: Sha256
  readonly type: string
  readonly open: () => Promise<ByteStream>
}

/** What of an S3-compatible store a mirror needs (Amazon S3 API Reference, 2006-03-01). Keys are those of the bucket. */
export type S3Bucket = {
  list(prefix: string): Promise<readonly S3Object[]>
  /** Undefined where there is none. */
  get(key: string, limit: number): Promise<Uint8Array | undefined>
  put(key: string, content: S3Content): Promise<void>
  delete(key: string): Promise<void>
}

type Environment = Readonly<Record<string, string | undefined>>

type Account = {
  readonly endpoint: URL
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/**
 * A bucket, by the variables that Amazon's own tools read: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL (default: Amazon's), AWS_REGION or
 * AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. The bucket is part of the path, as every store takes it.
 */
export function s3Bucket(name: string, environment: Environment, signal: AbortSignal | undefined): S3Bucket {
  const store = { account: accountOf(environment), name, environment, signal }
  return {
    list: async (prefix) => await listAll(store, prefix),
    get: async (key, limit) => {
      const answer = await requestWithRetries(store, { path: key })
      if (answer.statusCode === 404) return void (await errorOf(answer, key))
      const bytes = await collectBytes(await must(answer, key), limit)
      if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: key })
      return bytes
    },
    put: async (key, content) => await end(await requestWithRetries(store, { method: 'PUT', path: key, content }), key),
    delete: async (key) => await end(await requestWithRetries(store, { method: 'DELETE', path: key }), key),
  }
}

function accountOf(environment: Environment): Account {
  const [accessKeyId, secretAccessKey] = [environment['AWS_ACCESS_KEY_ID'], environment['AWS_SECRET_ACCESS_KEY']]
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new BinderyError('usage', 'a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment')
  const region = environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? 'us-east-1'
  const given = environment['AWS_ENDPOINT_URL_S3'] ?? environment['AWS_ENDPOINT_URL'] ?? `https://s3.${region}.amazonaws.com`
  const endpoint = URL.parse(given)
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol))
    throw new BinderyError('usage', 'AWS_ENDPOINT_URL takes an http or https URL', { subject: given })
  const sessionToken = environment['AWS_SESSION_TOKEN']
  return { endpoint, region, accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

type BucketStore = {
  readonly account: Account
  readonly name: string
  readonly environment: Environment
  readonly signal: AbortSignal | undefined
}

type Request = {
  readonly method?: 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly content?: S3Content
}

const attempts = 4
const firstPauseMs = 500

/** A store that is busy asks to be asked again (Amazon S3 User Guide, "Error best practices"). */
async function requestWithRetries(store: BucketStore, request: Request): Promise<IncomingMessage> {
  for (let attempt = 1; ; attempt++) {
    const answer = await requestOnce(store, request)
    if (![429, 500, 502, 503].includes(answer.statusCode ?? 0) || attempt === attempts) return answer
    answer.resume()
    await sleep(firstPauseMs * 2 ** (attempt - 1), undefined, { signal: store.signal }).catch(() => store.signal?.throwIfAborted())
  }
}

async function requestOnce({ account, name, environment, signal }: BucketStore, request: Request): Promise<IncomingMessage> {
  const { method, path, query, content } = request
  const base = withoutTrailing(account.endpoint.href, '/')
  const url = new URL([base, name, ...path.split('/')].map((part, index) => (index === 0 ? part : encodeURIComponent(part))).join('/'))
  for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value)
  const { open, headers } = bodyOf(content)
  const signer = new AwsV4Signer({ ...account, service: 's3', method: method ?? 'GET', url: url.href, headers })
  const signed = await signer.sign()
  return await openExchange({
    url: signed.url,
    headers: { 'user-agent': 'bindery', ...Object.fromEntries(signed.headers) },
    answerMs: 60_000,
    signal,
    proxy: proxyFor(url, environment),
    ...(method === undefined ? {} : { method }),
    ...(open === undefined ? {} : { body: open }),
  })
}

const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** The digest is signed along, so that the store refuses what was altered on the way. */
function bodyOf(content: S3Content | undefined): { readonly open?: S3Content['open']; readonly headers: Record<string, string> } {
  if (content === undefined) return { headers: { 'x-amz-content-sha256': emptySha256 } }
  const { size, sha256, type, open } = content
  return { open, headers: { 'x-amz-content-sha256': sha256, 'content-length': String(size), 'content-type': type } }
}

const maxListing = 16 << 20

/** ListObjectsV2, page by page. */
async function listAll(store: BucketStore, prefix: string): Promise<readonly S3Object[]> {
  const objects: S3Object[] = []
  let more: Readonly<Record<string, string>> = {}
  do {
    const query = { 'list-type': '2', 'encoding-type': 'url', prefix, ...more }
    const answer = await requestWithRetries(store, { path: '', query })
    const bytes = await collectBytes(await must(answer, store.name), maxListing)
    if (bytes === undefined) throw new BinderyError('over-limit', `a listing is larger than ${maxListing} bytes`, { subject: store.name })
    const text = utf8Text(bytes)
    for (const [, content] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) objects.push(objectOf(content as string))
    const token = elementOf(text, 'NextContinuationToken')
    more = token === undefined ? {} : { 'continuation-token': token }
  } while ('continuation-token' in more)
  return objects
}

function objectOf(content: string): S3Object {
  const [key, size, tag] = ['Key', 'Size', 'ETag'].map((name) => elementOf(content, name) ?? '') as [string, string, string]
  return { key: decodedKey(key), size: Number(size), tag: tag.replaceAll('"', '') }
}

/** `encoding-type=url`: as in a query. */
function decodedKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch (cause) {
    throw new BinderyError('bad-format', `lists a name that is no UTF-8: ${showLine(key)}`, { cause })
  }
}

function elementOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]
  return text?.replaceAll(/&(quot|apos|lt|gt|amp|#34|#39);/g, (whole, entity: string) => entities[entity] ?? whole)
}

const entities: Readonly<Record<string, string>> = { quot: '"', '#34': '"', apos: "'", '#39': "'", lt: '<', gt: '>', amp: '&' }

async function must(answer: IncomingMessage, subject: string): Promise<ByteStream> {
  if (answer.statusCode === 200 || answer.statusCode === 204) return answer
  throw await errorOf(answer, subject)
}

async function end(answer: IncomingMessage, subject: string): Promise<void> {
  for await (const _ of await must(answer, subject));
}

/** What the store says of it: `<Error><Code>…<Message>…`. */
async function errorOf(answer: IncomingMessage, subject: string): Promise<BinderyError> {
  // Perhaps it is a page of something in between.
  const text = Buffer.from((await collectBytes(answer, 64 << 10)) ?? new Uint8Array(0)).toString('utf8')
  const said = [elementOf(text, 'Code'), elementOf(text, 'Message')].filter((part) => part !== undefined)
  return new BinderyError('network', `the store answered ${answer.statusCode}${said.length === 0 ? '' : `: ${said.join(': ')}`}`, {
    subject,
  })
}
