import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { closeStream, collectBytes, emptyBytes, fromUtf8, utf8 } from '../src/base/bytes.ts'
import { hostHttp } from '../src/host/http.ts'
import { proxyFor } from '../src/host/http-proxy.ts'
import { memoryHttp } from '../src/host/memory-http.ts'
import { httpConformance } from './conformance/http.ts'
import { answers, cutsAfter, drips, hangs, hostileServer, stallsAfter } from './helpers/hostile-server.ts'
import { serveSite } from './helpers/site.ts'
import type { AddressInfo } from 'node:net'
import type { ByteStream } from '../src/base/bytes.ts'

httpConformance('node', async (pages) => {
  const { base, close } = await serveSite(pages)
  return { http: hostHttp({}), base, close }
})

httpConformance('memory', async (pages) => {
  const base = 'http://site.test'
  const http = memoryHttp(new Map([...pages].map(([path, page]) => [base + path, page])))
  return { http, base, close: async () => {} }
})

httpConformance(
  'file',
  async (pages) => {
    const folder = await mkdtemp(join(tmpdir(), 'bindery-http-'))
    for (const [path, page] of pages) await writeFile(join(folder, path), page.bytes ?? emptyBytes)
    return { http: hostHttp({}), base: pathToFileURL(folder).href, close: async () => await rm(folder, { recursive: true }) }
  },
  true,
)

async function text(stream: ByteStream): Promise<string> {
  return fromUtf8((await collectBytes(stream, 1000)) as Uint8Array)
}

const impatient = { answerMs: 150, idleMs: 150 }

test('a server that never answers is given up', async () => {
  const server = await hostileServer(hangs)
  await assert.rejects(hostHttp({}).get({ url: server.base, timeouts: impatient }), { code: 'network', message: /no answer within 0.15 s/ })
  await server.close()
})

test('a server that falls silent in the middle is given up, and one that drips is not', async () => {
  const content = utf8('0123456789')
  const silent = await hostileServer(stallsAfter(content, 4))
  const response = await hostHttp({}).get({ url: silent.base, timeouts: impatient })
  await assert.rejects(collectBytes(response.body, 100), { code: 'network', message: /silent for 0.15 s/ })
  const dripping = await hostileServer(drips(content, 30))
  const slow = await hostHttp({}).get({ url: dripping.base, timeouts: impatient })
  assert.equal(await text(slow.body), fromUtf8(content))
  await silent.close()
  await dripping.close()
})

test('a reader that takes its time is not taken for a silent server', async () => {
  const site = await serveSite(new Map([['/', { bytes: new Uint8Array(4_000_000) }]]))
  const response = await hostHttp({}).get({ url: `${site.base}/`, timeouts: { answerMs: 1000, idleMs: 60 } })
  let size = 0
  for await (const chunk of response.body) {
    if (size === 0) await new Promise((resolve) => setTimeout(resolve, 200))
    size += chunk.length
  }
  assert.equal(size, 4_000_000)
  await site.close()
})

test('a kept-alive connection that the server has closed is opened again', async () => {
  let served = 0
  const server = await hostileServer((request, socket) => {
    served++
    answers(200, {}, utf8('ok'))(request, socket)
    // The server forgets the connection without a word, as soon as the next request arrives.
    socket.removeAllListeners('data')
    socket.on('data', () => socket.resetAndDestroy())
  })
  const http = hostHttp({})
  for (let i = 0; i < 3; i++) assert.equal(await text((await http.get({ url: server.base })).body), 'ok')
  assert.equal(served, 3)
  await server.close()
})

test('what had come when the connection broke is handed out before the error', async () => {
  for (const sent of [100_000, 300_000, 1_000_000]) {
    const server = await hostileServer(cutsAfter(new Uint8Array(2_000_000), sent))
    after(server.close)
    const response = await hostHttp({}).get({ url: server.base })
    let received = 0
    const read = async (): Promise<void> => {
      for await (const chunk of response.body) {
        received += chunk.length
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await assert.rejects(read(), { code: 'network', message: 'broken off' })
    assert.equal(received, sent)
  }
})

test('an early end and a refused connection are network errors with the URL', async () => {
  const server = await hostileServer(cutsAfter(utf8('0123456789'), 3))
  const response = await hostHttp({}).get({ url: `${server.base}/x` })
  await assert.rejects(collectBytes(response.body, 100), { code: 'network', subject: `${server.base}/x`, message: 'broken off' })
  await server.close()
  await assert.rejects(hostHttp({}).get({ url: server.base }), { code: 'network' })
  await assert.rejects(hostHttp({}).get({ url: 'ftp://x/' }), { code: 'usage' })
})

test('an IPv6 address works', async (context) => {
  const server = createServer((_, response) => response.end('six'))
  const listening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(0, '::1', () => resolve(true))
  })
  if (!listening) return context.skip('no IPv6 here')
  const response = await hostHttp({}).get({ url: `http://[::1]:${(server.address() as AddressInfo).port}/` })
  assert.equal(await text(response.body), 'six')
  server.close()
})

test('plain HTTP goes through the proxy with the whole URL, https through CONNECT', async () => {
  const seen: string[] = []
  const proxy = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? ''}`)
    response.end('from the proxy')
  })
  proxy.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url}`)
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = `http://user:pass%20word@127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const http = hostHttp({ http_proxy: address, https_proxy: address, no_proxy: 'internal.test' })
  const response = await http.get({ url: 'http://repo.test/metadata/timestamp.json' })
  assert.equal(await text(response.body), 'from the proxy')
  await assert.rejects(http.get({ url: 'https://repo.test/x' }), { code: 'network', message: /answered 403/ })
  assert.deepEqual(seen, [`GET http://repo.test/metadata/timestamp.json Basic ${btoa('user:pass word')}`, 'CONNECT repo.test:443'])
  proxy.closeAllConnections()
  proxy.close()
})

test('a password for the proxy that is no URL text is told as such', async () => {
  const address = 'http://user:100%@127.0.0.1:9'
  const http = hostHttp({ http_proxy: address, https_proxy: address })
  for (const url of ['http://repo.test/x', 'https://repo.test/x'])
    await assert.rejects(http.get({ url }), { code: 'usage', subject: '127.0.0.1:9', hint: 'in its URL a % is written %25' })
})

test('a CONNECT tunnel carries TLS to the host itself', async () => {
  const target = await hostileServer(hangs)
  const port = new URL(target.base).port
  const proxy = createServer()
  let firstByte: number | undefined
  proxy.on('connect', (_, socket) => {
    const upstream = connect(Number(port), '127.0.0.1')
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.on('data', (data: Buffer) => {
      firstByte ??= data[0]
      upstream.end()
      socket.destroy()
    })
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const http = hostHttp({ https_proxy: `127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  await assert.rejects(http.get({ url: `https://127.0.0.1:${port}/` }), { code: 'network' })
  assert.equal(firstByte, 0x16, 'a TLS handshake record')
  proxy.close()
  await target.close()
})

test('the proxy is chosen as curl chooses it', () => {
  const choose = (url: string, environment: Record<string, string>): string | undefined => proxyFor(new URL(url), environment)?.host
  assert.equal(choose('http://a.test/', {}), undefined)
  assert.equal(choose('http://a.test/', { http_proxy: 'p:1' }), 'p:1')
  assert.equal(choose('http://a.test/', { HTTP_PROXY: 'p:1' }), undefined)
  assert.equal(choose('https://a.test/', { HTTPS_PROXY: 'http://p:1/' }), 'p:1')
  assert.equal(choose('http://a.test/', { all_proxy: 'p:1' }), 'p:1')
  for (const list of ['*', 'a.test', '.test', '*.test', 'x, a.test:80', 'test']) {
    assert.equal(choose('http://a.test/', { http_proxy: 'p:1', no_proxy: list }), undefined, list)
  }
  for (const list of ['', 'b.test', 'st', 'a.test:81'])
    assert.equal(choose('http://a.test/', { http_proxy: 'p:1', no_proxy: list }), 'p:1', list)
  assert.throws(() => choose('http://a.test/', { http_proxy: 'socks5://p:1' }), { code: 'not-supported' })
})

test('an answer that nobody reads closes its connection', async () => {
  let closed = false
  const server = await hostileServer((request, socket) => {
    socket.on('close', () => (closed = true))
    stallsAfter(utf8('0123456789'), 1)(request, socket)
  })
  const response = await hostHttp({}).get({ url: server.base })
  await closeStream(response.body)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(closed, true)
  await server.close()
})

test('a stop ends an exchange at once, before and within the answer', async () => {
  const reason = new Error('stopped by the test')
  for (const mischief of [hangs, stallsAfter(utf8('0123456789'), 3)]) {
    const server = await hostileServer(mischief)
    const controller = new AbortController()
    setTimeout(() => controller.abort(reason), 100)
    const reading = async (): Promise<void> => {
      const response = await hostHttp({}).get({ url: server.base, signal: controller.signal })
      for await (const _ of response.body);
    }
    await assert.rejects(reading(), reason)
    await assert.rejects(hostHttp({}).get({ url: server.base, signal: controller.signal }), reason)
    await server.close()
  }
})
