import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer as createPlainServer } from 'node:http'
import { createServer } from 'node:https'
import { connect } from 'node:net'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { makeCertificate } from './helpers/certificate.ts'
import { needs } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:http'

async function listen(server: Server): Promise<number> {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return (server.address() as AddressInfo).port
}

/** What the host's client says in a process of its own: the trusted certificates are read at its start. */
async function get(url: string, environment: Readonly<Record<string, string>>): Promise<string> {
  const script = `
    const { hostHttp } = await import(${JSON.stringify(resolve('src/host/http.ts'))})
    try {
      const response = await hostHttp().get({ url: ${JSON.stringify(url)} })
      for await (const chunk of response.body) process.stdout.write(chunk)
    } catch (error) {
      process.stdout.write(error.code + ': ' + error.message)
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const parts: Buffer[] = []
  for await (const chunk of child.stdout) parts.push(chunk as Buffer)
  return Buffer.concat(parts).toString()
}

test('https is checked against the known authorities, directly and through a proxy', needs('openssl'), async () => {
  await inTemporary(async (folder) => {
    const { key, cert } = makeCertificate(folder)
    const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
      if (request.url === '/down') response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
      else response.end(`safe at ${String(request.headers.host)}`)
    })
    const proxy = createPlainServer()
    let tunnels = 0
    proxy.on('connect', (request, socket) => {
      tunnels++
      const [host, port] = (request.url ?? '').split(':') as [string, string]
      const upstream = connect(Number(port), host === 'localhost' ? '127.0.0.1' : host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        upstream.pipe(socket).pipe(upstream)
      })
      for (const end of [upstream, socket]) end.on('error', () => {})
    })
    const [port, proxyPort] = [await listen(server), await listen(proxy)]
    const trusting = { NODE_EXTRA_CA_CERTS: cert }
    const proxied = { ...trusting, https_proxy: `http://127.0.0.1:${proxyPort}` }
    assert.equal(await get(`https://127.0.0.1:${port}/`, trusting), `safe at 127.0.0.1:${port}`)
    assert.equal(await get(`https://localhost:${port}/`, proxied), `safe at localhost:${port}`)
    assert.equal(tunnels, 1)
    assert.match(await get(`https://127.0.0.1:${port}/`, {}), /^network: self-signed certificate/)
    assert.match(await get(`https://127.0.0.1:${port}/down`, trusting), /^network: redirected from https: to http:/)
    for (const one of [server, proxy]) one.closeAllConnections()
    server.close()
    proxy.close()
  })
})
