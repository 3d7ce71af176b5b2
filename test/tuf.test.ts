import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { initializeTUFRepo, tufHandlers } from '@tufjs/repo-mock'
import { Updater } from 'tuf-js'
import { sha256 } from '../src/base/digest.ts'
import { utf8 } from '../src/base/bytes.ts'
import { tuf } from '../src/command/tuf.ts'
import { day, simulate } from './helpers/tuf-simulator.ts'
import { ed25519Signer, signerOf } from './helpers/tuf-signers.ts'
import { runCommand } from './helpers/run-command.ts'
import { serveSite } from './helpers/site.ts'
import type { Page } from '../src/host/memory-http.ts'
import type { Simulator } from './helpers/tuf-simulator.ts'

/** The `tuf` verb over real HTTP, and peers: what tuf-js serves is read by us, what we write is read by tuf-js. */

const folder = mkdtempSync(join(tmpdir(), 'bindery-tuf-'))
after(() => rmSync(folder, { recursive: true }))

let clients = 0

type Adapter = {
  readonly metadata: string
  readonly targets: string
  run(...words: readonly string[]): Promise<number | null>
  files(): string[]
}

/** The adapter with folders of its own. */
function adapter(base: string): Adapter {
  const home = join(folder, String(clients++))
  const metadata = join(home, 'metadata')
  const targets = join(home, 'targets')
  for (const path of [metadata, targets]) mkdirSync(path, { recursive: true })
  const flags = [
    '--metadata-dir',
    metadata,
    '--metadata-url',
    `${base}/metadata`,
    '--target-base-url',
    `${base}/targets/`,
    '--target-dir',
    targets,
  ]
  const run = (...words: readonly string[]): Promise<number | null> => {
    const child = spawn(resolve('bin/bindery'), ['tuf', ...flags, ...words], { stdio: ['ignore', 'inherit', 'ignore'] })
    return new Promise((done) => child.on('close', done))
  }
  return { metadata, targets, run, files: () => readdirSync(metadata).sort() }
}

function rootFile(bytes: Uint8Array | string): string {
  const file = join(folder, `root${clients++}.json`)
  writeFileSync(file, bytes)
  return file
}

/** The simulator's repository as pages, with what its targets hold. */
function pagesOf(sim: Simulator, contents: Readonly<Record<string, string>> = {}): Map<string, Page> {
  const pages = new Map<string, Page>([...sim.files].map(([name, bytes]) => [`/metadata/${name}`, { bytes }]))
  for (const [path, content] of Object.entries(contents)) {
    const at = path.lastIndexOf('/') + 1
    pages.set(`/targets/${path.slice(0, at)}${sha256(utf8(content))}.${path.slice(at)}`, { bytes: utf8(content) })
  }
  return pages
}

/** Expires after the real clock, which the adapter looks at. */
function liveRepository(): Simulator {
  const sim = simulate()
  for (const role of ['root', 'targets', 'snapshot', 'timestamp'] as const)
    sim.edit(role, () => ({ expires: Math.floor(Date.now() / 1000) * 1000 + day }))
  sim.publish('root')
  return sim
}

test('init, refresh and download, with metadata kept as it was served', async (t) => {
  const sim = liveRepository()
  sim.setKeys('root', [ed25519Signer(70), signerOf('ecdsa-sha2-nistp256')], 2)
  sim.setKeys('timestamp', [signerOf('rsassa-pss-sha256')])
  sim.setKeys('snapshot', [signerOf('rsa-pkcs1v15-sha256')])
  sim.delegate('targets', { name: 'team/a', scope: { kind: 'paths', patterns: ['a/*'] } })
  const contents = { 'top file': 'at the top', 'a/b': 'delegated' }
  sim.addTarget('targets', 'top file', contents['top file'])
  sim.addTarget('team/a', 'a/b', contents['a/b'])
  sim.publish('team/a', 'targets', 'snapshot', 'timestamp')
  const pages = pagesOf(sim, contents)
  // A path is quoted in a URL, and so is a file in the store.
  const [spaced] = [...pages.keys()].filter((path) => path.includes('top file')) as [string]
  pages.set(spaced.replace(' ', '%20'), pages.get(spaced) as Page)
  const site = await serveSite(pages)
  t.after(() => site.close())
  const client = adapter(site.base)
  assert.equal(await client.run('init', rootFile(sim.files.get('1.root.json') as Uint8Array)), 0)
  assert.equal(site.seen.length, 0)
  assert.equal(await client.run('refresh'), 0)
  assert.deepEqual(client.files(), ['root.json', 'snapshot.json', 'targets.json', 'timestamp.json'])
  assert.deepEqual(new Uint8Array(readFileSync(join(client.metadata, 'timestamp.json'))), sim.files.get('timestamp.json'))

  assert.equal(await client.run('--target-name', 'top file', '--target-name', 'a/b', 'download'), 0)
  const kept = readdirSync(client.targets).map((name) => readFileSync(join(client.targets, name), 'utf8'))
  assert.deepEqual(kept.sort(), ['at the top', 'delegated'])
  assert.ok(client.files().includes('team%2Fa.json'))

  const requests = site.seen.length
  assert.equal(await client.run('--target-name', 'a/b', 'download'), 0)
  assert.deepEqual(
    site.seen.slice(requests).map(({ path }) => path),
    ['/metadata/6.root.json', '/metadata/timestamp.json'],
  )

  assert.equal(await client.run('--target-name', 'a/c', 'download'), 1)
  assert.equal(await client.run('--target-name', 'nothing', 'download'), 1)
})

test('a target that was swapped, cut, made longer or taken away is not kept', async (t) => {
  const sim = liveRepository()
  sim.addTarget('targets', 'file', 'content')
  sim.publish('targets', 'snapshot', 'timestamp')
  const pages = pagesOf(sim, { file: 'content' })
  const path = `/targets/${sha256(utf8('content'))}.file`
  const site = await serveSite(pages)
  t.after(() => site.close())
  const client = adapter(site.base)
  await client.run('init', rootFile(sim.files.get('1.root.json') as Uint8Array))
  for (const page of [
    { bytes: utf8('c0ntent') },
    { bytes: utf8('conten') },
    { bytes: utf8('contents') },
    { bytes: utf8('content'), breakAfter: 3 },
    { status: 404 },
    { status: 500 },
  ]) {
    pages.set(path, page)
    assert.equal(await client.run('--target-name', 'file', 'download'), 1)
    assert.deepEqual(readdirSync(client.targets), [])
  }
  pages.set(path, { bytes: utf8('content') })
  assert.equal(await client.run('--target-name', 'file', 'download'), 0)
})

test('what cannot be trusted or reached is 1, a wrong command line is 2', async () => {
  const client = adapter('http://127.0.0.1:9')
  assert.equal(await client.run('refresh'), 1)
  assert.equal(await client.run('init', rootFile('{}')), 1)
  assert.equal(await client.run('init', join(folder, 'nothing')), 1)
  assert.equal(existsSync(join(client.metadata, 'root.json')), false)
  assert.equal(await client.run('init', rootFile(simulate().files.get('1.root.json') as Uint8Array)), 0)
  assert.equal(await client.run('refresh'), 1)
  for (const words of [['init'], ['refresh', 'x'], ['upgrade'], []]) assert.equal(await client.run(...words), 2)
})

test('what is wrong with a file of ours is told with its path', async () => {
  const metadata = join(folder, 'nowhere')
  const said = async (...words: readonly string[]): Promise<readonly string[]> =>
    (await runCommand(tuf, ['--metadata-dir', metadata, '--metadata-url', 'http://127.0.0.1:9/', ...words])).stderr
  const broken = rootFile('{}')
  assert.match((await said('init', broken)).join('\n'), new RegExp(`^bindery: tuf: ${broken}: `))
  assert.deepEqual(await said('refresh'), [`bindery: tuf: ${metadata}/root.json: there is no trusted root\n`])
  const good = rootFile(simulate().files.get('1.root.json') as Uint8Array)
  assert.deepEqual(await said('init', good), [])
  assert.deepEqual(await said('init', good), [`bindery: tuf: ${metadata}/root.json: is trusted already\n`])
})

test('-q leaves out talk, and not why nothing was done', () => {
  const words = ['-q', 'tuf', '--metadata-dir', join(folder, 'never'), '--metadata-url', 'http://127.0.0.1:9/', 'refresh']
  const { status, stderr } = spawnSync(resolve('bin/bindery'), words, { encoding: 'utf8' })
  assert.deepEqual([status, stderr], [1, `bindery: tuf: ${join(folder, 'never')}/root.json: there is no trusted root\n`])
})

test('we read what @tufjs/repo-mock serves', async (t) => {
  const repo = initializeTUFRepo([
    { name: 'one', content: 'first' },
    { name: 'two', content: Buffer.from([0, 1, 2]) },
  ])
  const pages = new Map<string, Page>()
  for (const { path, fn } of tufHandlers(repo, {})) {
    const { statusCode, response } = fn()
    pages.set(path, { status: statusCode, bytes: new Uint8Array(Buffer.from(response)) })
  }
  const site = await serveSite(pages)
  t.after(() => site.close())
  const client = adapter(site.base)
  assert.equal(await client.run('init', rootFile(JSON.stringify(repo.rootMeta.toJSON()))), 0)
  assert.equal(await client.run('--target-name', 'one', '--target-name', 'two', 'download'), 0)
  assert.equal(readFileSync(join(client.targets, 'one'), 'utf8'), 'first')
  assert.deepEqual(readFileSync(join(client.targets, 'two')), Buffer.from([0, 1, 2]))
})

test('tuf-js reads what our encoders make: rotated keys, thresholds, delegations', async (t) => {
  const sim = liveRepository()
  sim.hashes = true
  sim.setKeys('root', [ed25519Signer(70), ed25519Signer(71)], 2)
  sim.setKeys('timestamp', [ed25519Signer(72)])
  sim.edit('timestamp', () => ({ issued: sim.now }))
  sim.delegate('targets', { name: 'base-amd64', terminating: true, scope: { kind: 'paths', patterns: ['base/amd64/*'] } })
  sim.delegate('targets', { name: 'bin', scope: { kind: 'hashes', prefixes: [...'0123456789abcdef'] } })
  sim.addTarget('base-amd64', 'base/amd64/1.update', 'record')
  sim.addTarget('bin', 'ünder', 'bins')
  sim.publish('bin', 'base-amd64', 'targets', 'snapshot', 'timestamp')
  const site = await serveSite(pagesOf(sim, { 'base/amd64/1.update': 'record' }))
  t.after(() => site.close())
  const { metadata, targets } = adapter(site.base)
  writeFileSync(join(metadata, 'root.json'), sim.files.get('1.root.json') as Uint8Array)
  const updater = new Updater({
    metadataDir: metadata,
    targetDir: targets,
    metadataBaseUrl: `${site.base}/metadata`,
    targetBaseUrl: `${site.base}/targets`,
  })
  await updater.refresh()
  const found = await updater.getTargetInfo('base/amd64/1.update')
  assert.ok(found)
  const file = await updater.downloadTarget(found, join(targets, 'record'))
  assert.equal(readFileSync(file, 'utf8'), 'record')
  assert.equal((await updater.getTargetInfo('ünder'))?.length, 4)
  assert.equal(await updater.getTargetInfo('base/amd64/2.update'), undefined)
})
