import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'

/** What a script printed; `talk` is its stderr, line by line. */
export type Ran = { readonly out: string; readonly talk: readonly string[] }

/** Runs lines of bash in a folder, with bindery and `path` in the PATH; whatever ends with another status than `wanted` fails the test. */
export function bashIn(folder: string): (script: string, wanted?: number, path?: string) => Ran {
  return (script, wanted = 0, path = process.env['PATH'] ?? '') => {
    const env = { ...process.env, PATH: `${resolve('bin')}:${path}` }
    const done = spawnSync('/bin/bash', ['-eu', '-o', 'pipefail', '-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    assert.equal(done.status, wanted, `${script}\n${done.stdout.toString()}${done.stderr.toString()}`)
    return { out: done.stdout.toString(), talk: done.stderr.toString().split('\n').filter(Boolean) }
  }
}
