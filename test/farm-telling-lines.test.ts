import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tellingLines } from '../src/engine/farm/build/telling-lines.ts'

const cases: Readonly<Record<string, { readonly log: string; readonly tells: string; readonly count?: number }>> = {
  'a compiler tells before make does': {
    log: 'cc -c a.c\na.c: In function f:\na.c:3:5: error: unknown type name `foo`\n  foo x;\n  ^\n1 error generated.\ngmake: *** [Makefile:3: a.o] Error 1\n*** Error 1 in net/x (Makefile:4)\n',
    tells: 'a.c:3:5: error: unknown type name `foo`',
  },
  'a linker': {
    log: 'cc -o p a.o\nld: error: undefined symbol: bar\n>>> referenced by a.c\ncc: error: linker command failed\n*** Error 1\n',
    tells: 'ld: error: undefined symbol: bar',
  },
  'a patch that does not apply': {
    log: 'Hmm...  Looks like a unified diff to me...\nPatching file a.c using Plan A...\nHunk #1 failed at 3.\n1 out of 1 hunks failed--saving rejects to a.c.rej\n===> patch-a_c did not apply cleanly\n*** Error 1 in net/x\n',
    tells: 'Hunk #1 failed at 3.',
  },
  configure: {
    log: 'checking for gcc... gcc\nchecking for zlib... no\nconfigure: error: zlib is needed\n*** Error 1 in net/x\n',
    tells: 'configure: error: zlib is needed',
  },
  'make alone': {
    log: "make: don't know how to make a.o (prerequisite of: all)\nStop in /p\n",
    tells: "make: don't know how to make a.o (prerequisite of: all)",
  },
  'a bad checksum': {
    log: '>> Checksum file\n>> (SHA256) curl.tar.xz: checksum mismatch\n*** Error 1\n',
    tells: '>> (SHA256) curl.tar.xz: checksum mismatch',
  },
  'warnings that speak of errors': {
    log: 'cc -Werror -c error.c\na.c:1: warning: error handling is deprecated\ncc -c b.c\nb.c:9: fatal error: b.h: No such file\n',
    tells: 'b.c:9: fatal error: b.h: No such file',
  },
  'nothing that tells: its end': { log: `${Array.from({ length: 20 }, (_, i) => `line ${i}`).join('\n')}\n`, tells: 'line 19', count: 6 },
}

for (const [name, { log, tells, count }] of Object.entries(cases)) {
  test(`telling lines: ${name}`, () => {
    const lines = tellingLines(log)
    assert.ok(lines.includes(tells), lines.join('\n'))
    assert.ok(lines.length <= (count ?? 7))
  })
}

test('telling lines: two before it, four after it, and nothing that a terminal would do', () => {
  const lines = tellingLines('0\n1\n2\n\u001b[31mx: error: \u0007red\u001b[0m\n4\n5\n6\n7\n8\n')
  assert.deepEqual(lines, ['1', '2', 'x: error: red', '4', '5', '6', '7'])
  assert.ok((tellingLines(`error: ${'x'.repeat(10_000)}`)[0] as string).length < 300)
  assert.deepEqual(tellingLines(''), [])
})
