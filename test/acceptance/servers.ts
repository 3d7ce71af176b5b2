import { spawn } from 'node:child_process'
import { createReadStream, mkdtempSync, rmSync, statSync, writeFileSync, type Stats } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join, normalize, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../helpers/free-port.ts'
import type { AddressInfo } from 'node:net'

/** Web servers that know nothing of bindery, each with other ideas of HTTP. */
export type Site = { readonly url: string; close(): Promise<void> }

export type Habits = { readonly validator: 'etag' | 'last-modified'; readonly ranges: boolean }

/** A static server with just these habits. */
export async function serveWithHabits(folder: string, habits: Habits): Promise<Site> {
  const server = createServer((request, response) => answer(folder, habits, request, response))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close }
}

function answer(folder: string, habits: Habits, request: IncomingMessage, response: ServerResponse): void {
  const file = join(folder, normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname)))
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile()) return void response.writeHead(404).end('<html>not here</html>')
  if (isCurrent(habits, request, stat)) return void response.writeHead(304, validatorOf(habits, stat)).end()
  const range = habits.ranges ? /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') : null
  const start = range === null ? 0 : Number(range[1])
  const end = range === null || range[2] === '' ? stat.size : Math.min(stat.size, Number(range[2]) + 1)
  if (start >= end && stat.size > 0) return void response.writeHead(416, { 'content-range': `bytes */${stat.size}` }).end()
  const headers = { ...validatorOf(habits, stat), 'content-length': end - start }
  if (range === null) response.writeHead(200, headers)
  else response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${end - 1}/${stat.size}` })
  if (stat.size === 0) response.end()
  else createReadStream(file, { start, end: end - 1 }).pipe(response)
}

function isCurrent(habits: Habits, request: IncomingMessage, stat: Stats): boolean {
  const [name, value] = Object.entries(validatorOf(habits, stat))[0] as [string, string]
  return request.headers[name === 'etag' ? 'if-none-match' : 'if-modified-since'] === value
}

function validatorOf(habits: Habits, stat: Stats): Record<string, string> {
  switch (habits.validator) {
    case 'etag':
      return { etag: `"${stat.ino}-${stat.mtimeMs}-${stat.size}"` }
    case 'last-modified':
      return { 'last-modified': stat.mtime.toUTCString() }
  }
}

/** ETag, Last-Modified and ranges. */
export async function serveWithNginx(folder: string): Promise<Site> {
  const port = await freePort()
  const home = mkdtempSync(join(tmpdir(), 'bindery-nginx-'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/${name};`).join(' ')
  const http = `http { access_log off; ${temporary} server { listen 127.0.0.1:${port}; root '${resolve(folder)}'; } }`
  writeFileSync(join(home, 'conf'), `daemon off; master_process off; pid ${home}/pid; events {} ${http}\n`)
  const site = await serveWithProgram('/usr/sbin/nginx', ['-e', 'stderr', '-p', home, '-c', join(home, 'conf')], port)
  return {
    url: site.url,
    close: async () => {
      await site.close()
      rmSync(home, { recursive: true })
    },
  }
}

/** Last-Modified alone, no ranges, HTTP/1.0. */
export async function serveWithPython(folder: string): Promise<Site> {
  const port = await freePort()
  return await serveWithProgram('python3', ['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', resolve(folder)], port)
}

/** Our own: strong entity tags, ranges. */
export async function serveWithBindery(folder: string): Promise<Site> {
  const port = await freePort()
  return await serveWithProgram(resolve('bin/bindery'), ['serve', '-r', resolve(folder), '--listen', `127.0.0.1:${port}`], port)
}

async function serveWithProgram(program: string, args: readonly string[], port: number): Promise<Site> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise((done) => child.once('close', done))
  let talk = ''
  child.stderr.on('data', (chunk: Buffer) => (talk += chunk.toString()))
  const url = `http://127.0.0.1:${port}/`
  while (!(await isUp(url))) {
    if (child.exitCode !== null) throw new Error(`${program}: ${talk}`)
    await sleep(20)
  }
  return {
    url,
    close: async () => {
      child.kill()
      await ended
    },
  }
}

async function isUp(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).arrayBuffer()
    return true
  } catch {
    return false
  }
}
