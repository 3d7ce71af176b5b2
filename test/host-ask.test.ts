import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { needs } from './helpers/programs.ts'
import { onTerminal } from './helpers/terminal.ts'

const script = `const { ask } = await import(${JSON.stringify(resolve('src/host/ask.ts'))}); console.log('<' + (await ask('Sure? ')) + '>'); process.exit(0)`
const asking = [process.execPath, '--input-type=module', '-e', script]

test('a question on a terminal has the line that is typed', needs('script'), async () => {
  const { status, shown } = await onTerminal(asking, [['Sure? ', 'yes\n']])
  assert.deepEqual([status, /<yes>/.test(shown)], [0, true])
})

test('where nobody answers, there is no answer', () => {
  const { stdout, stderr } = spawnSync(asking[0] as string, asking.slice(1), { input: '' })
  assert.deepEqual([stdout.toString(), stderr.toString()], ['<undefined>\n', 'Sure? '])
})
