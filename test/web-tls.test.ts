import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { join } from 'node:path'
import { test } from 'node:test'
import { farmBuilder } from '../src/command/farm-builder.ts'
import { serve } from '../src/command/serve.ts'
import { decodeFarmConfig } from '../src/format/farm-config.ts'
import { hostFarmPost } from '../src/host/farm-post.ts'
import { folderStore } from '../src/host/folder-store.ts'
import { openCertificate, readAuthorities } from '../src/host/server-certificate.ts'
import { startWebServer } from '../src/web/server.ts'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { makeCertificate } from './helpers/certificate.ts'
import { needs } from './helpers/programs.ts'
import { openWorkshop } from './helpers/repository.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import { whileServing } from './helpers/while-serving.ts'
import type { ErrorCode } from '../src/base/error.ts'

/** The certificate that a server shows to whoever believes `ca`. */
async function shown(url: string, ca: string): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', ca: readFileSync(ca) })
  try {
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    return socket.getPeerX509Certificate()?.fingerprint256 ?? ''
  } finally {
    socket.destroy()
  }
}

/** As certbot does: both names mean other files from now on. */
function renew(from: { readonly cert: string; readonly key: string }, to: { readonly cert: string; readonly key: string }): void {
  for (const half of ['cert', 'key'] as const) {
    copyFileSync(from[half], `${to[half]}.new`)
    renameSync(`${to[half]}.new`, to[half])
  }
}

test('a repository is served over TLS; a renewed certificate is taken, and a broken one is not', needs('openssl'), async () => {
  await inTemporary(async (folder) => {
    const repo = join(folder, 'repo')
    await openWorkshop(folderStore(repo))
    const live = makeCertificate(folder)
    const [first, next] = [makeCertificate(folder, 'first-'), makeCertificate(folder, 'next-')]
    renew(first, live)
    const words = ['-r', repo, '--listen', '127.0.0.1:0', '--tls-cert', live.cert, '--tls-key', live.key]
    for (const more of [[], ['--dashboard']]) {
      renew(first, live)
      const said: string[] = []
      await whileServing(
        serve,
        [...words, ...more],
        async (url) => {
          assert.match(url, /^https:/)
          const before = await shown(url, first.cert)
          const post = hostFarmPost(url, {}, readAuthorities(first.cert))
          const call = { target: '/none', headers: {}, body: utf8(''), answerMs: 5000, signal: new AbortController().signal }
          assert.ok((await post(call)).status >= 400)
          renew(next, live)
          const after = await shown(url, next.cert)
          assert.notEqual(after, before)
          writeFileSync(live.cert, 'no certificate\n')
          assert.equal(await shown(url, next.cert), after)
          assert.equal(await shown(url, next.cert), after)
        },
        said,
      )
      assert.deepEqual(
        said.map((line) => line.replace(/^.*\/cert\.pem: /, '')),
        ['a new certificate', 'is no certificate (PEM); the certificate before stays'],
      )
    }
  })
})

test('who is not vouched for is not believed', needs('openssl'), async () => {
  await inTemporary(async (folder) => {
    const [one, other] = [makeCertificate(folder, 'one-'), makeCertificate(folder, 'other-')]
    const tls = openCertificate({ certificate: one.cert, key: one.key }, assert.fail)
    const server = await startWebServer({ host: '127.0.0.1', port: 0, modules: [], tls })
    try {
      const call = { target: '/', headers: {}, body: utf8(''), answerMs: 5000, signal: new AbortController().signal }
      for (const authorities of [undefined, readAuthorities(other.cert)])
        await assert.rejects(hostFarmPost(server.url, {}, authorities)(call), (error) => isBinderyError(error, 'network'))
      assert.equal((await hostFarmPost(server.url, {}, readAuthorities(one.cert))(call)).status, 404)
    } finally {
      await server.close()
    }
  })
})

test('files that are no certificate, no key of it, or no secret are told by name', needs('openssl'), async () => {
  await inTemporary(async (folder) => {
    const [one, other] = [makeCertificate(folder, 'one-'), makeCertificate(folder, 'other-')]
    const text = join(folder, 'text')
    writeFileSync(text, 'nothing\n', { mode: 0o600 })
    mkdirSync(join(folder, 'dir'))
    const refused = (certificate: string, key: string, code: ErrorCode, subject: string): void =>
      assert.throws(
        () => openCertificate({ certificate, key }, assert.fail),
        (error) => isBinderyError(error, code) && error.subject === subject,
      )
    refused(text, one.key, 'bad-format', text)
    refused(one.cert, text, 'bad-format', text)
    refused(one.cert, other.key, 'wrong-key', other.key)
    refused(join(folder, 'none'), one.key, 'not-found', join(folder, 'none'))
    refused(join(folder, 'dir'), one.key, 'wrong-type', join(folder, 'dir'))
    chmodSync(one.key, 0o644)
    refused(one.cert, one.key, 'permission', one.key)
    chmodSync(one.key, 0o640)
    openCertificate({ certificate: one.cert, key: one.key }, assert.fail)
  })
})

test('halves of it are refused', async () => {
  const half = await runCommand(serve, ['-r', 'repo', '--tls-cert', 'cert.pem'])
  assert.ok(isBinderyError(half.error))
  const ca = await runCommand(farmBuilder, ['http://127.0.0.1:1', '--ca', 'cert.pem', '-s', 'x', '-p', 'y'])
  assert.ok(isBinderyError(ca.error, 'usage'), String(ca.error))
  assert.throws(
    () =>
      decodeFarmConfig(
        utf8('key = "k"\n[branch.a]\nrelease = "7.6"\ngit = "g"\nfrom = "a"\nto = "b"\narchs = ["amd64"]\n[web]\nkey = "k"\n'),
      ),
    (error) => isBinderyError(error, 'bad-format'),
  )
})
