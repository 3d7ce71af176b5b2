import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { pathFromText } from '../src/base/path.ts'
import { rules as verb } from '../src/command/rules.ts'
import { proposalText } from '../src/command/rules-learn.ts'
import { advise, questionsOf } from '../src/engine/update/advise.ts'
import { effectsOfScript, learnRules } from '../src/engine/update/learn.ts'
import { failedExamples, joinRules } from '../src/engine/update/rules.ts'
import { systemOf } from '../src/engine/update/system.ts'
import { glob } from '../src/format/glob.ts'
import { pathPattern } from '../src/format/conf.ts'
import { decodeRules } from '../src/format/rules.ts'
import { numbers } from './helpers/numbers.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Specimen } from '../src/engine/update/learn.ts'
import type { Event, Rules } from '../src/engine/update/rules.ts'
import type { Happening } from '../src/format/rules.ts'

function path(text: string): RelPath {
  return pathFromText(text.replace(/^\//, '')) as RelPath
}

function rulesOf(...texts: readonly string[]): Rules {
  return joinRules(texts.map((text, i) => ({ file: `${i + 1}.toml`, content: decodeRules(utf8(`format = 1\n${text}`)) })))
}

function events(happening: Happening, ...paths: readonly string[]): readonly Event[] {
  return paths.map((one) => ({ path: path(one), happening }))
}

function refused(work: () => unknown, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof BinderyError)
    assert.equal(error.code, 'usage')
    assert.match(`${error.subject ?? ''}: ${error.message}`, message)
    return true
  })
}

test('patterns stay within a name but for **, and know sets and words', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['/lib/*.so', ['/lib/a.so'], ['/lib/x/a.so', '/usr/lib/a.so', '/lib/a.so.1', '/lib/a.so/b']],
    ['/lib/**', ['/lib/a', '/lib/x/a'], ['/lib', '/libexec/a']],
    ['/**/*.conf', ['/a.conf', '/etc/x/a.conf'], ['/a.conf/b']],
    ['/{,usr/}lib{,64}/x', ['/lib/x', '/usr/lib64/x'], ['/usrlib/x']],
    ['/a[0-9]?', ['/a1b'], ['/ab1', '/a1']],
    ['/a[!0-9]', ['/ab'], ['/a1', '/a/']],
    ['/é*', ['/é1'], ['/e1']],
    ['/a+b(c)^$', ['/a+b(c)^$'], ['/aab(c)']],
    ['/a[.-0]b', ['/a.b', '/a0b'], ['/a/b']],
    ['/*a*b*', ['/ab', '/xaxbx', '/abab'], ['/ba', '/a/b']],
    ['/**/a/**/b/**', ['/a/b/c', '/x/a/y/b/c/d', '/a/b/b'], ['/a/b', '/b/a/c']],
  ]
  for (const [text, yes, no] of cases) {
    const one = glob(text)
    for (const other of yes) assert.equal(one?.matches(path(other)), true, `${text} and ${other}`)
    for (const other of no) assert.equal(one?.matches(other.slice(1) as RelPath), false, `${text} and ${other}`)
  }
  for (const text of ['/a[z-a]', 'lib/*', '/a{b', '/a{b,{c}}', '/a[', '/a/../b', '', '/', `/${'{a,b}'.repeat(9)}`])
    assert.equal(glob(text), undefined, text)
})

test('patterns match what a plain reading of them does', () => {
  const random = numbers(7)
  const many = (most: number, one: () => string, between = ''): string => Array.from({ length: 1 + random.below(most) }, one).join(between)
  let matched = 0
  for (let i = 0; i < 4000; i++) {
    const pattern = many(4, () => (random.below(3) === 0 ? '**' : many(4, () => random.of(['a', 'b', '*', '?']))), '/')
    const one = many(5, () => many(3, () => random.of(['a', 'b'])), '/')
    const fits = plainly(pattern.split('/'), one.split('/'))
    if (fits) matched++
    assert.equal(glob(`/${pattern}`)?.matches(one as RelPath), fits, `/${pattern} and /${one}`)
  }
  assert.ok(matched > 400, String(matched))
})

/** Each way to share out, one after the other. */
function plainly(pattern: readonly string[], names: readonly string[]): boolean {
  const [first, ...rest] = pattern
  const [name, ...others] = names
  if (first === undefined) return name === undefined
  if (first === '**' && rest.length === 0) return names.length > 0
  if (first === '**') return plainly(rest, names) || (name !== undefined && plainly(pattern, others))
  return name !== undefined && nameFits(first, name) && plainly(rest, others)
}

function nameFits(pattern: string, name: string): boolean {
  const [first, rest] = [pattern[0], pattern.slice(1)]
  if (first === undefined) return name === ''
  if (first === '*') return nameFits(rest, name) || (name !== '' && nameFits(pattern, name.slice(1)))
  return name !== '' && (first === '?' || first === name[0]) && nameFits(rest, name.slice(1))
}

test('a pattern of many stars does not match in no time', () => {
  assert.equal(glob(`/${'*a'.repeat(40)}b`)?.matches('a'.repeat(255) as RelPath), false)
  assert.equal(glob(`/${'**/a/'.repeat(20)}b`)?.matches(`${'a/'.repeat(1000)}c` as RelPath), false)
  assert.equal(pathPattern(`/${'*a'.repeat(40)}b`).regex.test('a'.repeat(255)), false)
})

test('steps that come after each other in many ways are put in order once', () => {
  const step = (name: string, after: string): string => `[[step]]\nname = "${name}"\nrun = "true"\nafter = [${after}]\n`
  const levels = Array.from({ length: 40 }, (_, i) => step(`s${i}`, i === 0 ? '' : `"s${i - 1}", "s${i - 1}"`))
  const known = rulesOf(`[[rule]]\nname = "a"\nmatch = ["/a"]\nsteps = ["s39", "s0"]\n${levels.toReversed().join('')}`)
  assert.deepEqual(
    advise(known, events('changed', '/a'), new Map()).steps.map(({ name }) => name),
    ['s0', 's39'],
  )
})

test('a rule file that is not as it should be is refused, with the place', () => {
  const rule = '[[rule]]\nname = "a"\nmatch = ["/a"]\n'
  const step = '[[step]]\nname = "s"\nrun = "true"\n'
  const cases: readonly (readonly [string, RegExp])[] = [
    ['a = [', /is no TOML/],
    ['rules = 1', /no key 'rules'; did you mean 'rule'\?/],
    [`${rule}${rule}`, /rule 'a' is there twice/],
    [`${rule}reboot = "later"`, /rule 'a': reboot is none, restart, reboot, careful, not 'later'/],
    [`${rule}on = ["moved"]`, /rule 'a': on is added, changed, removed, not 'moved'/],
    [`${rule}no = ["a"]`, /rule 'a': no: 'a' is no absolute path/],
    [`${rule}notice = "a\\nb"`, /rule 'a': 'notice' is not one line/],
    [`${rule}configuration = 1`, /'configuration' is not true or false/],
    ['[[rule]]\nname = "a"', /rule 'a' matches nothing/],
    ['[[rule]]\nmatch = ["/a"]', /rule 1: 'name' is missing/],
    ['[[rule]]\nname = "a"\nmatch = ["a"]', /'a' is no pattern/],
    ['rule = 1', /'rule' is a list of tables/],
    ['[[step]]\nname = "s"', /step 's': 'run' is missing/],
    [`${step}seconds = 0`, /step 's': 'seconds' is not a whole number from 1/],
    [`${step}ask = "Which?"`, /'ask' and \{ask\} go together/],
    ['[[step]]\nname = "s"\nrun = "echo {path}"', /a placeholder is paths, names, ask, not 'path'/],
    [`${step}needs = "a b"`, /'needs' is not the name of a program/],
    [`${step}failure = "ignore"`, /failure is report, roll-back, not 'ignore'/],
  ]
  for (const [text, message] of cases) refused(() => decodeRules(utf8(`format = 1\n${text}`)), message)
  refused(() => decodeRules(utf8('format = 2')), /begins with 'format = 1'/)
  refused(() => decodeRules(Uint8Array.of(0xff)), /is no TOML/)
})

test('rules that ask for what is not there, and circles, are refused', () => {
  const rule = (name: string, more: string): string => `[[rule]]\nname = "${name}"\nmatch = ["/a"]\n${more}\n`
  const step = (name: string, after: string): string => `[[step]]\nname = "${name}"\nrun = "true"\nafter = ["${after}"]\n`
  refused(() => rulesOf(rule('a', 'steps = ["x"]')), /1\.toml: rule 'a' asks for step 'x'/)
  refused(() => rulesOf(rule('a', 'instead-of = ["x"]')), /rule 'a' stands instead of 'x'/)
  refused(() => rulesOf(step('a', 'x')), /step 'a' comes after 'x'/)
  refused(() => rulesOf(step('a', 'b') + step('b', 'a')), /steps come after each other: a, b, a/)
  refused(() => rulesOf(step('a', 'a')), /a, a/)
  refused(() => rulesOf(rule('a', 'instead-of = ["b"]') + rule('b', 'instead-of = ["a"]')), /rules stand instead of each other: a, b, a/)
})

test('rules that contradict each other about a path are refused when it comes up, unless one stands instead of the other', () => {
  const one = '[[rule]]\nname = "one"\nmatch = ["/etc/*"]\nconfiguration = true\n'
  const other = '[[rule]]\nname = "other"\nmatch = ["/etc/a"]\nconfiguration = false\n'
  refused(
    () => advise(rulesOf(one, other), events('changed', '/etc/a'), new Map()),
    /2\.toml: rule 'one' calls \/etc\/a configuration, rule 'other' does not/,
  )
  const settled = rulesOf(one, `${other}instead-of = ["one"]`)
  assert.deepEqual(advise(settled, events('changed', '/etc/a', '/etc/b'), new Map()).configuration, ['/etc/b'])
})

test('later files replace rules and steps of the same name, or take them out', () => {
  const first = '[[rule]]\nname = "a"\nmatch = ["/a"]\nreboot = "reboot"\n[[rule]]\nname = "b"\nmatch = ["/b"]\nreboot = "reboot"\n'
  const second = '[[rule]]\nname = "a"\noff = true\n[[rule]]\nname = "b"\nmatch = ["/b"]\nreboot = "restart"\n'
  assert.equal(advise(rulesOf(first), events('changed', '/a', '/b'), new Map()).reboot, 'reboot')
  assert.equal(advise(rulesOf(first, second), events('changed', '/a', '/b'), new Map()).reboot, 'restart')
})

test('a step that many files ask for runs once, behind those that it comes after, with the paths as words', () => {
  const known = rulesOf(`
[[rule]]
name = "units"
match = ["/units/**"]
on = ["added", "changed"]
steps = ["restart", "index"]
notice = "Services start again."
[[step]]
name = "restart"
run = "for i in {names}; do restart $i \${x}; done"
after = ["index"]
[[step]]
name = "index"
run = "index {paths}"
needs = "index"
seconds = 5
failure = "roll-back"
after-rollback = true
`)
  const all = [...events('changed', '/units/a', "/units/it's", '/units/b/a'), ...events('removed', '/units/gone')]
  const { steps, notices, reboot } = advise(known, all, new Map())
  const [index, restart] = steps
  assert.deepEqual([steps.length, notices, reboot], [2, ['Services start again.'], 'none'])
  assert.equal(index?.command, `command -v index >/dev/null 2>&1 || exit 0; index /units/a '/units/it'\\''s' /units/b/a`)
  assert.deepEqual([index?.seconds, index?.failure, index?.afterRollback], [5, 'roll-back', true])
  assert.equal(restart?.command, `for i in a 'it'\\''s'; do restart $i \${x}; done`)
})

test('paths too many for one command are shared out among several', () => {
  const known = rulesOf('[[rule]]\nname = "all"\nmatch = ["/**"]\nsteps = ["s"]\n[[step]]\nname = "s"\nrun = "s {paths}"\n')
  const paths = Array.from({ length: 500 }, (_, i) => `/some/rather/long/path/number-${i}`)
  const { steps } = advise(known, events('changed', ...paths), new Map())
  assert.ok(steps.length > 3)
  assert.ok(steps.every(({ command }) => command.length <= 4096))
  assert.deepEqual(
    steps.flatMap(({ command }) => command.split(' ').slice(1)),
    paths,
  )
  assert.deepEqual(
    steps.slice(0, 2).map(({ name }) => name),
    ['s', 's-2'],
  )
})

test('what a step asks must be answered; an empty answer leaves it out', () => {
  const known = rulesOf(
    '[[rule]]\nname = "boot"\nmatch = ["/boot"]\nsteps = ["s"]\n[[step]]\nname = "s"\nrun = "install {ask}"\nask = "Which disk?"\n',
  )
  const all = events('changed', '/boot')
  assert.deepEqual(questionsOf(known, all), [{ step: 's', text: 'Which disk?' }])
  refused(() => advise(known, all, new Map()), /step 's' of the rules asks: Which disk\?/)
  assert.deepEqual(
    advise(known, all, new Map([['s', 'sd0 sd1']])).steps.map(({ command }) => command),
    ['install sd0 sd1'],
  )
  assert.deepEqual(advise(known, all, new Map([['s', '']])).steps, [])
})

test('a name that fits into no record is refused where a rule speaks of it', () => {
  const known = rulesOf('[[rule]]\nname = "all"\nmatch = ["/**"]\nsteps = ["s"]\n[[step]]\nname = "s"\nrun = "s {paths}"\n')
  assert.throws(() => advise(known, [{ path: 'a\u00ff' as RelPath, happening: 'added' }], new Map()), { code: 'not-supported' })
})

test('the system of a tree is known by its run-time linker', () => {
  const cases = {
    '/usr/libexec/ld.so': 'openbsd',
    '/libexec/ld-elf.so.1': 'freebsd',
    '/libexec/ld-elf.so.2': 'dragonfly',
    '/libexec/ld.elf_so': 'netbsd',
    '/lib64/ld-linux-x86-64.so.2': 'linux',
    '/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1': 'linux',
    '/lib/ld-musl-x86_64.so.1': 'linux',
    '/opt/app/ld.so': undefined,
  }
  for (const [file, system] of Object.entries(cases)) assert.equal(systemOf([path(file)]), system, file)
})

test('rules test: the examples of all that is built in are right, and a wrong one is told', async () => {
  const good = await runCommand(verb, ['test'])
  assert.deepEqual([good.status, good.stdout], [0, ''])
  await inTemporary(async (folder) => {
    const file = join(folder, 'site.toml')
    writeFileSync(file, 'format = 1\nbase = "none"\n[[rule]]\nname = "a"\nmatch = ["/a*"]\nyes = ["/b"]\nno = ["/ab"]\n')
    const bad = await runCommand(verb, ['test', '--rules', file])
    assert.equal(bad.status, 1)
    assert.deepEqual(bad.stdout.trimEnd().split('\n'), [`${file}: rule 'a' is silent about /b`, `${file}: rule 'a' speaks of /ab`])
  })
})

test('rules explain says which rule, from where, and why', async () => {
  const words = ['explain', '--system', 'pcbsd', 'PCBSD/kernels/pcbsd-standard.tbz', '/boot/loader', '/lib/libc.so.7', 'sbin/mount_nfs']
  const { stdout } = await runCommand(verb, words)
  const lines = stdout.trimEnd().split('\n')
  assert.match(
    lines[0] ?? '',
    /^\/PCBSD\/kernels\/pcbsd-standard\.tbz: rule 'kernel-tarball' \(pcbsd\), since it matches .*: reboot; step extract-kernel$/,
  )
  assert.match(lines[1] ?? '', /^\/boot\/loader: rule 'loader' \(freebsd\).*: reboot with care; notice '/)
  assert.match(lines[2] ?? '', /rule 'linker-and-libc' .*: reboot; step ldconfig$/)
  assert.match(lines[3] ?? '', /rule 'shared-libraries' .*; but 'linker-and-libc' stands instead of it$/)
  assert.equal(lines[4], '/sbin/mount_nfs: no rule')
  const json = await runCommand(verb, [...words.slice(0, 4), '--json'])
  assert.equal(JSON.parse(json.stdout).rule, 'kernel-tarball')
})

test("the rules are those of the root's system where none is named", async () => {
  await inTemporary(async (root) => {
    mkdirSync(join(root, 'usr/libexec'), { recursive: true })
    assert.equal((await runCommand(verb, ['explain', '/bsd'], { root })).stdout, '/bsd: no rule\n')
    writeFileSync(join(root, 'usr/libexec/ld.so'), '')
    assert.match((await runCommand(verb, ['explain', '/bsd'], { root })).stdout, /rule 'kernel' \(openbsd\)/)
    assert.match((await runCommand(verb, ['list', '--system', 'freebsd'], { root })).stdout, /^step kldxref \(freebsd\): /m)
  })
})

test('an unknown system, action or path is a usage error', async () => {
  for (const words of [['list', '--system', 'plan9'], ['guess'], ['explain'], ['list', 'x'], ['explain', '/a/../b'], ['explain', '/']]) {
    assert.equal((await runCommand(verb, words)).code, 'usage', words.join(' '))
  }
})

test('no example of any system is about a rule that nothing in it can reach', () => {
  const silenced = rulesOf('[[rule]]\nname = "a"\nmatch = ["/a"]\nyes = ["/a"]\n[[rule]]\nname = "b"\nmatch = ["/a"]\ninstead-of = ["a"]\n')
  assert.deepEqual(failedExamples(silenced), ["1.toml: rule 'a' is silent about /a"])
})

test('rules learn proposes patterns that came with an effect and never without', needs('npm:node-liblzma', 'xz', 'tar'), async () => {
  await inTemporary(async (folder) => {
    const updates: readonly (readonly [string, readonly string[], string, boolean])[] = [
      ['kernel', ['PCBSD/kernels/a.tbz', 'share/doc/a'], 'tar xpjf PCBSD/kernels/a.tbz -C /boot', true],
      ['kernel2', ['PCBSD/kernels/b.tbz'], 'cp b /b\ntar xpjf PCBSD/kernels/b.tbz -C /boot', true],
      ['lib', ['lib/libz.so.5', 'share/doc/b'], '#!/bin/sh\ncp -r . /\n/sbin/ldconfig -R; exit 0', true],
      ['lib2', ['lib/libc.so.7', 'bin/ls'], 'mv x y && /sbin/ldconfig -R', true],
      ['doc', ['share/doc/a', 'bin/cat'], 'cp -r . /', false],
    ]
    for (const [name, paths, script, reboots] of updates) {
      const tree = join(folder, 'trees', name)
      for (const one of paths) {
        mkdirSync(join(tree, one, '..'), { recursive: true })
        writeFileSync(join(tree, one), name)
      }
      writeFileSync(join(tree, 'update.sh'), script)
      execFileSync('sh', ['-c', `tar -cf - . | xz --format=lzma -c >../../${name}.lzma`], { cwd: tree })
      const lines = [
        `MD5: ${'0'.repeat(32)}`,
        'Size: 1',
        `FileURL: /system-updates/${name}.lzma`,
        `RequiresReboot: ${reboots ? 'YES' : 'NO'}`,
      ]
      writeFileSync(join(folder, `${name}.upd`), `${lines.join('\n')}\n`)
    }
    const { status, stdout, stderr } = await runCommand(verb, ['learn', folder])
    assert.deepEqual([status, stderr], [0, []])
    const proposed = rulesOf(stdout.replace('format = 1\n', ''))
    assert.deepEqual(failedExamples(proposed), [])
    const all = events('changed', '/lib/libfetch.so.6', '/PCBSD/kernels/c.tbz')
    const { reboot, steps } = advise(proposed, all, new Map())
    assert.equal(reboot, 'reboot')
    assert.ok(steps.some(({ command }) => command === '/sbin/ldconfig -R'))
    assert.equal(advise(proposed, events('changed', '/share/doc/c', '/bin/ls'), new Map()).reboot, 'none')

    writeFileSync(join(folder, 'doc.lzma'), 'torn')
    const torn = await runCommand(verb, ['learn', folder])
    assert.equal(torn.status, 6)
    assert.match(torn.stderr[0] ?? '', /doc\.lzma: is no xz or lzma, or too large; left out/)
    assert.equal((await runCommand(verb, ['learn', join(folder, 'trees')])).code, 'not-found')
    assert.equal((await runCommand(verb, ['learn'])).code, 'usage')
  })
})

test('rules learn proposes nothing that it would not take itself, whatever the names and commands are', () => {
  const odd = [
    'bin/[',
    'bin/a*b?',
    'etc/{a}',
    'etc/x\\y',
    'etc/\xff',
    'etc/a\nb',
    'etc/\u001b[2J',
    'etc/"q"\'',
    'etc/]',
    'etc/\xe2\x80\xae',
  ] as RelPath[]
  const script = [
    'awk {print}',
    'echo',
    'x \u007f',
    'y \u001b[2J',
    `z ${'z'.repeat(5000)}`,
    'w "q" \\t',
    ...odd.map((_, i) => `run-${i}`),
  ].join('\n')
  const effects = effectsOfScript(script)
  assert.deepEqual(effects.slice(0, 2), ['w "q" \\t', 'run-0'])
  const specimens = odd.map((one, i) => ({ name: String(i), paths: [one], effects: [effects[0] ?? '', `run-${i}`] }))
  const proposed = rulesOf(proposalText(learnRules(specimens), odd.length).replace('format = 1\n', ''))
  assert.deepEqual(failedExamples(proposed), [])
  assert.ok(proposed.rules.some(({ match }) => match[0]?.text === '/bin/[[]'))
})

test('rules learn is done with many paths and commands at once', () => {
  const specimen = (n: number): Specimen => ({
    name: String(n),
    paths: Array.from({ length: 3000 }, (_, i) => `d${i % 50}/${n}-${i}` as RelPath),
    effects: Array.from({ length: 256 }, (_, i) => `run-${n}-${i}`),
  })
  const { proposals } = learnRules(Array.from({ length: 8 }, (_, n) => specimen(n)))
  assert.equal(proposals.length, 8 * 256)
})
