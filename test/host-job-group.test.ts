import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { startInGroup } from '../src/host/job-group.ts'
import { jobRunner } from '../src/host/sandbox-job.ts'
import { fixedEnvironment } from '../src/port/sandbox.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { countProcesses, makeRoot } from './helpers/sandbox-root.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { GroupPlace } from '../src/host/job-group.ts'
import type { SandboxJob, SandboxResult } from '../src/port/sandbox.ts'

/** What sandboxes do where the system has no namespaces. */

async function run(
  place: GroupPlace,
  script: string,
  job: Partial<SandboxJob> = {},
): Promise<{ readonly result: SandboxResult; readonly text: string }> {
  let text = ''
  const output = (bytes: Uint8Array): void => void (text += Buffer.from(bytes).toString())
  const signal = new AbortController().signal
  const runner = jobRunner((job) => startInGroup(place, job))
  return { result: await runner.run({ command: ['sh', '-c', script], network: false, output, signal, ...job }), text }
}

const mark = (name: string): string => `bindery-group-${name}-${process.pid}`

test('a job has the fixed environment, its folder and its input', async () => {
  await inTemporary(async (folder) => {
    const { text } = await run({ folder, env: { DESTDIR: '/d' } }, 'env', { command: ['env'] })
    const env = Object.fromEntries(
      text
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/).slice(0, 2)),
    )
    assert.deepEqual(env, { ...fixedEnvironment, DESTDIR: '/d' })
    assert.match(
      (await run({ folder }, 'pwd; umask; cat; echo 2 >&2', { input: Buffer.from('in\n') })).text,
      /\/bindery-test-\w+\n0?022\nin\n2\n$/,
    )
    assert.equal((await run({ folder }, 'cat')).text, '')
  })
})

test('its status is that of the command, or of what ended it', async () => {
  assert.deepEqual((await run({ folder: '/' }, 'exit 3')).result, { kind: 'ended', status: 3 })
  assert.deepEqual((await run({ folder: '/' }, 'kill -9 $$')).result, { kind: 'ended', status: 137 })
  assert.deepEqual((await run({ folder: '/' }, '', { command: ['no-such-program'] })).result, { kind: 'ended', status: 127 })
})

test('what it leaves in its group ends with it', async () => {
  const name = mark('left')
  const { text } = await run({ folder: '/' }, `sh -c 'while :; do sleep 0.1; done' ${name} & echo away`)
  assert.equal(text, 'away\n')
  assert.equal(countProcesses(name), 0)
})

test('its limit ends what does not listen, too', async () => {
  const name = mark('deaf')
  const { result } = await run({ folder: '/' }, `trap '' TERM; sh -c 'while :; do sleep 0.1; done' ${name}; :`, { timeLimitMs: 300 })
  assert.deepEqual(result, { kind: 'out of time' })
  assert.equal(countProcesses(name), 0)
})

test('it ends when we are killed', async () => {
  const name = mark('orphan')
  const code = `
    import { startInGroup } from ${JSON.stringify(resolve('src/host/job-group.ts'))}
    const command = ['sh', '-c', "sh -c 'echo begun; sleep 600; true' ${name}; true"]
    await startInGroup({ folder: '/' }, { command, network: false, output: (bytes) => process.stdout.write(bytes) }).ended`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((done) => child.stdout.once('data', done))
  child.kill('SIGKILL')
  while (countProcesses(name) > 0) await setTimeout(20)
})

test('in a tree, by chroot', { ...needs('busybox'), ...needsRoot() }, async () => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    await makeRoot(root)
    mkdirSync(join(root, 'tmp/here'))
    assert.equal(
      (await run({ root, folder: '/tmp/here' }, 'pwd; umask; ls /; exit 3')).text,
      '/tmp/here\n0022\nbin\nd\ndev\netc\nproc\ntmp\n',
    )
  })
})
