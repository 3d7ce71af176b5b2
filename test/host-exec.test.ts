import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { inTemporary } from './helpers/temporary.ts'
import type { ChildProcess } from 'node:child_process'

/** A process of its own group, as a shell starts it, that runs `words` by way of sh, apart. */
function start(folder: string, words: string, after: string): ChildProcess {
  const code = `
    import { hostExec } from ${JSON.stringify(resolve('src/host/exec.ts'))}
    process.on('SIGINT', () => {})
    process.on('SIGTERM', () => process.exit(0))
    const run = hostExec.run('sh', ['-c', ${JSON.stringify(words)}], { apart: true })
    ${after}`
  return spawn(process.execPath, ['--input-type=module-typescript', '-e', code], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function appears(file: string): Promise<void> {
  while (!existsSync(file) || readFileSync(file).length === 0) await setTimeout(20)
}

test('Ctrl-C does not reach a program that runs apart', async () => {
  await inTemporary(async (folder) => {
    const tool = 'echo > started; until [ -e pressed ]; do sleep 0.05; done; echo alive'
    const child = start(folder, tool, 'process.stdout.write(`${(await run).status} ${(await run).stdout}`)')
    await appears(join(folder, 'started'))
    process.kill(-(child.pid as number), 'SIGINT')
    writeFileSync(join(folder, 'pressed'), '')
    let said = ''
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await once(child, 'close')
    assert.equal(said, '0 alive\n')
  })
})

test('it ends when we do', async () => {
  await inTemporary(async (folder) => {
    execFileSync('mkfifo', [join(folder, 'held')])
    const child = start(folder, 'exec sleep 600 > held', 'await run')
    // Ends when nobody holds the other end any more.
    const held = createReadStream(join(folder, 'held'))
    await once(held, 'open')
    child.kill('SIGTERM')
    await once(held.resume(), 'end')
  })
})
