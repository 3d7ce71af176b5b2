import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { assertSameTree } from '../acceptance/judge.ts'
import { makeBundleSite } from '../helpers/bundle-site.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { halfToday, isTurn, isWholeSuite } from '../helpers/whole-suite.ts'
import { folderInMemory } from '../helpers/temporary.ts'

/**
 * A bundle is killed before or after one of the programs that it calls to change something; what it has begun is finished or undone by
 * the bundle, or by bindery. The programs stand in front of the real ones, count, and kill the whole process group.
 */
const work = folderInMemory('bindery-bundle-crash-')
after(() => rmSync(work, { recursive: true }))

const changing = 'mv rm rmdir mkdir chmod chown touch ln cp sync tar'.split(' ')

const options = { ...needs('mtree', 'getfattr', 'setsid'), ...needsRoot() }

before(() => {
  if (options.skip !== undefined) return
  makeBundleSite(work)
  assert.equal(spawnSync('sh', ['-c', 'cp -a OLD installed && sh update.sh -R installed'], { cwd: work }).status, 0)
  mkdirSync(join(work, 'killers'))
  mkdirSync(join(work, 'tmp'))
  for (const program of changing) {
    const file = join(work, 'killers', program)
    writeFileSync(
      file,
      `#!/bin/sh
PATH=\${PATH#*:}
read -r n <"$COUNT"
n=$((n + 1))
echo $n >"$COUNT"
[ $n != "$KILL_AT" ] || case $HOW in
before) kill -9 0 ;;
after) ${program} "$@"; kill -9 0 ;;
failed) echo "${program}: the disk failed" >&2; exit 1 ;;
esac
exec ${program} "$@"
`,
    )
    chmodSync(file, 0o755)
  }
})

type Verb = 'install' | 'rollback'
type Kill = { readonly at: number; readonly how: 'before' | 'after' | 'failed' }
type Ended = { readonly calls: number; readonly status: number | null; readonly stderr: string }

/** `calls`: how many changing programs were called. */
function runKilled(verb: Verb, { at, how }: Kill): Ended {
  const count = join(work, 'count')
  writeFileSync(count, '0\n')
  const path = `${join(work, 'killers')}:${process.env['PATH'] ?? ''}`
  const env = { ...process.env, PATH: path, TMPDIR: join(work, 'tmp'), COUNT: count, KILL_AT: String(at), HOW: how }
  const { status, stderr } = spawnSync('setsid', ['-w', 'sh', 'update.sh', '-R', 'root', verb], { cwd: work, env })
  return { calls: Number(readFileSync(count, 'utf8')), status, stderr: stderr.toString() }
}

function begin(verb: Verb): void {
  rmSync(join(work, 'root'), { recursive: true, force: true })
  assert.equal(spawnSync('cp', ['-a', verb === 'install' ? 'OLD' : 'installed', 'root'], { cwd: work }).status, 0)
}

const ways = [
  ['sh', 'update.sh', '-R', 'root', 'recover'],
  ['sh', 'update.sh', '-R', 'root', 'recover', '--undo'],
  [resolve('bin/bindery'), '-C', 'root', 'recover'],
  [resolve('bin/bindery'), '-C', 'root', 'recover', '--undo'],
] as const

const points = isWholeSuite ? { install: 30, rollback: 20 } : { install: 4, rollback: 4 }

for (const verb of halfToday(['install', 'rollback'] as const)) {
  test(`${verb}, killed anywhere, is finished or undone`, options, async () => {
    begin(verb)
    const { calls: total } = runKilled(verb, { at: 0, how: 'before' })
    const [from, to] = verb === 'install' ? ['OLD', 'NEW'] : ['NEW', 'OLD']
    await assertSameTree(join(work, 'root'), join(work, to))
    for (let i = 0; i < points[verb]; i++) {
      // What comes before the journal is the smaller half of it, and the same everywhere.
      const at = Math.floor(total * (0.3 + (0.69 * i) / points[verb]))
      const [program, ...words] = ways[i % ways.length] as readonly [string, ...string[]]
      begin(verb)
      runKilled(verb, { at, how: i % 3 === 0 ? 'after' : 'before' })
      const done = spawnSync(program, words, { cwd: work })
      const where = `killed at ${at} of ${total}, then ${[program, ...words].join(' ')}`
      // Before there is a journal bindery does not know that there is anything: then there is nothing to take back either.
      assert.equal(done.status, 0, `${where}\n${done.stderr.toString()}`)
      const isDone = existsSync(join(work, 'root/var/db/bindery/receipt', verb === 'install' ? '1' : '2'))
      await assertSameTree(join(work, 'root'), join(work, isDone ? to : from)).catch((error: unknown) => {
        throw new Error(where, { cause: error })
      })
      assert.ok(!existsSync(join(work, 'root/var/db/bindery/journal')), where)
    }
  })
}

const failures = isWholeSuite ? 60 : 6

for (const verb of (['rollback', 'install'] as const).filter((_, i) => isTurn(i === 0 ? 1 : 2))) {
  test(`${verb}, of which one program fails, is as it was, done, or goes on`, options, async () => {
    begin(verb)
    const { calls: total } = runKilled(verb, { at: 0, how: 'failed' })
    const [from, to] = verb === 'install' ? ['OLD', 'NEW'] : ['NEW', 'OLD']
    for (let i = 0; i < failures; i++) {
      // Always the same ones: that all of them end so is for the whole suite to tell.
      const at = 1 + Math.floor(((i + 0.57) * total) / failures)
      begin(verb)
      const { status, stderr } = runKilled(verb, { at, how: 'failed' })
      const where = `${at} of ${total} failed, status ${String(status)}\n${stderr}`
      const isStopped = existsSync(join(work, 'root/var/db/bindery/journal'))
      assert.ok(status === 4 ? isStopped : !isStopped && [0, 1, 6].includes(status ?? 9), where)
      assert.ok(status === 0 || stderr.includes(': the disk failed'), where)
      const done = spawnSync('sh', ['update.sh', '-R', 'root', 'recover'], { cwd: work })
      assert.equal(done.status, 0, `${where}\n${done.stderr.toString()}`)
      await assertSameTree(join(work, 'root'), join(work, status === 1 ? from : to)).catch((error: unknown) => {
        throw new Error(where, { cause: error })
      })
    }
  })
}
