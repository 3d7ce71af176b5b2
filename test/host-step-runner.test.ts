import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { isBinderyError } from '../src/base/error.ts'
import { stepEnvironment } from '../src/engine/client/apply/run-steps.ts'
import { hostStepRunner } from '../src/host/step-runner.ts'
import { maxLog, maxStepOutput } from '../src/port/step-runner.ts'
import { needsRoot } from './helpers/programs.ts'
import { countProcesses, makeRoot } from './helpers/sandbox-root.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { RelPath } from '../src/base/path.ts'
import type { StepEnd, StepJob } from '../src/port/step-runner.ts'

/** What src/port/step-runner.ts promises, with real processes. */

const logOf = (folder: string): RelPath => join(folder, 'log').slice(1) as RelPath
const job = (folder: string, text: string, changes: Partial<StepJob> = {}): StepJob => ({
  title: 'it',
  text,
  env: stepEnvironment,
  seconds: 60,
  log: logOf(folder),
  signal: new AbortController().signal,
  ...changes,
})
const run = async (folder: string, text: string, changes: Partial<StepJob> = {}): Promise<StepEnd> =>
  await hostStepRunner('/').run(job(folder, text, changes))
const mark = (name: string): string => `bindery-step-${name}-${process.pid}`

async function gone(name: string): Promise<void> {
  while (countProcesses(name) > 0) await setTimeout(20)
}

test('a step has the environment that it is given, nothing on stdin, and its output in the log', async () => {
  await inTemporary(async (folder) => {
    const end = await run(folder, 'env | sort; cat; pwd; umask; echo last >&2; exit 3', { env: { ...stepEnvironment, BINDERY_NEW: 'x' } })
    assert.deepEqual(end, { kind: 'ended', status: 3, lastLine: 'last' })
    const lines = readFileSync(join(folder, 'log'), 'utf8').trimEnd().split('\n')
    const added = /^(?:PWD|OLDPWD|SHLVL|_)=/
    assert.deepEqual(
      lines.filter((line) => !added.test(line)),
      [
        '== it',
        'BINDERY_NEW=x',
        ...Object.entries(stepEnvironment)
          .map(([name, value]) => `${name}=${value}`)
          .sort(),
        '/',
        '0022',
        'last',
      ],
    )
    assert.equal(statSync(join(folder, 'log')).mode & 0o777, 0o600)
    assert.deepEqual(await run(folder, 'true'), { kind: 'ended', status: 0, lastLine: '' })
    assert.match(readFileSync(join(folder, 'log'), 'utf8'), /last\n== it\n$/)
  })
})

test('a service that it leaves goes on, and what that holds open keeps nobody waiting', async () => {
  await inTemporary(async (folder) => {
    const name = mark('service')
    const end = await run(folder, `sh -c 'while test ! -e ${folder}/stop; do sleep 0.1; done; echo served' ${name} & echo started`)
    assert.deepEqual(end, { kind: 'ended', status: 0, lastLine: 'started' })
    assert.equal(countProcesses(name), 1)
    await run(folder, `: >${folder}/stop`)
    await gone(name)
    assert.match(readFileSync(join(folder, 'log'), 'utf8'), /^served$/m)
  })
})

test('one that hangs is ended after its time, with what it started, also when it does not listen', async () => {
  await inTemporary(async (folder) => {
    const name = mark('hangs')
    const hang = `sh -c 'trap "" TERM; while :; do sleep 0.1; done' ${name} & wait`
    assert.deepEqual(await run(folder, hang, { seconds: 1 }), { kind: 'out of time' })
    assert.equal(countProcesses(name), 0)
  })
})

test('one that prints without end is ended, and the log holds what is allowed', async () => {
  await inTemporary(async (folder) => {
    const end = await run(folder, 'while :; do head -c 1000000 /dev/zero; sleep 0.01; done')
    assert.deepEqual(end, { kind: 'too much output' })
    assert.equal(statSync(join(folder, 'log')).size, '== it\n'.length + maxStepOutput)
  })
})

test('a log that grew over many tries is emptied before the next', async () => {
  await inTemporary(async (folder) => {
    writeFileSync(join(folder, 'log'), '')
    truncateSync(join(folder, 'log'), maxLog + 1)
    assert.deepEqual(await run(folder, 'echo new'), { kind: 'ended', status: 0, lastLine: 'new' })
    assert.equal(readFileSync(join(folder, 'log'), 'utf8'), '== it\nnew\n')
  })
})

test('where the log cannot be written, no step is run', { skip: !existsSync('/dev/full') && 'there is no /dev/full' }, async () => {
  await inTemporary(async (folder) => {
    const ended = run(folder, `: >${folder}/ran`, { log: 'dev/full' as RelPath })
    await assert.rejects(ended, (error) => isBinderyError(error, 'no-space'))
    assert.equal(existsSync(join(folder, 'ran')), false)
  })
})

test('a signal ends it, and one that was given before lets it not begin', async () => {
  await inTemporary(async (folder) => {
    const name = mark('stopped')
    const stop = new AbortController()
    const ended = run(folder, `sh -c 'while :; do sleep 0.1; done' ${name} & : >${folder}/begun; wait`, { signal: stop.signal })
    while (!existsSync(join(folder, 'begun'))) await setTimeout(20)
    stop.abort()
    assert.deepEqual(await ended, { kind: 'stopped' })
    assert.equal(countProcesses(name), 0)
    assert.deepEqual(await run(folder, `: >${folder}/again`, { signal: stop.signal }), { kind: 'stopped' })
    assert.equal(existsSync(join(folder, 'again')), false)
  })
})

test('when bindery is killed, it ends', async () => {
  await inTemporary(async (folder) => {
    const name = mark('orphan')
    const step = job(folder, `sh -c 'while :; do sleep 0.1; done' ${name} & : >${folder}/begun; wait`)
    const script = `const { hostStepRunner } = await import(${JSON.stringify(resolve('src/host/step-runner.ts'))})
      await hostStepRunner('/').run({ ...${JSON.stringify(step)}, signal: new AbortController().signal })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' })
    while (!existsSync(join(folder, 'begun'))) await setTimeout(20)
    child.kill('SIGKILL')
    await gone(name)
  })
})

test('it runs in its root, with the shell that is there', needsRoot(), async () => {
  await inTemporary(async (folder) => {
    await makeRoot(join(folder, 'root'))
    const run = hostStepRunner(join(folder, 'root'))
    const here = { ...job(folder, 'echo in >/it; pwd'), log: 'log' as RelPath }
    assert.deepEqual(await run.run(here), { kind: 'ended', status: 0, lastLine: '/' })
    assert.equal(readFileSync(join(folder, 'root/it'), 'utf8'), 'in\n')
    assert.equal((await run.run({ ...here, text: 'exit 9' })).kind, 'ended')
    await assert.rejects(run.run({ ...here, log: 'no/log' as RelPath }), (error) => isBinderyError(error, 'not-found'))
  })
})
