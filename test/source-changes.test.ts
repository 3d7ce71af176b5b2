import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeRlog } from '../src/format/cvs-log.ts'
import { decodeRdiff } from '../src/format/cvs-rdiff.ts'
import { decodeLog, decodeNameStatus, logFormat } from '../src/format/git-changes.ts'
import { anyCharacter } from './helpers/any-character.ts'
import { needs } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { SourceChange } from '../src/base/source-change.ts'

/** Paths -> contents. */
type Files = Readonly<Record<string, string>>

function write(folder: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

const first: Files = { 'net/curl/Makefile': '1', 'net/curl/pkg/PLIST': '1', 'net/curl/a file is new; R revision 1.1': '1' }
const bytes = (changes: readonly SourceChange[]): readonly SourceChange[] => changes.toSorted((a, b) => (a.path < b.path ? -1 : 1))

test('cvs rdiff and rlog: what changed on a branch since its release', needs('cvs'), async () => {
  await inTemporary(async (folder) => {
    const work = join(folder, 'work')
    const cvs = (...words: readonly string[]): Uint8Array =>
      execFileSync('cvs', ['-q', '-d', join(folder, 'cvs'), ...words], { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] })
    mkdirSync(work)
    cvs('init')
    write(join(folder, 'first'), first)
    execFileSync('cvs', ['-Q', '-d', join(folder, 'cvs'), 'import', '-m', 'i', 'ports', 'V', 'T'], { cwd: join(folder, 'first') })
    cvs('co', '-d', '.', 'ports')
    cvs('tag', 'R_BASE')
    cvs('tag', '-b', 'R')
    cvs('up', '-r', 'R')
    write(work, { 'net/curl/Makefile': '2', 'net/curl/a file is new; R revision 1.1': '2', 'net/curl/patches/p': 'p' })
    rmSync(join(work, 'net/curl/pkg/PLIST'))
    cvs('rm', 'net/curl/pkg/PLIST')
    cvs('add', 'net/curl/patches')
    cvs('add', 'net/curl/patches/p')
    cvs('ci', '-m', 'fix CVE-2023-0001\n\nrevision 1.1\ndate: never;')
    assert.deepEqual(bytes(decodeRdiff(cvs('rdiff', '-s', '-r', 'R_BASE', '-r', 'R', 'ports'))), [
      { kind: 'changed', path: 'ports/net/curl/Makefile' },
      { kind: 'changed', path: 'ports/net/curl/a file is new; R revision 1.1' },
      { kind: 'added', path: 'ports/net/curl/patches/p' },
      { kind: 'removed', path: 'ports/net/curl/pkg/PLIST' },
    ])
    const [commit, ...more] = decodeRlog(cvs('rlog', '-S', '-N', '-rR_BASE::R', 'ports'), 'ports')
    assert.deepEqual(more, [])
    assert.equal(commit?.message, 'fix CVE-2023-0001\n\nrevision 1.1\ndate: never;')
    assert.ok(commit.paths.includes('ports/net/curl/Makefile') && commit.paths.includes('ports/net/curl/pkg/PLIST'))
    assert.ok(Math.abs(commit.seconds - Date.now() / 1000) < 300)
  })
})

test('git diff and log: the same of two commits', needs('git'), async () => {
  await inTemporary(async (folder) => {
    const who = { GIT_AUTHOR_NAME: 'n', GIT_AUTHOR_EMAIL: 'n@n', GIT_COMMITTER_NAME: 'n', GIT_COMMITTER_EMAIL: 'n@n' }
    const git = (...words: readonly string[]): Uint8Array => execFileSync('git', words, { cwd: folder, env: { ...process.env, ...who } })
    const commit = (message: string, files: Files): void => {
      write(folder, files)
      git('add', '-A')
      git('commit', '-q', '--allow-empty', '-m', message)
    }
    git('init', '-q')
    commit('first', first)
    rmSync(join(folder, 'net/curl/pkg/PLIST'))
    commit('second\n\nfix CVE-2023-0001', { 'net/curl/Makefile': '2', 'net/näw\n': 'n' })
    commit('nothing', {})
    commit('last', { 'net/curl/Makefile': '3' })
    assert.deepEqual(decodeNameStatus(git('diff', '--name-status', '--no-renames', '-z', 'HEAD~3', 'HEAD')), [
      { kind: 'changed', path: 'net/curl/Makefile' },
      { kind: 'removed', path: 'net/curl/pkg/PLIST' },
      { kind: 'added', path: Buffer.from('net/näw\n').toString('latin1') },
    ])
    const commits = decodeLog(git('log', '--name-only', '--no-renames', '-z', `--format=${logFormat}`, 'HEAD~3..HEAD'))
    assert.deepEqual(
      commits.map(({ message, paths }) => ({ message, paths: paths.length })),
      [
        { message: 'last', paths: 1 },
        { message: 'nothing', paths: 0 },
        { message: 'second\n\nfix CVE-2023-0001', paths: 3 },
      ],
    )
  })
})

test('cvs rdiff: other wordings of CVS, and lines that are none', () => {
  const line = (text: string): SourceChange | undefined => decodeRdiff(utf8(`${text}\n`))[0]
  assert.deepEqual(line('File ports/a is new; current revision 1.1'), { kind: 'added', path: 'ports/a' })
  assert.deepEqual(line('File ports/a is removed; not included in release tag R'), { kind: 'removed', path: 'ports/a' })
  assert.deepEqual(line('File a is removed; b changed from revision 1.1 to 1.2'), { kind: 'changed', path: 'a is removed; b' })
  for (const text of ['', 'cvs rdiff: Diffing ports', 'File  changed from revision 1.1 to 1.2', 'File a changed from revision 1 to 1.2'])
    assert.throws(
      () => line(text),
      (error) => isBinderyError(error, 'bad-format'),
      text,
    )
  assert.throws(
    () => decodeRdiff(utf8('File a is new; R revision 1.1')),
    (error) => isBinderyError(error, 'bad-format'),
  )
})

test('whatever the programs print is read or refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter, maxLength: 200 }), (text) => {
      for (const decode of [decodeRdiff, decodeNameStatus, decodeLog, (data: Uint8Array) => decodeRlog(data, 'ports')]) {
        try {
          decode(fromLatin1(text.replaceAll(/[^\u0000-\u00ff]/g, '?')))
        } catch (error) {
          assert.ok(isBinderyError(error), String(error))
        }
      }
    }),
  )
})
