import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startProcess } from '../src/host/fetcher-process.ts'
import { hostFetcher } from '../src/host/fetcher.ts'
import { httpConformance } from './conformance/http.ts'
import { noise } from './helpers/noise.ts'
import { holderOf, processFacts, until } from './helpers/process-facts.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { serveSite } from './helpers/site.ts'
import type { ChildProcess } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import type { ServerResponse } from 'node:http'
import type { ProcessFacts } from './helpers/process-facts.ts'

/** Who talks to the network, and who reads what is not verified, when root runs a verb: read from /proc in the middle of it. */

const work = mkdtempSync(join(tmpdir(), 'bindery-fetcher-'))
const nobody = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }))
const other = {
  user: undefined,
  proxies: {},
  process: () => startProcess([resolve('bin/start.cjs'), '--fetcher']),
  say: (): void => {},
}

type Result = { readonly status: number | null; readonly out: string; readonly talk: string }
type Run = { readonly child: ChildProcess; readonly result: Promise<Result> }

function start(
  words: readonly string[],
  options: { readonly env?: Record<string, string>; readonly uid?: number; readonly via?: readonly string[] } = {},
): Run {
  const { env, uid, via = [] } = options
  const [program = '', ...rest] = [...via, resolve('bin/bindery'), ...words]
  const user = uid === undefined ? {} : { uid, gid: uid }
  const child = spawn(program, rest, {
    cwd: work,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...user,
  })
  const texts = { out: '', talk: '' }
  child.stdout.on('data', (chunk: Buffer) => (texts.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (texts.talk += chunk.toString()))
  return { child, result: new Promise((done) => child.once('close', (status) => done({ status, ...texts }))) }
}

async function run(words: readonly string[], options: Parameters<typeof start>[1] = {}): Promise<Result> {
  return await start(words, options).result
}

async function good(...words: readonly string[]): Promise<string> {
  const { status, out, talk } = await run(words)
  assert.equal(status, 0, `${words.join(' ')}\n${talk}`)
  return out
}

/** The repository, each request of which a test may look at while it waits, and answer otherwise. */
let base = ''
let closeServer = (): void => {}
type Stage = { readonly path: string; readonly port: number; readonly response: ServerResponse; send(bytes: Uint8Array): void }
let onRequest: (stage: Stage) => void | Promise<void> = () => {}

function serve(): void {
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    void (async () => {
      const file = join(work, 'repo', path)
      const send = (bytes: Uint8Array): void => void response.writeHead(200, { 'content-length': String(bytes.length) }).end(bytes)
      await onRequest({ path, port: request.socket.remotePort ?? 0, response, send })
      if (response.headersSent) return
      if (existsSync(file)) send(readFileSync(file))
      else response.writeHead(404).end()
    })()
  })
  server.listen(0, '127.0.0.1', () => (base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`))
  closeServer = () => {
    server.closeAllConnections()
    server.close()
  }
}

async function publish(revision: string): Promise<void> {
  mkdirSync(join(work, `r${revision}/etc`), { recursive: true })
  mkdirSync(join(work, `r${revision}/var/db`), { recursive: true })
  writeFileSync(join(work, `r${revision}/etc/release`), `${revision}\n`)
  if (revision !== '1.0') writeFileSync(join(work, `r${revision}/large`), noise(2_000_000, 1).content)
  await good(
    'cut',
    `r${revision}`,
    '-o',
    `${revision}.tar.zst`,
    '--product',
    'base',
    '--revision',
    revision,
    '--date',
    '20260101',
    '--arch',
    'amd64',
  )
  await good('publish', '-r', 'repo', '-k', 'keys', `${revision}.tar.zst`)
}

let machines = 0
/** A machine with the release 1.0, as of a time when it was the newest. */
function machine(): string {
  const root = `m${++machines}`
  cpSync(join(work, 'enrolled'), join(work, root), { recursive: true })
  return root
}

/** Runs a verb and answers who asked for paths of this kind. */
async function holders(
  pattern: RegExp,
  words: readonly string[],
  options: Parameters<typeof start>[1] = {},
): Promise<readonly ProcessFacts[]> {
  const found: ProcessFacts[] = []
  onRequest = ({ path, port }) => {
    const holder = pattern.test(path) ? holderOf(port) : undefined
    if (holder !== undefined) found.push(holder)
  }
  const { status, talk } = await run(words, options)
  assert.equal(status, 0, talk)
  assert.ok(found.length > 0)
  return found
}

describe('as root', { ...needs('setpriv'), ...needsRoot() }, () => {
  before(async () => {
    chmodSync(work, 0o755)
    serve()
    await good('init', '-r', 'repo', '-k', 'keys', '--no-passphrase')
    await publish('1.0')
    cpSync(join(work, 'r1.0'), join(work, 'enrolled'), { recursive: true })
    await good('-C', 'enrolled', 'enroll', base, 'repo/metadata/1.root.json', 'base/amd64')
    await publish('1.1')
  })

  after(() => {
    closeServer()
    shared.end()
    rmSync(work, { recursive: true })
  })

  const shared = hostFetcher(other)
  httpConformance('fetcher', async (pages) => {
    const { base: at, close } = await serveSite(pages)
    return { http: shared.http, base: at, close }
  })

  test('metadata and blobs come through a process that may do nothing', async () => {
    const seen = await holders(/./, ['-C', machine(), 'install'])
    assert.ok(seen.length >= 5)
    for (const { uids, gids, groups, capabilities, noNewPrivs, open } of seen) {
      const ids = Array.from({ length: 4 }, () => nobody).join('\t')
      assert.deepEqual([uids, groups, Number(`0x${capabilities}`), noNewPrivs], [ids, '', 0, '1'])
      assert.ok(!gids.split('\t').includes('0'))
      // Nothing that root has opened but three pipes to it; the rest is the runtime's own.
      assert.deepEqual(
        open.filter((what) => !/^(?:socket|pipe|anon_inode):|^\/dev\/null$/.test(what)),
        [],
      )
    }
    assert.equal(new Set(seen.map(({ pid }) => pid)).size, 1)
  })

  /** Forwards what is asked with a whole URL; `seen` are the URLs, `askers` who asked. */
  async function proxyServer(): Promise<{ readonly port: number; readonly seen: string[]; readonly askers: Set<string>; close(): void }> {
    const [seen, askers]: [string[], Set<string>] = [[], new Set()]
    const server = createServer((request, response) => {
      const url = request.url ?? ''
      seen.push(url)
      askers.add(holderOf(request.socket.remotePort ?? 0)?.uids.split('\t')[0] ?? 'unknown')
      // A tunnel is asked for with a name alone.
      if (!url.startsWith('http://')) return void response.writeHead(400).end()
      get(url, { headers: request.headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
    })
    const tunnels = (host: string | undefined): void => void seen.push(`CONNECT ${host}`)
    server.on('connect', (request, socket) => (tunnels(request.url), socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')))
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const close = (): void => {
      server.closeAllConnections()
      server.close()
    }
    return { port: (server.address() as AddressInfo).port, seen, askers, close }
  }

  test('it goes through the proxy of bindery.conf, or else of the environment, unless the host is exempt', async () => {
    onRequest = () => {}
    const proxy = await proxyServer()
    try {
      const address = `http://127.0.0.1:${proxy.port}`
      const through = async (conf: string, env: Record<string, string>): Promise<boolean> => {
        proxy.seen.length = 0
        writeFileSync(join(work, 'proxy.conf'), conf)
        const { status, talk } = await run(['-C', machine(), '-f', 'proxy.conf', 'check'], { env })
        assert.equal(status, 0, talk)
        assert.ok(proxy.seen.every((url) => url.startsWith(base)))
        // The record of the new release is a blob.
        return proxy.seen.some((url) => url.endsWith('/timestamp.json')) && proxy.seen.some((url) => url.includes('/blobs/'))
      }
      assert.ok(await through('', { http_proxy: address }))
      assert.ok(await through(`proxy ${address}\n`, { http_proxy: 'http://127.0.0.1:9' }))
      assert.ok(!(await through('proxy none\n', { http_proxy: address })))
      assert.ok(!(await through(`proxy ${address}\nno-proxy 127.0.0.1\n`, {})))
      assert.ok(!(await through('', { http_proxy: address, no_proxy: '127.0.0.1' })))
      assert.deepEqual([...proxy.askers], [String(nobody)])
    } finally {
      proxy.close()
    }
  })

  test('of https it asks the proxy for a tunnel, and tells what the proxy says', async () => {
    const proxy = await proxyServer()
    const root = machine()
    try {
      writeFileSync(join(work, 'proxy.conf'), `proxy http://127.0.0.1:${proxy.port}\nmirror https://updates.test/\n`)
      onRequest = ({ response }) => void response.writeHead(503).end()
      const { status, talk } = await run(['-C', root, '-f', 'proxy.conf', '-v', 'check'])
      assert.equal(status, 1)
      assert.match(talk, /https:\/\/updates\.test\/metadata\/timestamp\.json: the proxy 127\.0\.0\.1:\d+ answered 403; going on with/)
      assert.ok(proxy.seen.includes('CONNECT updates.test:443'))
    } finally {
      proxy.close()
    }
  })

  test('a rate limit holds, and makes nobody who is held back slow', async () => {
    onRequest = () => {}
    const rate = 800_000
    writeFileSync(join(work, 'rate.conf'), `rate-limit ${rate}\nminimum-rate ${2 * rate}\nrate-window 1\nidle-timeout 1\n`)
    const root = machine()
    const started = performance.now()
    const { status, talk } = await run(['-C', root, '-f', 'rate.conf', '-v', 'fetch'])
    assert.equal(status, 0, talk)
    assert.doesNotMatch(talk, /going on with|slower than/)
    const bytes = globSync(join(work, root, 'var/db/bindery/cache/*')).reduce((sum, file) => sum + statSync(file).size, 0)
    assert.ok(bytes > 1_900_000)
    // A machine that is busy only makes it longer.
    assert.ok(performance.now() - started >= (1000 * 1_900_000) / rate)
  })

  test('for others than root nothing changes, nor where fetch-user is none', async () => {
    const root = machine()
    writeFileSync(join(work, 'none.conf'), 'fetch-user none\n')
    const [asNobody] = await holders(/timestamp/, ['-C', root, 'check'], { uid: nobody })
    const [asRoot] = await holders(/timestamp/, ['-C', root, '-f', 'none.conf', 'check'])
    assert.equal(asNobody?.uids.split('\t')[0], String(nobody))
    assert.equal(asRoot?.uids.split('\t')[0], '0')
    assert.equal(asNobody.noNewPrivs, '0')
  })

  /** Reads along in every process of ours, and behaves as a parser would that somebody has taken over. */
  function hookFor(target: string): string {
    const hook = join(work, `hook${machines}.cjs`)
    const lines = [
      `const decode = TextDecoder.prototype.decode`,
      `TextDecoder.prototype.decode = function (bytes, ...more) {`,
      `  const text = decode.call(this, bytes, ...more)`,
      `  if (/"signatures"/.test(text)) {`,
      `    const kind = /forged/.test(text) ? 'forged' : 'good'`,
      `    let result = 'wrote'`,
      `    if (process.getuid() !== 0) try { require('fs').writeFileSync(${JSON.stringify(target)}, text) } catch (error) { result = error.code }`,
      `    process.stderr.write('hook ' + kind + ' ' + process.getuid() + ' ' + result + '\\n')`,
      `  }`,
      `  return text`,
      `}`,
    ]
    writeFileSync(hook, lines.join('\n'))
    return hook
  }

  const hookLines = (talk: string, pattern: RegExp): readonly string[] =>
    talk
      .split('\n')
      .flatMap((line) => /hook .*/.exec(line)?.[0] ?? [])
      .filter((line) => pattern.test(line))

  test('what is not signed is parsed by that process alone, and a parser that was taken over can write nothing', async () => {
    const root = machine()
    const state = join(work, root, 'var/db/bindery')
    const target = join(state, 'trust/planted')
    const hook = hookFor(target)
    const before = readdirSync(state, { recursive: true })
    onRequest = ({ path, send }) => {
      if (path.endsWith('timestamp.json'))
        send(Buffer.from(readFileSync(join(work, 'repo/metadata/timestamp.json'), 'utf8').replace(/"version"/, '"forged":1,"version"')))
    }
    // The runtime refuses it; where that is got round, the system does.
    const willing = '--permission --allow-fs-read=* --allow-fs-write=* --allow-child-process'
    for (const [flags, refusal] of [
      ['', 'ERR_ACCESS_DENIED'],
      [willing, 'EACCES'],
    ]) {
      const { status, talk } = await run(['-C', root, 'check'], { env: { NODE_OPTIONS: `${flags} --require ${hook}` } })
      assert.equal(status, 3, talk)
      assert.match(talk, /signature/)
      const forged = hookLines(talk, /forged/)
      assert.ok(forged.length > 0, talk)
      assert.deepEqual([...new Set(forged)], [`hook forged ${nobody} ${refusal}`])
      assert.ok(!existsSync(target))
    }
    assert.deepEqual(readdirSync(state, { recursive: true }), before)
    // Root does read what has passed there.
    onRequest = () => {}
    const { status, talk } = await run(['-C', root, 'check'], { env: { NODE_OPTIONS: `--require ${hook}` } })
    assert.equal(status, 0, talk)
    assert.ok(hookLines(talk, /good 0/).length > 0)
  })

  /** Starts a fetch and stops the server in the middle of the large file. */
  async function inTheMiddle(root: string): Promise<Run & { readonly holder: ProcessFacts }> {
    const reached = Promise.withResolvers<ProcessFacts | undefined>()
    onRequest = ({ path, port, response }) => {
      const file = join(work, 'repo', path)
      if (!existsSync(file) || statSync(file).size < 1_000_000) return
      response.writeHead(200, { 'content-length': String(statSync(file).size), etag: '"x"' })
      response.write(readFileSync(file).subarray(0, 500_000), () => reached.resolve(holderOf(port)))
    }
    const running = start(['-C', root, 'fetch'])
    const holder = await reached.promise
    assert.ok(holder !== undefined)
    assert.notEqual(holder.pid, running.child.pid)
    return { ...running, holder }
  }

  const parts = (root: string): readonly string[] => globSync(join(work, root, 'var/db/bindery/cache/*.part'))

  test('when it is killed the verb fails in one line, and the next one goes on', async () => {
    const root = machine()
    const { holder, result } = await inTheMiddle(root)
    await until(() => parts(root).some((part) => statSync(part).size > 0))
    process.kill(holder.pid, 'SIGKILL')
    const { status, talk } = await result
    assert.deepEqual([status, talk], [1, 'bindery: fetch: the process that fetches (user nobody) ended: SIGKILL\n'])
    onRequest = () => {}
    await good('-C', root, 'fetch')
    assert.deepEqual(parts(root), [])
  })

  for (const toAll of [false, true]) {
    test(`Ctrl-C ends both, sent to ${toAll ? 'the whole group, as by a terminal' : 'the verb alone'}`, async () => {
      const { child, holder, result } = await inTheMiddle(machine())
      process.kill(toAll ? -(child.pid as number) : (child.pid as number), 'SIGINT')
      const { status, talk } = await result
      assert.deepEqual([status, talk], [1, 'bindery: fetch: stopped by SIGINT\n'])
      await until(() => processFacts(holder.pid) === undefined)
    })
  }

  test('it ends when root is killed', async () => {
    const { child, holder } = await inTheMiddle(machine())
    child.kill('SIGKILL')
    await until(() => processFacts(holder.pid) === undefined)
  })

  test('an account that cannot be used is a refusal that says what to do', async () => {
    const root = machine()
    onRequest = () => assert.fail('nobody asks')
    const refused = async (conf: string, status: number, message: RegExp, via: readonly string[] = []): Promise<void> => {
      writeFileSync(join(work, 'some.conf'), conf)
      const result = await run(['-C', root, '-f', 'some.conf', 'check'], { via })
      assert.deepEqual([result.status, message.test(result.talk)], [status, true], result.talk)
    }
    await refused('fetch-user nosuchuser\n', 1, /no user nosuchuser to fetch as\nbindery: hint: .*fetch-user/)
    await refused('fetch-user root\n', 2, /root: is root/)
    await refused('fetch-user ../x\n', 2, /line 1: '\.\.\/x' is no name of a user/)
    const without = ['setpriv', '--bounding-set=-setuid,-setgid', '--inh-caps=-setuid,-setgid']
    await refused('\n', 1, /may not give up root\nbindery: hint: 'fetch-user none'/, without)
    // What asks no network needs no account.
    writeFileSync(join(work, 'some.conf'), 'fetch-user nosuchuser\n')
    await good('-C', root, '-f', 'some.conf', 'list')
  })

  test('a repository in a folder that is root’s alone is read by root, and looked at there', async () => {
    const root = machine()
    cpSync(join(work, 'repo'), join(work, 'private/repo'), { recursive: true })
    chmodSync(join(work, 'private'), 0o700)
    onRequest = () => assert.fail('nobody asks')
    const hook = hookFor('/nowhere')
    const url = `file://${join(work, 'private/repo')}/`
    const words = ['-C', root, 'enroll', '--force', url, 'repo/metadata/1.root.json', 'base/amd64']
    const { status, talk } = await run(words, { env: { NODE_OPTIONS: `--require ${hook}` } })
    assert.equal(status, 0, talk)
    assert.ok(hookLines(talk, new RegExp(`good ${nobody}`)).length > 0, talk)
    assert.match(await good('-C', root, 'check'), /base-1\.1/)
  })
})
