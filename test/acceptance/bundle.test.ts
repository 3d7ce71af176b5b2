import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { needs, needsRoot } from '../helpers/programs.ts'
import { assertSameTree } from './judge.ts'

/** A bundle under every shell: the tree that it leaves is the one that `bindery install` leaves, and the way back is exact. */
const work = mkdtempSync(join(tmpdir(), 'bindery-bundle-'))
after(() => rmSync(work, { recursive: true }))

/** Runs a line of bash in `work` and answers its stdout; `wanted` is its status. */
function sh(script: string, wanted = 0): string {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
  const run = spawnSync('bash', ['-eu', '-o', 'pipefail', '-c', script], { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] })
  assert.equal(run.status, wanted, `${script}\n${run.stderr.toString()}`)
  return run.stdout.toString()
}

type Shell = {
  readonly name: string
  readonly program: string
  /** What runs a bundle, with what it needs around it. */
  readonly run: string
  /** touch(1) of busybox knows no fractions of a second. */
  readonly but: readonly string[]
}

const shells: readonly Shell[] = [
  { name: 'dash', program: 'dash', run: 'dash', but: [] },
  { name: 'bash', program: 'bash', run: 'bash --posix', but: [] },
  { name: 'mksh', program: 'mksh', run: 'mksh', but: [] },
  { name: 'ksh93', program: 'ksh93', run: 'ksh93', but: [] },
  { name: 'busybox ash and its tools', program: 'busybox', run: `env PATH="$PWD/applets" busybox ash`, but: ['time'] },
]

describe('a bundle', { ...needs('mtree', 'diff', 'getfattr', 'setfattr'), ...needsRoot() }, () => {
  before(() => {
    sh(`'${resolve('test/acceptance/trees.sh')}' OLD NEW
      for tree in OLD NEW; do
        setfattr -x user.origin $tree/usr/share/doc/numbers 2>/dev/null || true
        touch -r $tree/usr/share/doc/page1 $tree/usr/share/doc
      done
      bindery init -r repo -k keys --no-passphrase
      bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
      bindery cut NEW -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
      bindery publish -r repo -k keys a.tar.zst && bindery publish -r repo -k keys b.tar.zst
      bindery bundle -r repo -o update.sh base/amd64
      if command -v busybox >/dev/null; then mkdir applets && busybox --install -s applets; fi`)
  })

  for (const { name, program, run, but } of shells) {
    describe(name, needs(program), () => {
      test('brings the new tree and takes it back', async () => {
        sh(`rm -rf root && cp -a OLD root && ${run} update.sh -R root`)
        await assertSameTree(join(work, 'root'), join(work, 'NEW'), but)
        assert.match(sh(`${run} update.sh -R root list`), /^base\/amd64: base-1\.1-20260201-amd64\n1: install \S+Z base-1\.0-\S+ -> base-1\.1-\S+\n$/)
        sh(`${run} update.sh -R root`)
        sh(`${run} update.sh -R root rollback`)
        await assertSameTree(join(work, 'root'), join(work, 'OLD'), but)
        sh(`${run} update.sh -R root rollback`, 1)
      })
    })
  }
})
