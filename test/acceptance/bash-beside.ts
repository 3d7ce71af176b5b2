import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'

/**
 * Runs lines of bash in a folder with bindery in the PATH, while servers of this process go on, and answers their stdout;
 * another status than `wanted` fails the test with what was said.
 */
export function bashBeside(folder: string): (script: string, wanted?: number) => Promise<string> {
  return async (script, wanted = 0) => (await run(folder, script, wanted)).out
}

/** The same, with what was said after what was printed. */
export function talkBeside(folder: string): (script: string, wanted?: number) => Promise<string> {
  return async (script, wanted = 0) => {
    const { out, talk } = await run(folder, script, wanted)
    return `${out}${talk}`
  }
}

async function run(folder: string, script: string, wanted: number): Promise<{ readonly out: string; readonly talk: string }> {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
  const child = spawn('bash', ['-eu', '-o', 'pipefail', '-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, talk]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => talk.push(chunk))
  const status = await new Promise((done) => child.once('close', done))
  const said = Buffer.concat(talk).toString()
  assert.equal(status, wanted, `${script}\n${said}`)
  return { out: Buffer.concat(out).toString(), talk: said }
}
