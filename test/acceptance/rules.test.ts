import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { systems } from '../../src/engine/update/system.ts'
import { joinRules } from '../../src/engine/update/rules.ts'
import { decodeRules } from '../../src/format/rules.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { halfToday, isWholeSuite } from '../helpers/whole-suite.ts'
import { assertSameTree } from './judge.ts'
import type { RuleSource, Rules } from '../../src/engine/update/rules.ts'

/**
 * For each system one update that every rule has something to say about, on a root of busybox whose ldconfig, rcctl and so on
 * write down how they were called: installed, rolled back, installed again.
 */
const work = mkdtempSync(join(tmpdir(), 'bindery-rules-'))
after(() => rmSync(work, { recursive: true }))

function builtIn(name: string): readonly RuleSource[] {
  const content = decodeRules(readFileSync(`share/rules/${name}.toml`))
  return [...(content.base === undefined ? [] : builtIn(content.base)), { file: name, content }]
}

const answers = { installboot: 'sd0', bootcode: '-b /boot/pmbr ada0', 'install-loader': 'grub-install /dev/sda' } as const

/** Writes down how it was called. */
const witness = '#!/bin/sh\necho "${0##*/} $*" >>/called\n'

function put(root: string, path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
  chmodSync(join(root, path), 0o755)
}

function run(program: string, ...words: readonly string[]): void {
  assert.equal(spawnSync(program, words).status, 0, `${program} ${words.join(' ')}`)
}

/** One example of each rule; scripts, so that those of services can be started. */
function plantRelease(root: string, { rules }: Rules, revision: string): void {
  for (const path of rules.flatMap(({ yes }) => yes)) put(root, path, `${witness}# ${revision}\n`)
  const tarball = 'PCBSD/kernels/pcbsd-standard.tbz'
  if (!existsSync(join(root, tarball))) return
  put(work, 'kernel.pcbsd/kernel', `kernel ${revision}\n`)
  run('tar', '-cjf', join(root, tarball), '-C', work, 'kernel.pcbsd')
}

function makeMachine(root: string, { steps }: Rules): void {
  mkdirSync(join(root, 'bin'), { recursive: true })
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  for (const name of 'sh cat tar bunzip2 test'.split(' ')) symlinkSync('busybox', join(root, 'bin', name))
  for (const folder of ['run/systemd/system', 'var/db', 'usr/share/man', 'dev']) mkdirSync(join(root, folder), { recursive: true })
  put(root, 'etc/login.conf.db', '')
  // As Debian has it.
  put(root, 'usr/lib/udev/hwdb.bin', '')
  run('mknod', '-m', '666', join(root, 'dev/null'), 'c', '1', '3')
  for (const program of ['grub-install', ...steps.flatMap((step) => step.needs ?? [])])
    put(root, program.startsWith('/') ? program : `usr/sbin/${program}`, witness)
}

function bindery(...words: readonly string[]): { readonly status: number | null; readonly talk: string } {
  const { status, stderr, stdout } = spawnSync(resolve('bin/bindery'), words, { cwd: work, encoding: 'utf8' })
  return { status, talk: `${stdout}${stderr}` }
}

function done(...words: readonly string[]): string {
  const { status, talk } = bindery(...words)
  assert.equal(status, 0, `bindery ${words.join(' ')}\n${talk}`)
  return talk
}

function calls(root: string): readonly string[] {
  const text = existsSync(join(root, 'called')) ? readFileSync(join(root, 'called'), 'utf8') : ''
  rmSync(join(root, 'called'), { force: true })
  return text.trimEnd().split('\n')
}

/** But for bindery's own state, which tells what happened. */
async function assertSame(root: string, expected: string): Promise<void> {
  for (const [from, name] of [
    [root, 'a'],
    [expected, 'b'],
  ] as const) {
    run('cp', '-a', from, join(work, name))
    rmSync(join(work, name, 'var/db/bindery'), { recursive: true })
  }
  await assertSameTree(join(work, 'a'), join(work, 'b'), ['time'])
  for (const name of ['a', 'b']) rmSync(join(work, name), { recursive: true })
}

describe('every rule', { ...needs('busybox', 'tar', 'bzip2', 'mtree'), ...needsRoot() }, () => {
  for (const system of halfToday(systems)) {
    test(`of ${system}: installed, rolled back${isWholeSuite ? ', installed again' : ''}`, async () => {
      const at = (name: string): string => `${system}-${name}`
      const known = joinRules(builtIn(system))
      const asked = known.steps.flatMap(({ name, ask }) =>
        ask === undefined ? [] : [`--answer=${name}=${answers[name as keyof typeof answers]}`],
      )
      done('init', '-r', at('repo'), '-k', at('keys'), '--no-passphrase')
      const [tree, root] = [join(work, at('tree')), join(work, at('root'))]
      for (const revision of ['1.0', '1.1']) {
        plantRelease(tree, known, revision)
        if (revision === '1.0') run('cp', '-a', tree, root)
        done('cut', at('tree'), '-o', at(revision), '--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64')
        done('publish', '-r', at('repo'), '-k', at('keys'), ...(revision === '1.1' ? asked : []), '--system', system, at(revision))
      }
      makeMachine(root, known)
      done('-C', root, 'enroll', `file://${work}/${at('repo')}/`, `${at('repo')}/metadata/1.root.json`, 'base/amd64')
      run('cp', '-a', root, join(work, at('before')))

      const plan = done('-C', root, 'install', '-n')
      for (const { name } of known.steps) assert.match(plan, new RegExp(`\\b${name}\\b`), `${name} is in the plan`)
      const said = done('-C', root, 'install')
      const first = calls(root)
      for (const program of known.steps.flatMap((step) => step.needs ?? []).filter((name) => !name.endsWith('mknod')))
        assert.ok(
          first.some((call) => call.startsWith(`${program.split('/').at(-1) ?? ''} `)),
          `${program} was called: ${first.join('; ')}`,
        )
      assert.match(said, /reboot/)
      if (known.steps.some(({ name }) => name === 'hwdb')) assert.ok(first.includes('systemd-hwdb --usr update'), first.join('; '))
      if (system === 'pcbsd') assert.equal(readFileSync(join(root, 'boot/kernel.pcbsd/kernel'), 'utf8'), 'kernel 1.1\n')

      done('-C', root, 'rollback')
      const back = calls(root)
      const stays = known.steps.filter(({ afterRollback }) => !afterRollback).flatMap((step) => step.needs ?? [])
      for (const program of known.steps.flatMap(({ afterRollback, needs: program }) => (afterRollback ? (program ?? []) : [])))
        assert.ok(
          back.some((call) => call.startsWith(`${program.split('/').at(-1) ?? ''} `)),
          `${program} was called again`,
        )
      for (const program of stays) assert.ok(!back.some((call) => call.startsWith(`${program} `)), `${program} was not`)
      if (system === 'pcbsd') assert.equal(readFileSync(join(root, 'boot/kernel.pcbsd/kernel'), 'utf8'), 'kernel 1.0\n')
      rmSync(join(root, 'boot/kernel.pcbsd'), { recursive: true, force: true })
      await assertSame(root, join(work, at('before')))

      if (!isWholeSuite) return
      done('-C', root, 'install')
      assert.deepEqual(calls(root), first)
    })
  }
})
