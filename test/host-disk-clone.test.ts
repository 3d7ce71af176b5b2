import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { needs } from './helpers/programs.ts'

const folder = mkdtempSync(join(tmpdir(), 'bindery-clone-'))
after(() => rmSync(folder, { recursive: true }))

const script = `
import { hostDisk } from ${JSON.stringify(resolve('src/host/disk.ts'))}
await hostDisk(${JSON.stringify(folder)}).clone('g', 'f')
`

test('a file that is cloned is never opened through a link that took its place', needs('strace'), () => {
  writeFileSync(join(folder, 'f'), 'content')
  const trace = join(folder, 'trace')
  const words = ['-f', '-e', 'trace=open,openat,openat2', '-o', trace, process.execPath, '--input-type=module', '-e', script]
  assert.deepEqual(spawnSync('strace', words, { encoding: 'utf8' }).stderr, '')
  assert.equal(readFileSync(join(folder, 'g'), 'utf8'), 'content')
  const opened = readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => /"(?:[^"]*\/)?f"/.test(line))
  assert.ok(opened.length > 0)
  assert.deepEqual(
    opened.filter((line) => !line.includes('O_NOFOLLOW')),
    [],
  )
})
