import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { busyboxTools } from '../helpers/base-tools.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { arbitraryVersions } from '../helpers/text-versions.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { isTurn, isWholeSuite } from '../helpers/whole-suite.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { bashIn } from './bash-in.ts'
import { assertSameTree } from './judge.ts'
import type { Versions } from '../../src/engine/client/apply/merge-text.ts'

/** Configuration and accounts that were changed here and in the release, and what the system makes anew: a bundle makes of it what `bindery install` makes of it. */
const work = folderInMemory('bindery-bundle-merge-')
after(() => rmSync(work, { recursive: true }))

const run = bashIn(work)

const read = (path: string): string => readFileSync(join(work, path), 'latin1')

/** touch(1) of busybox knows no fractions of a second. */
type Shell = { readonly name: string; readonly program: string; readonly run: string; readonly but: readonly string[] }

const shells: readonly Shell[] = [
  { name: 'dash', program: 'dash', run: 'dash', but: [] },
  { name: 'busybox ash and its tools', program: 'busybox', run: `env PATH="$PWD/applets" busybox ash`, but: ['time'] },
  { name: 'bash', program: 'bash', run: 'bash --posix', but: [] },
  { name: 'mksh', program: 'mksh', run: 'mksh', but: [] },
  { name: 'ksh93', program: 'ksh93', run: 'ksh93', but: [] },
]

function write(root: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(work, root, path, '..'), { recursive: true })
    writeFileSync(join(work, root, path), typeof content === 'string' ? Buffer.from(content, 'latin1') : content)
  }
}

/** Ten lines, with some of them changed. */
function lines(changes: Readonly<Record<number, string>> = {}, end = '\n'): string {
  return Array.from({ length: 10 }, (_, i) => changes[i] ?? `line ${i}`).join('\n') + end
}

const theirs = lines({ 8: 'new' })

/** One of each kind, whatever chance brings beside them. */
const merged: Versions = { base: utf8(lines()), ours: utf8(lines({ 1: 'mine' })), theirs: utf8(theirs) }
const conflicting: Versions = { ...merged, ours: utf8(lines({ 8: 'mine' })) }
const odd = 'etc/with space, "quote" \\ and \'%s'

/** Of all the cases that are judged one by one: the two releases, and what somebody made of the first. */
const cases: Readonly<Record<string, readonly [old: string, next: string, here: string]>> = {
  'etc/clean': [lines(), theirs, lines({ 1: 'mine' })],
  [odd]: [lines(), theirs, lines({ 1: 'mine' })],
  'etc/conflict': [lines(), theirs, lines({ 8: 'mine' })],
  'etc/touching': [lines(), theirs, lines({ 7: 'mine' })],
  'etc/same': [lines(), theirs, lines({ 1: 'mine', 8: 'new' })],
  'etc/taken': [lines(), lines({ 1: 'mine', 8: 'new' }), lines({ 1: 'mine' })],
  'etc/crlf': [lines({}, '\r\n'), lines({ 8: 'new' }, '\r\n'), lines({ 1: 'mine\r' }, '\r\n')],
  'etc/no-end': [lines({}, ''), lines({ 9: 'new' }, ''), lines({ 1: 'mine' }, '')],
  'etc/ended-here': [lines({}, ''), lines({ 1: 'new' }, ''), lines()],
  'etc/binary': [`${lines()}\0`, `${theirs}\0`, `${lines({ 1: 'mine' })}\0`],
  'etc/binary-here': [lines(), theirs, `${lines({ 1: 'mine' })}\0`],
  'etc/binary-there': [lines(), `${theirs}\0`, lines({ 1: 'mine' })],
  'etc/large': [lines() + 'x'.repeat(1 << 20), theirs + 'x'.repeat(1 << 20), lines({ 1: 'mine' }) + 'x'.repeat(1 << 20)],
  'etc/large-here': [lines(), theirs, lines({ 1: 'x'.repeat(1 << 20) })],
  'etc/long-line': [
    lines({ 5: 'x'.repeat(200_000) }),
    lines({ 5: 'x'.repeat(200_000), 8: 'new' }),
    lines({ 1: 'mine', 5: 'x'.repeat(200_000) }),
  ],
  'etc/emptied': [lines(), theirs, ''],
  'etc/mode': [lines(), theirs, lines({ 1: 'mine' })],
  'etc/pending': [lines(), theirs, lines({ 1: 'mine' })],
  'etc/later': [lines(), theirs, lines({ 1: 'mine' })],
  'etc/made': [lines(), theirs, lines({ 8: 'mine' })],
  'etc/a.db': [lines(), theirs, lines({ 1: 'mine' })],
  'etc/passwd': [lines(), theirs, lines({ 1: 'mine' })],
  'etc/group': [
    'wheel:*:0:root\nwww:*:67:\n',
    'wheel:*:0:root,op\nwww:*:67:_httpd\n_ntp:*:83:\n',
    'wheel:*:0:root,ann\nwww:*:67:\nown:*:1000:\n',
  ],
  'etc/master.passwd': ['root:*:0:0:0:0\n', 'root:*:0:0:0:0\n_ntp:*:83:83:0:0\n', 'root:*:0:0:0:0\nann:*:83:83:0:0\n'],
  'usr/lib/libc.so.1': ['libc 1', 'libc 2', 'linked anew by the system'],
  'usr/lib/libcrypto.so.2': ['libcrypto', 'libcrypto', 'linked anew'],
  'usr/local/etc/app': [lines(), theirs, lines({ 1: 'mine' })],
  'srv/named': [lines(), theirs, lines({ 1: 'mine' })],
  'srv/other': [lines(), theirs, lines({ 1: 'mine' })],
  'etc/slow': [`old\n${'same\n'.repeat(700)}old\n`, `new\n${'same\n'.repeat(700)}new\n`, `mine\n${'same\n'.repeat(700)}mine\n`],
}

const spoil = `(cd mine && ln -sf clean etc/link && chmod 640 etc/mode && setfattr -n user.mine -v 1 etc/mode
  cp ../R1/etc/pending etc/pending.new && cp ../R1/etc/later etc/later.new.12 && echo mine >etc/made.new)`

function makeReleases(): void {
  for (const [path, [old, next]] of Object.entries(cases)) {
    write('R1', { [path]: old })
    write('R2', { [path]: next })
  }
  write('R1', { 'bin/sh': 'sh 1', 'etc/link': lines(), 'usr/share/man/gone/x.index': 'an index' })
  write('R2', { 'bin/sh': 'sh 2', 'etc/link': theirs })
  publish('R')
}

/** `REPO`, and bundles from the tree `REPO1` to `REPO2`. */
function publish(repo: string): void {
  run(`mkdir -p ${repo}1/var/db ${repo}2/var/db && find ${repo}1 -exec touch -h -d '2026-01-01 UTC' {} + && find ${repo}2 -exec touch -h -d '2026-02-01 UTC' {} +
    bindery init -r ${repo} -k ${repo}.keys --no-passphrase
    for n in 1 2; do
      bindery cut ${repo}$n -o dist.tar.zst --product base --revision 1.$n --date 20260101 --arch amd64
      bindery publish -r ${repo} -k ${repo}.keys --rules rules.toml dist.tar.zst
    done
    bindery bundle -r ${repo} --format bsdiff -o ${repo}.bsdiff.sh base/amd64 && bindery bundle -r ${repo} -o ${repo}.sh base/amd64`)
}

/** Both on the same machine, there and back again: what they say and leave is the same, and each takes back what the other did. */
async function assertAlike(shell: Shell, { repo, bundle, make }: Site): Promise<readonly string[]> {
  run('rm -rf mine* theirs* before* other*')
  run(`cp -a ${repo}1 mine && bindery -C mine enroll "file://$PWD/${repo}/" ${repo}/metadata/1.root.json base/amd64 2>/dev/null`)
  make()
  run('cp -a mine theirs; cp -a mine before')
  // What is no plain name is shown as the journal has it.
  const planned = (script: string): readonly string[] =>
    run(script)
      .out.split('\n')
      .filter((line) => !line.includes('etc/with'))
      .sort()
  assert.deepEqual(planned(`${shell.run} ${bundle} -n -R mine`), planned('bindery -C theirs install -n'))
  const { talk } = run(`${shell.run} ${bundle} -R mine`, 6)
  assert.deepEqual(talk.toSorted(), run('bindery -C theirs install', 6).talk.toSorted())
  // Both merge when they are run.
  await assertSameBut('mine', 'theirs', ['time'])
  run(
    `cp -a mine other; bindery -C mine audit >mine.audit || test $? = 7; bindery -C theirs audit >theirs.audit || test $? = 7; diff mine.audit theirs.audit`,
  )
  run(`${shell.run} ${bundle} -R mine rollback; bindery -C other rollback; ${shell.run} ${bundle} -R theirs rollback`)
  for (const root of ['mine', 'theirs', 'other']) await assertSameBut(root, 'before', shell.but)
  return talk
}

type Site = { readonly repo: string; readonly bundle: string; readonly make: () => void }

async function assertSameBut(actual: string, expected: string, but: readonly string[]): Promise<void> {
  run(`for root in ${actual} ${expected}; do mv $root/var/db/bindery $root.state; done`)
  await assertSameTree(join(work, actual), join(work, expected), but)
  run(`for root in ${actual} ${expected}; do mv $root.state $root/var/db/bindery; done`)
}

if (isTurn(1))
  describe('a bundle merges', { ...needs('mtree', 'diff', 'getfattr', 'setfattr', 'busybox'), ...needsRoot() }, () => {
    before(() => {
      const anew = '[[rule]]\nname = "anew"\nmatch = ["/usr/lib/lib{c,crypto}.so.[0-9]", "/usr/share/**/*.index"]\ngenerated = true\n'
      write('.', { 'rules.toml': `format = 1\n[[rule]]\nname = "named"\nmatch = ["/srv/named"]\nconfiguration = true\n${anew}` })
      makeReleases()
      busyboxTools(join(work, 'applets'), ['getfattr', 'setfattr'])
    })
    const make = (): void => {
      write('mine', Object.fromEntries(Object.entries(cases).map(([path, [, , here]]) => [path, here])))
      write('mine', { 'usr/share/man/gone/x.index': 'made anew' })
      run(spoil)
    }

    for (const shell of shells) {
      const goes = (program: string): boolean => isWholeSuite || shell.program === program
      if (goes('dash'))
        test(`what bindery merges, and nothing else, under ${shell.name}`, needs(shell.program), async () => {
          const talk = await assertAlike(shell, { repo: 'R', bundle: 'R.sh', make })
          const merged = talk.flatMap((line) => /\/(.+) was merged/.exec(line)?.[1] ?? [])
          const quiet = ['clean', 'crlf', 'ended-here', 'group', 'long-line', 'mode', 'no-end', 'same', 'taken'].map(
            (name) => `etc/${name}`,
          )
          assert.deepEqual(merged.toSorted(), [odd, ...quiet, 'srv/named', 'usr/local/etc/app'].toSorted())
          assert.doesNotMatch(talk.join('\n'), /usr\/(?:lib|share)/)
        })

      if (goes('busybox'))
        test(`every text as bindery does, or not at all, under ${shell.name}`, needs(shell.program), async (t) => {
          const seed = Date.now() % 2 ** 31
          t.diagnostic(`texts of seed ${seed}`)
          const texts = [merged, conflicting, ...fc.sample(arbitraryVersions, { seed, numRuns: isWholeSuite ? 60 : 20 })]
          const files = (version: keyof Versions): Record<string, Uint8Array> =>
            Object.fromEntries(texts.map((versions, i) => [`etc/${i}`, versions[version]]))
          write('T1', { ...files('base'), 'bin/sh': 'sh 1' })
          write('T2', { ...files('theirs'), 'bin/sh': 'sh 2' })
          publish('T')
          const talk = await assertAlike(shell, { repo: 'T', bundle: 'T.sh', make: () => write('mine', files('ours')) })
          for (const how of ['was merged', 'was modified']) assert.ok(talk.some((line) => line.includes(how)))
          run('rm -rf T*')
        })
    }

    // Where files were changed it is the whole bundle beside that does the work.
    if (isWholeSuite)
      test('what patches make, too', async () => {
        run('cp R.sh base-1.1-20260101-amd64_to_base-1.2-20260101-amd64.sh')
        await assertAlike(shells[0] as Shell, { repo: 'R', bundle: 'R.bsdiff.sh', make })
      })

    test('again with the next release, from what this one has; and what was edited since stays when it is taken back', () => {
      run(`cp -a R2 R3 && (cd R3/etc && sed -i 's/^line 5$/newer/' clean) && bindery cut R3 -o dist.tar.zst --product base --revision 1.3 --date 20260101 --arch amd64
      bindery publish -r R -k R.keys dist.tar.zst && bindery bundle -r R -o next.sh base/amd64 && rm -rf mine && cp -a R1 mine`)
      write('mine', { 'etc/clean': lines({ 1: 'mine' }) })
      run('sh R.sh -R mine && sh next.sh -R mine')
      assert.equal(read('mine/etc/clean'), lines({ 1: 'mine', 5: 'newer', 8: 'new' }))
      write('mine', { 'etc/clean': 'since then\n' })
      run('sh next.sh -R mine rollback', 6)
      assert.deepEqual([read('mine/etc/clean'), read('mine/etc/clean.old')], ['since then\n', lines({ 1: 'mine', 8: 'new' })])
    })

    test('nothing of what is edited while it prepares is lost', () => {
      run(`rm -rf mine && cp -a R1 mine && mkdir -p slow && ln -sf "$(command -v sh)" slow/real
      printf '%s\n' '#!/bin/sh' 'case $* in *stage*) [ -e ../edited ] || { : >../edited; echo edited >>etc/clean; } ;; esac' 'exec /bin/sync "$@"' >slow/sync && chmod 755 slow/sync`)
      write('mine', { 'etc/clean': lines({ 1: 'mine' }) })
      run('cd mine && PATH="$PWD/../slow:$PATH" sh ../R.sh -R . && exit 9 || test $? = 1')
      assert.equal(read('mine/etc/clean'), `${lines({ 1: 'mine' })}edited\n`)
    })

    test('where there is no room for it nothing is changed', () => {
      run('rm -rf mine before && cp -a R1 mine')
      write('mine', { 'etc/clean': lines({ 1: 'mine' }) })
      run(
        `cp -a mine before && mkdir small && mount -t tmpfs -o size=64k tmpfs small && { TMPDIR="$PWD/small" sh R.sh -R mine && s=0 || s=$?; umount small; test $s = 1; }`,
      )
      run('diff -r --no-dereference mine before && rm -r before')
    })
  })
