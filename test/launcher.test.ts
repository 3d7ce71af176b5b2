import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import manifest from '../package.json' with { type: 'json' }

const launcher = resolve('bin/bindery')
const folder = mkdtempSync(join(tmpdir(), 'bindery-launcher-'))
after(() => rmSync(folder, { recursive: true }))

const answer = `bindery ${manifest.version}\n`

function run(program: string, options: { args?: string[]; env?: Record<string, string>; cwd?: string } = {}) {
  const done = spawnSync(program, options.args ?? ['--version'], {
    encoding: 'utf8',
    cwd: options.cwd,
    env: { PATH: process.env['PATH'], HOME: folder, ...options.env },
  })
  return { status: done.status, stdout: done.stdout, stderr: done.stderr }
}

function script(name: string, text: string): string {
  const file = join(folder, name)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
  return file
}

test('runs from any folder', () => {
  assert.deepEqual(run(launcher, { cwd: '/' }), { status: 0, stdout: answer, stderr: '' })
})

test('runs through links to links, absolute and relative', () => {
  symlinkSync(launcher, join(folder, 'first'))
  symlinkSync('first', join(folder, 'second'))
  assert.equal(run(join(folder, 'second')).stdout, answer)
  assert.equal(run('./second', { cwd: folder }).stdout, answer)
})

test('npx finds it in a clone', () => {
  const done = run('npx', { args: ['--no-install', 'bindery', '--version'] })
  assert.equal(done.stdout, answer)
})

test(
  'an unfit node in the PATH does not matter beside the pinned one',
  { skip: process.platform !== 'linux' && 'pinned on Linux only' },
  () => {
    script('old-path/node', 'echo v12.0.0; exit 99')
    assert.equal(run(launcher, { env: { PATH: `${folder}/old-path:/usr/bin:/bin` } }).stdout, answer)
  },
)

test('BINDERY_NODE is preferred to all else', () => {
  const node = script('chosen', `echo chosen >&2; exec '${process.execPath}' "$@"`)
  assert.deepEqual(run(launcher, { env: { BINDERY_NODE: node } }), { status: 0, stdout: answer, stderr: 'chosen\n' })
})

test('an old node is told in one line what is needed', () => {
  const pretend = join(folder, 'old.cjs')
  writeFileSync(pretend, `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.14.9' } })`)
  const node = script('old', `exec '${process.execPath}' -r '${pretend}' "$@"`)
  const done = run(launcher, { env: { BINDERY_NODE: node } })
  assert.equal(done.status, 1)
  assert.equal(done.stdout, '')
  assert.match(done.stderr, /^bindery: Node 22\.15 or newer is needed, and this is 22\.14\.9\nbindery: hint: .*BINDERY_NODE.*\n$/)
})

test('a clone that is not built yet says how', () => {
  const copy = script('clone/bin/bindery', '')
  writeFileSync(copy, spawnSync('cat', [launcher]).stdout)
  const done = run(copy, { env: { BINDERY_NODE: process.execPath } })
  assert.equal(done.status, 1)
  assert.match(done.stderr, /hint: run 'npm ci' in /)
})

test('signals reach bindery: it is the process that was started', () => {
  const node = script('pid', `echo $$`)
  const shell = `'${launcher}' & echo $!; wait`
  const lines = run('/bin/sh', { args: ['-c', shell], env: { BINDERY_NODE: node } })
    .stdout.trim()
    .split('\n')
  assert.equal(lines[0], lines[1])
})

test('compiled code is never kept in the shared temporary folder', () => {
  const done = run(launcher, { env: { TMPDIR: join(folder, 'tmp') } })
  assert.equal(done.status, 0)
  assert.equal(spawnSync('ls', [join(folder, 'tmp')]).status, 2)
})
