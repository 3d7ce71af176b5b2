import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeErrata } from '../src/format/errata.ts'
import { errataText, fileDiff, signedApply } from './helpers/errata.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { Errata } from '../src/format/errata.ts'
import type { Section } from './helpers/errata.ts'

const decode = (text: string): Errata => decodeErrata(utf8(text))

const title = 'OpenBSD 7.4 errata 001, October 25, 2023:'
const description = 'A lamp in the greenhouse could be lit without asking.\nTomatoes are not affected.'
const diff = fileDiff('usr.sbin/lampd/lampd.c', ['int lit;'], ['int lit = 0;'])
const rebuild: Section = {
  heading: 'And then rebuild and install lampd:',
  commands: ['cd /usr/src/usr.sbin/lampd', 'make obj', 'make', 'make install'],
}
const usual = errataText({ title, description, sections: [signedApply('001_lampd'), rebuild], diff })

test('a patch of today: title, description, how to patch, what to run, which files', () => {
  const errata = decode(usual)
  assert.equal(errata.title, 'OpenBSD 7.4 errata 001, October 25, 2023')
  assert.deepEqual([errata.release, errata.number], ['7.4', '001'])
  assert.equal(errata.description, description)
  assert.deepEqual(errata.apply, {
    line: 7,
    folder: '/usr/src',
    strip: 0,
    name: '001_lampd',
    key: 'openbsd-74-base.pub',
    startFolder: '/usr',
  })
  assert.deepEqual(errata.blocks, [
    {
      heading: 'And then rebuild and install lampd:',
      steps: [
        { line: 11, text: 'cd /usr/src/usr.sbin/lampd' },
        { line: 12, text: 'make obj' },
        { line: 13, text: 'make' },
        { line: 14, text: 'make install' },
      ],
    },
  ])
  assert.deepEqual(errata.files, [{ kind: 'changed', path: 'usr.sbin/lampd/lampd.c' }])
  assert.equal(latin1(errata.diff), diff)
})

test('a patch of the years before signify: no title, a plain patch command, paths from where it left the shell', () => {
  const apply: Section = { heading: 'Apply by doing:', commands: ['cd /usr/src', 'patch -p0 < 012_lampd.patch'] }
  const then: Section = { heading: 'And then rebuild and install lampd:', commands: ['cd usr.sbin/lampd', 'make obj depend all install'] }
  const { title, release, number, apply: read, blocks } = decode(errataText({ sections: [apply, then], diff }))
  assert.deepEqual([title, release, number], [undefined, undefined, '012'])
  assert.deepEqual([read.folder, read.startFolder, read.name, read.key], ['/usr/src', '/usr/src', '012_lampd', undefined])
  assert.deepEqual(
    blocks[0]?.steps.map(({ text }) => text),
    ['cd usr.sbin/lampd', 'make obj depend all install'],
  )
})

test('a kernel, tabs, several blocks, a comment, a blank line between', () => {
  const text = [
    '',
    'OpenBSD 5.8 errata 8, Nov 9, 2015',
    '',
    'Words.',
    '',
    'Apply by doing:',
    '    signify -Vep /etc/signify/openbsd-58-base.pub -x 008_rack.patch.sig \\',
    '\t-m - | (cd /usr/xenocara && patch -p1)',
    '',
    'And then rebuild and install a kernel:',
    '\tcd /usr/src/sys/arch/`machine`/conf',
    '\tKK=`sysctl -n kern.osversion | cut -d# -f1`',
    '\tconfig $KK',
    '\t# this takes a while',
    '',
    '\tcd ../compile/$KK',
    '\tmake',
    'Now build and install the',
    'rest of it:',
    '  cd /usr/src/lib/librack && make \\',
    '      install',
    '',
    '',
    'diff --git a/x b/x',
    '--- a/x',
    '+++ b/x',
    '@@ -1 +1 @@',
    '--- not a header',
    '+++ nor this',
    '',
  ].join('\n')
  const { number, apply, blocks, files } = decode(text)
  assert.equal(number, '008')
  assert.deepEqual([apply.line, apply.folder, apply.strip, apply.name], [7, '/usr/xenocara', 1, '008_rack'])
  assert.deepEqual(blocks, [
    {
      heading: 'And then rebuild and install a kernel:',
      steps: [
        { line: 11, text: 'cd /usr/src/sys/arch/`machine`/conf' },
        { line: 12, text: 'KK=`sysctl -n kern.osversion | cut -d# -f1`' },
        { line: 13, text: 'config $KK' },
        { line: 16, text: 'cd ../compile/$KK' },
        { line: 17, text: 'make' },
      ],
    },
    { heading: 'Now build and install the rest of it:', steps: [{ line: 20, text: 'cd /usr/src/lib/librack && make \\\n      install' }] },
  ])
  assert.deepEqual(files, [{ kind: 'changed', path: 'x' }])
})

test('commands after the patch command, in the same block, are the first block', () => {
  const apply: Section = {
    heading: 'Apply by doing:',
    commands: ['cd /usr/src && patch -p0 < 003_lampd.patch', 'cd usr.sbin/lampd', 'make'],
  }
  const { blocks, apply: read } = decode(errataText({ title, sections: [apply], diff }))
  assert.deepEqual(blocks, [
    {
      heading: 'Apply by doing:',
      steps: [
        { line: 5, text: 'cd usr.sbin/lampd' },
        { line: 6, text: 'make' },
      ],
    },
  ])
  assert.equal(read.startFolder, '/usr/src')
})

const applyForms: readonly (readonly [string, readonly string[], string, string])[] = [
  ['blanks in the subshell', ['signify -Vep /k.pub -x 001_a.patch.sig -m - | ( cd /usr/src; patch -p 0 )'], '/usr/src', '/usr'],
  ['a subshell that reads the file', ['(cd /usr/src && patch -p0 < /tmp/001_a.patch)'], '/usr/src', '/usr'],
  ['signify after cd', ['cd /usr/src/', 'signify -Vep /k.pub -x /tmp/001_a.patch.sig -m - | patch -p0'], '/usr/src', '/usr/src'],
  ['a subshell after cd', ['cd /tmp', 'signify -Vep /k.pub -x 001_a.patch.sig -m - | (cd /usr/src && patch -p0)'], '/usr/src', '/tmp'],
  ['a folder of the root', ['signify -Vep /k.pub -x 001_a.patch.sig -m - | (cd /src && patch -p0)'], '/src', '/'],
]

for (const [name, commands, folder, startFolder] of applyForms) {
  test(`how to patch: ${name}`, () => {
    const { apply } = decode(errataText({ title, sections: [{ heading: 'Apply by doing:', commands }, rebuild], diff }))
    assert.deepEqual([apply.folder, apply.startFolder, apply.name], [folder, startFolder, '001_a'])
  })
}

function refused(text: string | Uint8Array, code: ErrorCode, says: RegExp): void {
  assert.throws(
    () => decodeErrata(typeof text === 'string' ? utf8(text) : text),
    (error) => isBinderyError(error, code) && says.test(error.message),
  )
}

const otherApply = [
  'fetch http://example.org/x | sh',
  '(cd /usr/src && patch -p0)',
  'signify -Vep /k.pub -x 001_a.patch.sig -m - | sh',
  'signify -Vep /k.pub -x 001_a.patch.sig -m - | (cd /usr/src && patch -p0) && reboot',
  'signify -Vep /k.pub -x 001_a.patch.sig -m - | (cd /usr/src && patch -p0 -o /etc/passwd)',
  'signify -Vep /k.pub -x 001_a.patch.sig -m - | (cd usr/src && patch -p0)',
  'signify -Vep /k.pub -x 001_a.patch.sig -m - | (cd /usr/../src && patch -p0)',
  'signify -Vep /k.pub -x 001_a.patch.sig -m - | (cd $HOME && patch -p0)',
  'cd /usr/src',
  'patch -p0 < 001_a.patch',
]

for (const command of otherApply) {
  test(`no known way to patch: ${command}`, () => {
    refused(errataText({ title, sections: [{ heading: 'Apply by doing:', commands: [command] }], diff }), 'bad-format', /^line 4: /)
  })
}

const otherBlocks: readonly (readonly [string, string, RegExp])[] = [
  ['prose instead of commands', 'Then build and install a new kernel.\n', /^line 7: is no heading of commands: 'Then build/],
  ['a heading without commands', 'And then rebuild the kernel:\n', /^line 7: is no heading of commands/],
  ['a command at the left margin', 'make install\n', /^line 7: is no heading/],
  ['prose after the commands', 'And then rebuild:\n    make\nReboot.\n', /^line 9: is no heading of commands: 'Reboot\.'/],
  ['a heading of a condition', 'And if you run lampd, rebuild it:\n    make\n', /^line 7: leaves a choice/],
  ['an alternative', 'And then rebuild:\n    make\n\nOr install a snapshot:\n    make\n', /^line 10: leaves a choice/],
  ['an alternative among the commands', 'And then rebuild:\n    make\n    or\n    gmake\n', /^line 9: leaves a choice/],
  ['a heading of another kind', 'Workaround:\n    rm -f /bsd\n', /^line 7: is no heading/],
  ['a second patch', 'And then rebuild:\n    cd x && patch -p0 < 002_x.patch\n', /^line 8: patches a second time/],
  ['a second signature', 'And then rebuild:\n    signify -Vep k -x f -m - | sh\n', /^line 8: patches a second time/],
  ['a here-document', 'And then rebuild:\n    cat > x << EOF\n    y\n    EOF\n', /^line 8: holds a here-document/],
  ['a line that nothing continues', 'And then rebuild:\n    make \\\n\n', /^line 8: is continued by nothing/],
  ['letters that look like others', 'And then rebuild:\n    m\u0430ke\n', /^line 8: holds more than ASCII/],
  ['an escape sequence', 'And then rebuild:\n    make \u001b[2K\n', /^line 8: holds a control character/],
]

for (const [name, text, says] of otherBlocks) {
  test(`instructions that are refused: ${name}`, () => {
    refused(errataText({ title, sections: [signedApply('001_a')], diff: `${text}\n${diff}` }), 'bad-format', says)
  })
}

test('a command right below the first heading at the left margin is not taken for a part of it', () => {
  refused(`${title}\n\nApply by doing:\ncd /usr/src\n    patch -p0 < 001_a.patch\n\n${diff}`, 'bad-format', /^line 3: is no heading/)
})

test('words that only sound like a command are fine', () => {
  const block: Section = {
    heading: 'And then rebuild patch and signify:',
    commands: ['cd /usr/src/usr.bin/patch', 'make -C ../signify install'],
  }
  assert.equal(decode(errataText({ title, sections: [signedApply('001_a'), block], diff })).blocks[0]?.steps.length, 2)
})

test('no instructions, no diff, nothing', () => {
  refused('', 'bad-format', /holds no diff/)
  refused(`${title}\n\n${description}\n`, 'bad-format', /holds no diff/)
  refused(`${title}\n\n${description}\n\n${diff}`, 'bad-format', /no line 'Apply by doing:'/)
  refused(diff, 'bad-format', /no line 'Apply by doing:'/)
})

test('line ends of another system and NULs are refused with their line', () => {
  refused(usual.replaceAll('\n', '\r\n'), 'bad-format', /^line 1: ends with a carriage return/)
  refused(usual.replace('make obj', 'make obj\r'), 'bad-format', /^line 12: ends with a carriage return/)
  refused(
    usual.replace('make obj', 'make\0obj'),
    'bad-format',
    /^line 12: holds a control character: 'make\\000obj'|^line 12: .*make\\000obj/,
  )
  assert.equal(decode(usual.replace('+int', '+\rint')).files.length, 1)
})

test('a patch without a number is refused', () => {
  refused(errataText({ sections: [signedApply('lampd'), rebuild], diff }), 'bad-format', /^line 2: there is no title/)
})

test('a text that does not end is not read for long', () => {
  refused(`${title}\n\n${'word '.repeat(20_000)}\n${usual}`, 'over-limit', /bytes before its diff/)
  for (const fill of [' ', '\t', '<', ':', '\\', '(', '-m - | ', 'a < '])
    for (const start of [title.slice(0, -1), 'Apply', 'Apply by doing:\n    ', 'Apply by doing:\n    signify -Vep k -x '])
      assert.throws(
        () => decode(`${start}${fill.repeat(60_000 / fill.length)}x\n${diff}`),
        (error) => isBinderyError(error),
      )
})

test('diffs: files that come and go, hunks that are cut off, paths that lead away', () => {
  const head = errataText({ title, sections: [signedApply('001_a')], diff: '' })
  const both = fileDiff('a/new.c', [], ['x']) + fileDiff('a/old.c', ['x'], [])
  assert.deepEqual(decode(head + both).files, [
    { kind: 'added', path: 'a/new.c' },
    { kind: 'removed', path: 'a/old.c' },
  ])
  const plain = (hunk: string): string => `${head}--- f\n+++ f\n${hunk}`
  assert.equal(decode(plain('@@ -1,2 +1,2 @@\n-a\n\n+b\n\\ No newline at end of file\n')).files.length, 1)
  refused(plain('@@ -1,3 +1,3 @@\n-a\n+b\n'), 'bad-format', /^line 9: the diff ends inside the hunk/)
  refused(plain('@@ -1,2 +1,2 @@\n-a\n+b\n*c\n'), 'bad-format', /^line 12: does not fit its hunk/)
  refused(plain('@@ -1,1 +1,2 @@\n-a\n-b\n'), 'bad-format', /^line 11: does not fit its hunk/)
  refused(`${head}Index: f\nnothing\n`, 'bad-format', /^line 8: is no line of a unified diff: 'nothing'/)
  refused(`${head}Index: f\n=====\n`, 'bad-format', /^line 7: there is no unified diff/)
  refused(`${head}*** f\n--- f\n***************\n`, 'not-supported', /^line 7: is more than a unified diff/)
  const beside = ['rename from a', 'copy to b', 'new mode 100755', 'GIT binary patch', 'Binary files a and b differ']
  for (const line of beside) refused(`${head}diff --git a/x b/x\n${line}\n${diff}`, 'not-supported', /^line 8: is more than a unified/)
  refused(`${head}--- /dev/null\n+++ /dev/null\n`, 'bad-format', /^line 7: names no file/)
  for (const path of ['../x', '/etc/passwd', 'a/../../x', 'a//x', '.', ''])
    refused(`${head}--- ${path}\n+++ ${path}\n@@ -1 +1 @@\n-a\n+b\n`, 'hostile', /^line 7: .* is no path below the sources/)
})

test('diffs: nothing that patch would find is skipped', () => {
  const head = errataText({ title, sections: [signedApply('001_a')], diff: '' })
  const hidden = ['1c1', '0a', '12,13d', '@@ -1 +1 @@', '  --- f', 'X--- f', '  @@ -1 +1 @@', '+++ f', '-- ', '> x']
  for (const line of hidden) {
    refused(`${head}Index: f\n${line}\n${diff}`, 'bad-format', /^line 8: is no line of a unified diff/)
    // There, it would be a hunk of the file before it.
    if (!line.startsWith('@@')) refused(`${head}${diff}${line}\n`, 'bad-format', /^line 16: is no line of a unified diff/)
  }
})

test('diffs: all names are of one file', () => {
  const head = errataText({ title, sections: [signedApply('001_a')], diff: '' })
  const named = (index: string, old: string, now: string): string => `${head}Index: ${index}\n--- ${old}\n+++ ${now}\n@@ -1 +1 @@\n-a\n+b\n`
  const path = (text: string): string | undefined => decode(text).files[0]?.path
  assert.equal(path(named('a/f.c', 'a/f.c', 'a/f.c')), 'a/f.c')
  assert.equal(path(named('a/f.c', 'f.c\t1 Jan', 'f.c\t2 Jan')), 'a/f.c')
  assert.equal(path(named('a/f.c', 'a/f.c.orig\t1 Jan', 'a/f.c')), 'a/f.c')
  assert.equal(path(named('a/f.c', '/dev/null', 'a/f.c')), 'a/f.c')
  refused(named('a/f.c', 'b/f.c', 'a/f.c'), 'bad-format', /^line 8: names another file than a\/f\.c: 'b\/f\.c'/)
  refused(named('f.c', 'a/f.c', 'a/f.c'), 'bad-format', /^line 8: names another file/)
  refused(named('a/f.c', 'a/f.c', '../../etc/f.c'), 'hostile', /^line 8: /)
})

const word = fc.stringMatching(/^[a-z][a-z0-9._/-]{0,12}$/)
const command = fc
  .array(word, { minLength: 1, maxLength: 4 })
  .map((words) => words.join(' '))
  .filter((text) => !/^(?:or|patch|signify)\b/.test(text))
const section = fc.record({
  heading: fc.array(word, { minLength: 1, maxLength: 5 }),
  commands: fc.array(command, { minLength: 1, maxLength: 6 }),
})
const choice = /\b(?:or|if|either|alternatively|otherwise|unless|only|optional|optionally|instead|when)\b/
const path = fc.array(fc.stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/), { minLength: 1, maxLength: 4 }).map((names) => names.join('/'))
const lines = fc.array(fc.stringMatching(/^[ -~]{0,20}$/), { minLength: 1, maxLength: 6 })

test('what is written in the usual shape is read back', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 999 }),
      fc.array(
        section.filter(({ heading }) => !choice.test(heading.join(' '))),
        { maxLength: 4 },
      ),
      fc.array(fc.tuple(path, lines, lines), { minLength: 1, maxLength: 4 }),
      (number, sections, files) => {
        const blocks = sections.map(({ heading, commands }) => ({ heading: `And then ${heading.join(' ')}:`, commands }))
        const padded = String(number).padStart(3, '0')
        const parts = {
          title: `OpenBSD 7.4 errata ${number}, May 7, 2023:`,
          description,
          sections: [signedApply(`${padded}_x`), ...blocks],
          diff: files.map(([path, old, now]) => fileDiff(path, old, now)).join(''),
        }
        const text = errataText(parts)
        const errata = decode(text)
        assert.equal(errata.number, padded)
        assert.deepEqual(
          errata.blocks.map(({ heading, steps }) => ({ heading, commands: steps.map(({ text }) => text) })),
          blocks,
        )
        for (const { line, text: step } of errata.blocks.flatMap(({ steps }) => steps))
          assert.equal(text.split('\n')[line - 1]?.trim(), step)
        assert.deepEqual(
          errata.files.map(({ path }) => path as string),
          files.map(([path]) => path),
        )
      },
    ),
  )
})

test('any cut and any changed byte gives a patch or a clear refusal', () => {
  const bytes = utf8(usual)
  const readOrRefused = (damaged: Uint8Array): void => {
    try {
      decodeErrata(damaged)
    } catch (error) {
      assert.ok(isBinderyError(error), String(error))
      assert.ok(['bad-format', 'hostile', 'not-supported'].includes(error.code))
    }
  }
  for (let size = 0; size < bytes.length; size += 1) readOrRefused(bytes.subarray(0, size))
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
      const damaged = bytes.slice()
      damaged[at] = value
      readOrRefused(damaged)
    }),
  )
})
