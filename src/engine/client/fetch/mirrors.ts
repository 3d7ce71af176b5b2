import { closeStream, collectBytes } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { isAbsent, request } from './request.ts'
import type { HttpResponse } from '../../../port/http.ts'
import type { MetadataSource, SourceAnswer } from '../../repo/trust-types.ts'
import type { Requester } from './request.ts'

/** The metadata of one repository or mirror. Whoever has several asks them one after the other (open-trust.ts). */
export function metadataSource(session: Requester, base: string): MetadataSource {
  return {
    fetch: async (file, limit, ifChangedFrom) => {
      const url = `${base}metadata/${file}`
      const known = ifChangedFrom === undefined ? undefined : decodeValidator(ifChangedFrom, url)
      const response = await request(session, url, { headers: { ...revalidate, ...conditionOf(known) } })
      return await answerOf(response, url, limit, known)
    },
  }
}

/** Caches on the way have to ask the server: a shared cache must not freeze a client. */
const revalidate = { 'cache-control': 'max-age=0' }

async function answerOf(response: HttpResponse, url: string, limit: number, known: Validator | undefined): Promise<SourceAnswer> {
  if (response.status === 200) return await bytesOf(response, url, limit)
  await closeOrDrain(response)
  if (response.status === 304 && known !== undefined) return { kind: 'unchanged' }
  if (isAbsent(response)) return { kind: 'absent' }
  throw new BinderyError('network', `answered ${response.status}`, { subject: url })
}

async function bytesOf(response: HttpResponse, url: string, limit: number): Promise<SourceAnswer> {
  const bytes = await collectBytes(response.body, limit)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: url })
  // A portal or an error page with status 200 is the mirror's failure, not an attack on the signatures.
  if (!looksLikeJson(bytes)) throw new BinderyError('network', 'answered something else than metadata', { subject: url })
  const etag = encodeValidator(response, url)
  return { kind: 'bytes', bytes, ...(etag === undefined ? {} : { etag }) }
}

function looksLikeJson(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)
  return first === 0x7b
}

/** A short body is read, so that the connection can be used again. */
async function closeOrDrain(response: HttpResponse): Promise<void> {
  const length = Number(response.headers['content-length'] ?? 0)
  if (response.status === 304 || length <= 4096) await collectBytes(response.body, 4096)
  else await closeStream(response.body)
}

/** What an earlier answer can be recognised by. It only means something for the URL that gave it. */
type Validator = { readonly kind: 'etag' | 'date'; readonly value: string }

export function conditionOf(known: Validator | undefined): Readonly<Record<string, string>> {
  if (known === undefined) return {}
  return known.kind === 'etag' ? { 'if-none-match': known.value } : { 'if-modified-since': known.value }
}

export function validatorOf(headers: Readonly<Record<string, string>>): Validator | undefined {
  const etag = headers['etag']
  if (etag !== undefined && /^(?:W\/)?"[\u0021\u0023-\u007e]{0,256}"$/.test(etag)) return { kind: 'etag', value: etag }
  const date = headers['last-modified']
  return date !== undefined && /^[A-Za-z0-9 ,:+-]{1,64}$/.test(date) ? { kind: 'date', value: date } : undefined
}

function encodeValidator(response: HttpResponse, url: string): string | undefined {
  const validator = validatorOf(response.headers)
  return validator === undefined ? undefined : `${url}\n${validator.kind}\n${validator.value}`
}

function decodeValidator(text: string, url: string): Validator | undefined {
  const [from, kind, value] = text.split('\n')
  if (from !== url || value === undefined) return undefined
  return validatorOf(kind === 'etag' ? { etag: value } : { 'last-modified': value })
}
