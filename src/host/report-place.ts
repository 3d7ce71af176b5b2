import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collectBytes, latin1, oneChunk } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { toolError } from './disk-tools.ts'
import { bodyOf } from './http.ts'
import { openExchange } from './http-exchange.ts'
import { proxyFor } from './http-proxy.ts'
import { writeFileAtomically } from './source.ts'
import type { ReportPlace } from '../format/report-place.ts'
import type { Exec } from '../port/exec.ts'
import type { ProxyEnvironment } from './http-proxy.ts'

export type ReportWorld = { readonly exec: Exec; readonly environment: ProxyEnvironment; readonly signal: AbortSignal }

/** Leaves a file there, in the place of the one of that name; throws where that fails. */
export async function leaveReport(place: ReportPlace, file: string, bytes: Uint8Array, world: ReportWorld): Promise<void> {
  switch (place.kind) {
    case 'folder':
      return void (await writeFileAtomically(join(place.folder, file), oneChunk(bytes)))
    case 'post':
      return await post(place.url, bytes, world)
    case 'rsync':
      return await sendByRsync(place.place, file, bytes, world)
  }
}

const answerMs = 30_000
const maxAnswer = 64 << 10

async function post(address: string, bytes: Uint8Array, { environment, signal }: ReportWorld): Promise<void> {
  const url = new URL(address)
  const headers = { 'user-agent': 'bindery', 'content-type': 'application/octet-stream', 'content-length': String(bytes.length) }
  const body = async (): Promise<ReturnType<typeof oneChunk>> => await Promise.resolve(oneChunk(bytes))
  const message = await openExchange({ method: 'POST', url, headers, body, answerMs, signal, proxy: proxyFor(url, environment) })
  const answer = await collectBytes(bodyOf(message, { url: url.origin, idleMs: answerMs, signal }), maxAnswer)
  const status = message.statusCode ?? 0
  if (status >= 200 && status <= 299) return
  const isText = message.headers['content-type']?.startsWith('text/plain') === true
  const said = isText && answer !== undefined ? `: ${latin1(answer).split('\n')[0] ?? ''}` : ''
  // The address may hold a secret.
  throw new BinderyError('network', `answers with status ${status}${said}`, { subject: url.origin })
}

async function sendByRsync(place: string, file: string, bytes: Uint8Array, { exec }: ReportWorld): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bindery-report-'))
  try {
    await writeFileAtomically(join(folder, file), oneChunk(bytes))
    const result = await exec.run('rsync', ['-t', '--chmod=F644', '--timeout=30', join(folder, file), `${withoutTrailing(place, '/')}/`])
    if (result.status !== 0) throw toolError('rsync', result, place)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
