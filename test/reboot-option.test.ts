import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { install } from '../src/command/install.ts'
import { parseInput } from '../src/command/parse.ts'
import { rebootAsWished, rebootWish } from '../src/command/reboot.ts'
import type { Context } from '../src/command/command.ts'
import type { RebootClass } from '../src/format/update.ts'

/** `install --reboot`: who is asked, and what is run. */

const terminal = { stdin: true, stdout: true, stderr: true }
type World = {
  readonly root?: string
  readonly verbosity?: Context['verbosity']
  readonly isTerminal?: Context['isTerminal']
  readonly answer?: string
}

async function atTheEnd(words: readonly string[], need: RebootClass, world: World = {}): Promise<readonly string[]> {
  const did: string[] = []
  const context = {
    root: '/',
    verbosity: 'normal',
    isTerminal: terminal,
    say: (line: string) => void did.push(line),
    ask: async (question: string) => (did.push(question.trim()), await Promise.resolve(world.answer ?? '')),
    exec: {
      run: async (...call: readonly [string, readonly string[]]) => (did.push(call.flat().join(' ')), await Promise.resolve({ status: 0 })),
    },
    ...world,
  } as unknown as Context
  await rebootAsWished(context, rebootWish(context, parseInput(install, words)), need)
  return did
}

test('a person on a terminal is asked once, and yes is yes', async () => {
  const question = 'Reboot now? [y/N]'
  assert.deepEqual(await atTheEnd([], 'reboot'), [question])
  assert.deepEqual(await atTheEnd([], 'reboot', { answer: 'no' }), [question])
  assert.deepEqual(await atTheEnd(['--reboot=ask'], 'careful', { answer: 'y\n' }), [question, 'shutdown -r now'])
  assert.deepEqual(await atTheEnd([], 'none'), [])
  assert.deepEqual(await atTheEnd([], 'restart', { answer: 'y' }), [])
})

test('nobody is asked who is not there', async () => {
  for (const world of [
    { isTerminal: { ...terminal, stdin: false } },
    { isTerminal: { ...terminal, stderr: false } },
    { verbosity: 'quiet' },
    { root: '/mnt' },
  ] as const)
    for (const words of [[], ['--reboot=ask']]) assert.deepEqual(await atTheEnd(words, 'reboot', { ...world, answer: 'y' }), [])
})

test('now is now, but not of another root; never is never', async () => {
  assert.deepEqual(await atTheEnd(['--reboot=now'], 'careful', { verbosity: 'quiet' }), ['shutdown -r now'])
  assert.deepEqual(await atTheEnd(['--reboot=now'], 'restart'), [])
  assert.deepEqual(await atTheEnd(['--reboot=now'], 'reboot', { root: '/mnt' }), ['not rebooted: /mnt is not the system that runs here'])
  assert.deepEqual(await atTheEnd(['--reboot=never'], 'reboot', { answer: 'y' }), [])
  await assert.rejects(atTheEnd(['--reboot=later'], 'reboot'), (error) => isBinderyError(error, 'usage'))
})
