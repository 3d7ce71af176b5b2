import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { mirrorOrder } from '../src/engine/client/fetch/mirror-order.ts'
import { configuredProxy } from '../src/host/http-proxy.ts'

/** `bindery config` as a user types it, and what its keys mean for the network. */

const root = mkdtempSync(join(tmpdir(), 'bindery-config-'))
const conf = join(root, 'etc/bindery.conf')
mkdirSync(join(root, 'etc'))
after(() => rmSync(root, { recursive: true }))

type Result = { readonly status: number | null; readonly out: string; readonly talk: string }

function config(lines: string, words: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Result {
  writeFileSync(conf, lines)
  const options = { env: { PATH: process.env['PATH'] ?? '', ...env }, encoding: 'utf8' } as const
  const { status, stdout, stderr } = spawnSync(resolve('bin/bindery'), ['-C', root, 'config', ...words], options)
  return { status, out: stdout, talk: stderr }
}

test('each value is shown with its origin', () => {
  const lines = '# mine\nmirror http://far/ 150\nmirror http://near/\nkeep-releases 2\n'
  const { status, out } = config(lines, ['--json'], { http_proxy: 'http://me:secret@proxy:3128' })
  assert.equal(status, 0)
  const values = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { key: string; value: string; origin: unknown })
  assert.deepEqual(values.slice(0, 3), [
    { key: 'mirror', value: 'http://near/', origin: { kind: 'file', file: conf, line: 3 } },
    { key: 'mirror', value: 'http://far/ 150', origin: { kind: 'file', file: conf, line: 2 } },
    { key: 'proxy', value: 'http://me:***@proxy:3128', origin: { kind: 'environment', variable: 'http_proxy' } },
  ])
  const said = values.find(({ key }) => key === 'keep-releases')
  assert.deepEqual(said, { key: 'keep-releases', value: '2', origin: { kind: 'file', file: conf, line: 4 } })
  assert.deepEqual(values.find(({ key }) => key === 'basis')?.origin, { kind: 'default' })
  assert.match(config(lines).out, new RegExp(`^keep-releases +2 +${conf}:4$`, 'm'))
})

test('where reports go is shown as it is written, without a password', () => {
  const lines = 'report /srv/reports\nreport http://me:secret@farm/report\nreport host::module\nmachine cellar\n'
  assert.equal(config(lines, ['report']).out, '/srv/reports\nhttp://me:***@farm/report\nhost::module\n')
  assert.equal(config(lines, ['machine']).out, 'cellar\n')
})

test('one key gives its values alone; a wrong one is told with the nearest', () => {
  assert.deepEqual(config('keep-releases 2\n', ['keep-releases']), { status: 0, out: '2\n', talk: '' })
  const { status, talk } = config('', ['keep-release'])
  assert.equal(status, 2)
  assert.match(talk, /no key 'keep-release'\n.*did you mean 'keep-releases'\?/)
})

test('a hold of what is not enrolled is told, and a mistake with its file and line', () => {
  assert.match(config('hold kernel/amd64\n').talk, /holds kernel\/amd64, which is not enrolled/)
  const { status, talk } = config('merge maybe\n')
  assert.equal(status, 2)
  assert.ok(talk.includes(`${conf}: line 1: `), talk)
})

test('mirrors are asked by their numbers, around the addresses of enroll', () => {
  const [near, far] = [
    { url: 'http://near/', priority: 50 },
    { url: 'http://far/', priority: 150 },
  ]
  const order = mirrorOrder([far, near])
  assert.deepEqual(order.of(['http://own/']), ['http://near/', 'http://own/', 'http://far/'])
  assert.deepEqual(order.of(['http://far/', 'http://own/']), ['http://near/', 'http://own/', 'http://far/'])
})

test('a configured proxy comes before the environment', () => {
  const environment = { http_proxy: 'http://env:1', NO_PROXY: 'lan' }
  assert.deepEqual(configuredProxy(environment, { proxy: 'http://conf:2/' }), {
    http_proxy: 'http://conf:2/',
    https_proxy: 'http://conf:2/',
    no_proxy: 'lan',
  })
  assert.deepEqual(configuredProxy(environment, { proxy: 'none', noProxy: 'x' }), { no_proxy: 'x' })
})
