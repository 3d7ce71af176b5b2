import assert from 'node:assert/strict'
import { chmodSync, existsSync, linkSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, equalBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { pbi } from '../src/command/pbi.ts'
import { joinPbi, splitPbi } from '../src/format/pbi.ts'
import { bzip2 } from '../src/format/bzip2-encode.ts'
import { parseRelPath } from '../src/base/path.ts'
import { refuseLinksOut } from '../src/engine/pkg/links.ts'
import { treeOfTar } from '../src/engine/pkg/tree.ts'
import { writeChecksum } from '../src/format/tar-numbers.ts'
import { needs } from './helpers/programs.ts'
import { plantPbi, png, rawPbi, shell } from './helpers/pbi.ts'
import { runCommand } from './helpers/run-command.ts'
import { directory, end, extension, file, hardlink, member, pax, symlink } from './helpers/tar-builder.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { RelPath } from '../src/base/path.ts'
import type { TreeNode } from '../src/engine/pkg/tree.ts'
import type { Outcome } from './helpers/run-command.ts'

const run = async (...words: readonly string[]): Promise<Outcome> => await runCommand(pbi, words)

async function done(...words: readonly string[]): Promise<Outcome> {
  const outcome = await run(...words)
  assert.equal(outcome.status, 0, `${words.join(' ')}: ${outcome.error?.subject ?? ''}: ${outcome.error?.message ?? ''}`)
  return outcome
}

function plantHello(folder: string): void {
  plantPbi(
    folder,
    { 'pre-install.sh': 'echo before', LICENSE: 'as you like' },
    { 'bin/hello': '#!/bin/sh\necho hello\n', 'share/text': 'text '.repeat(5000), [`long/${'x'.repeat(120)}/name`]: 'deep', empty: '' },
  )
  const payload = join(folder, 'payload')
  chmodSync(join(payload, 'bin/hello'), 0o755)
  linkSync(join(payload, 'bin/hello'), join(payload, 'bin/hi'))
  symlinkSync('../share/text', join(payload, 'bin/text'))
  symlinkSync('/usr/pbi/hello-amd64/share', join(payload, 'home'))
}

/** As pbi_add does: the line of the first marker, and what is behind it. */
const payloadByShell = `n=$(awk '/^__PBI_ARCHIVE__/ {print NR+1; exit 0}' "$1"); tail -n "+$n" "$1"`

for (const [codec, flags] of [
  ['xz', []],
  ['bzip2', ['--bzip2']],
] as const)
  test(
    `a PBI packed here is read by the shell, with ${codec}`,
    needs('tar', 'awk', 'npm:node-liblzma', 'xz', 'bzip2', 'openssl', 'sha256sum'),
    async () => {
      await inTemporary(async (at) => {
        plantHello(join(at, 'in'))
        await done('pack', join(at, 'in'), ...flags, '-o', join(at, 'x.pbi'))
        shell(
          at,
          'mkdir h p; cat x.pbi | bzip2 -dc 2>/dev/null | tar xf - -C h; test "$(cat x.pbi.sha256)" = "$(sha256sum <x.pbi | cut -c1-64)"',
        )
        shell(at, `${payloadByShell} >payload; ${codec} -t <payload; ${codec} -dc <payload | tar xpf - -C p`, 'x.pbi')
        shell(at, 'test "$(cat h/pbi_archivesum)" = "$(sha256sum <payload | cut -c1-64)"; test "$(cat h/pbi_formatver)" = 1')
        shell(at, 'diff -r --no-dereference in/payload p; for i in in/header/*; do cmp "$i" "h/${i##*/}"; done')
        assert.equal(
          shell(at, `${codec} -dc <payload | tar tf - | wc -l`).trim(),
          readFileSync(join(at, 'h/pbi_archivecount'), 'latin1').trim(),
        )
        assert.equal(statSync(join(at, 'p/bin/hi')).nlink, 2)
      })
    },
  )

test('a PBI made by cat and tar is read here', needs('tar', 'npm:node-liblzma', 'xz', 'bzip2', 'sha256sum'), async () => {
  await inTemporary(async (at) => {
    plantHello(join(at, 'in'))
    shell(
      at,
      `tar cJf payload -C in/payload . && sha256sum <payload | cut -c1-64 >in/header/pbi_archivesum
       tar cjf header -C in/header . && cat header >x.pbi
       printf '\\n__PBI_ICON__\\n' >>x.pbi; cat in/icon.png >>x.pbi; printf '\\n__PBI_ARCHIVE__\\n' >>x.pbi; cat payload >>x.pbi`,
    )
    await done('extract', join(at, 'x.pbi'), '-o', join(at, 'out'))
    shell(at, 'diff -r --no-dereference in out')
    assert.equal(statSync(join(at, 'out/payload/bin/hi')).ino, statSync(join(at, 'out/payload/bin/hello')).ino)
    assert.equal(statSync(join(at, 'out/payload/bin/hello')).mode & 0o7777, 0o755)
    const { stdout } = await done('info', join(at, 'x.pbi'))
    assert.match(stdout, /^form: PBI 9\nformat version: not told\n/)
    assert.match(stdout, /^pbi_name: Hello World$/m)
    assert.match(stdout, /^archive sum: right\nsignatures: none$/m)
  })
})

test('pack is a function of the folder, and extract its inverse', needs('cp'), async () => {
  await inTemporary(async (at) => {
    plantHello(join(at, 'in'))
    await done('pack', join(at, 'in'), '-o', join(at, 'a.pbi'))
    await done('extract', join(at, 'a.pbi'), '-o', join(at, 'out'))
    await done('pack', join(at, 'out'), '-o', join(at, 'b.pbi'))
    assert.deepEqual(readFileSync(join(at, 'b.pbi')), readFileSync(join(at, 'a.pbi')))
    const again = await run('extract', join(at, 'a.pbi'), '-o', join(at, 'out'))
    assert.equal(again.code, 'exists')
  })
})

test('the name is as PC-BSD had it', async () => {
  await inTemporary(async (at) => {
    plantHello(join(at, 'in'))
    const before = process.cwd()
    process.chdir(at)
    try {
      await done('pack', 'in')
    } finally {
      process.chdir(before)
    }
    assert.deepEqual(readdirSync(at).toSorted(), ['helloworld-1.0-amd64.pbi', 'helloworld-1.0-amd64.pbi.sha256', 'in'])
  })
})

test('signatures are those of openssl, both ways', needs('openssl', 'tar', 'bzip2'), async () => {
  await inTemporary(async (at) => {
    plantHello(join(at, 'in'))
    shell(at, 'for i in 1 2; do openssl genrsa -out $i.pem 2048; openssl rsa -in $i.pem -pubout -out $i.pub; done')
    const [file, key] = [join(at, 'x.pbi'), join(at, '1.pub')]
    await done('pack', join(at, 'in'), '--sign', join(at, '1.pem'), '-o', file)
    shell(at, 'mkdir h; bzip2 -dc 2>/dev/null <x.pbi | tar xf - -C h || :')
    for (const name of ['pbi_archivesum', 'pre-install.sh'])
      shell(at, 'openssl dgst -sha1 -verify 1.pub -signature "h/$1.sha1" "h/$1"', name)
    assert.ok(!existsSync(join(at, 'h/pbi_name.sha1')))
    const { stdout } = await done('info', file, '-p', key)
    assert.match(stdout, /^pre-install.sh: 12 bytes \(signed\)$/m)
    assert.match(stdout, /^signatures: of pbi_archivesum, pre-install.sh; everything else in the header and the icon is not signed$/m)
    await done('extract', file, '-p', key, '-o', join(at, 'out'))
    for (const action of [['info'], ['extract', '-o', join(at, 'none')]])
      assert.equal((await run(...action, file, '-p', join(at, '2.pub'))).code, 'bad-signature')

    shell(at, 'openssl dgst -sha1 -sign 1.pem -out in/header/x.sha1 in/header/pbi_name; printf "echo more\\n" >in/header/post-install.sh')
    shell(at, 'cp -r out forged; printf "echo evil\\n" >forged/header/post-install.sh; (cd forged/header && tar cjf ../../header *)')
    const bytes = splitPbi(new Uint8Array(readFileSync(file)))
    assert.ok(bytes.form === 'pbi9')
    writeFileSync(file, joinPbi({ ...bytes, header: new Uint8Array(readFileSync(join(at, 'header'))) }))
    const forged = await run('extract', file, '-p', key, '-o', join(at, 'none'))
    assert.deepEqual([forged.code, forged.error?.message], ['bad-signature', 'post-install.sh is not signed'])
    assert.ok(!existsSync(join(at, 'none')))
  })
})

test('keys that are none, or no RSA keys, are told', needs('openssl'), async () => {
  await inTemporary(async (at) => {
    plantHello(join(at, 'in'))
    shell(at, 'openssl genpkey -algorithm ed25519 -out ed.pem; echo nothing >none.pem')
    for (const [key, code] of [
      ['ed.pem', 'not-supported'],
      ['none.pem', 'bad-format'],
      ['in/icon.png', 'bad-format'],
    ] as const)
      assert.equal((await run('pack', join(at, 'in'), '--sign', join(at, key), '-o', join(at, 'x.pbi'))).code, code)
    assert.ok(!existsSync(join(at, 'x.pbi')))
  })
})

// --- before PBI 9

const program = utf8("\x7fELF… awk '/^__PBI_ARCHIVE__/ { print NR + 1; exit 0; }' \n more\0")

for (const codec of ['lzma', 'xz', 'bzip2', 'gzip', 'cat'])
  test(
    `two archives behind a program are read, with ${codec}`,
    needs('tar', 'npm:node-liblzma', 'xz', 'lzma', 'bzip2', 'gzip'),
    async () => {
      await inTemporary(async (at) => {
        plantHello(join(at, 'in'))
        writeFileSync(join(at, 'program'), program)
        shell(
          at,
          `cat program >x.pbi; printf '\\n__PBI_ARCHIVE__\\n' >>x.pbi; tar cf - -C in/header . | bzip2 >>x.pbi; cat in/icon.png >>x.pbi
         printf '\\n__PBI_ARCHIVE2__\\n' >>x.pbi; tar cf - -C in/payload . | $1 >>x.pbi`,
          codec,
        )
        const { stderr } = await done('extract', join(at, 'x.pbi'), '-o', join(at, 'out'))
        assert.match(stderr.join('\n'), /tells no sum/)
        shell(at, 'cmp program out/program; rm out/program; diff -r --no-dereference in out')
        const { stdout } = await done('info', join(at, 'x.pbi'), '--json')
        const shown = JSON.parse(stdout) as { form: string; payload: { codec: string }; sum: string }
        assert.deepEqual([shown.form, shown.payload.codec, shown.sum], ['two-archives', codec === 'cat' ? 'none' : codec, 'absent'])
      })
    },
  )

test('one archive behind a program is read', async () => {
  await inTemporary(async (at) => {
    const tar = concatBytes([file('bin/x', 'x'), end])
    writeFileSync(join(at, 'x.pbi'), concatBytes([program, utf8('\n__PBI_ARCHIVE__\n'), bzip2(tar)]))
    await done('extract', join(at, 'x.pbi'), '-o', join(at, 'out'))
    assert.equal(readFileSync(join(at, 'out/payload/bin/x'), 'latin1'), 'x')
    assert.deepEqual(readdirSync(join(at, 'out')).toSorted(), ['header', 'payload', 'program'])
  })
})

// --- lies

async function extracted(bytes: Uint8Array, ...flags: readonly string[]): Promise<Outcome & { readonly left: readonly string[] }> {
  return await inTemporary(async (at) => {
    writeFileSync(join(at, 'x.pbi'), bytes)
    const outcome = await run('extract', join(at, 'x.pbi'), '-o', join(at, 'out'), ...flags)
    return { ...outcome, left: readdirSync(at).filter((name) => name !== 'x.pbi') }
  })
}

async function refused(bytes: Uint8Array, code: string, message: RegExp): Promise<void> {
  const { code: found, error, left } = await extracted(bytes)
  assert.equal(found, code, error?.message ?? 'extracted')
  assert.match(`${error?.subject ?? ''}: ${error?.message ?? ''}`, message)
  assert.deepEqual(left, [])
}

test('hostile tars are refused, and nothing is left', async () => {
  const cases: readonly (readonly [string, readonly Uint8Array[], string, RegExp])[] = [
    ['absolute', [file('/etc/x', 'x')], 'hostile', /\/etc\/x: an unsafe path/],
    ['upward', [file('a/../../x', 'x')], 'hostile', /unsafe path/],
    ['upward by pax', [pax({ path: '../x' }), file('x', 'x')], 'hostile', /unsafe path/],
    ['upward by a long name', [extension('L', '../x\0'), file('x', 'x')], 'hostile', /unsafe path/],
    ['device', [member({ name: 'null', type: '3', major: 1, minor: 3 })], 'hostile', /null: is a device/],
    ['FIFO', [member({ name: 'fifo', type: '6' })], 'hostile', /is a device or a FIFO/],
    ['through a link', [symlink('d', '/tmp'), file('d/x', 'x')], 'hostile', /d\/x: lies below d, which is no folder/],
    ['through an inner link', [directory('e'), symlink('d', 'e'), file('d/x', 'x')], 'hostile', /lies below d/],
    ['below a file', [file('d', 'x'), file('d/x', 'x')], 'hostile', /lies below d/],
    ['twice', [file('a', '1'), file('./a', '2')], 'hostile', /a: is in the tar twice/],
    ['link then file', [symlink('a', 'b'), file('a', '2')], 'hostile', /twice/],
    ['hard link out', [hardlink('a', '/etc/passwd')], 'hostile', /unsafe path/],
    ['hard link to nothing', [hardlink('a', 'b')], 'hostile', /is a link to b, which is no file/],
    ['hard link to a link', [symlink('b', 'c'), hardlink('a', 'b')], 'hostile', /is no file of the tar/],
    ['link out', [symlink('a', '/etc')], 'hostile', /leads out of the package, to \/etc/],
    ['link up', [directory('d'), symlink('d/a', '../..')], 'hostile', /leads out/],
    ['link beside the home', [symlink('a', '/usr/pbi/hello-amd64x/b')], 'hostile', /leads out/],
    ['link up from the home', [symlink('a', '/usr/pbi/hello-amd64/../x')], 'hostile', /leads out/],
    [
      'links that lead out together',
      [directory('a'), directory('a/b'), symlink('a/b/d', '..'), symlink('a/b/x', 'd/../..')],
      'hostile',
      /leads out/,
    ],
    ['sparse', [member({ name: 'a', type: 'S' })], 'not-supported', /type "S"/],
    ['sparse by pax', [pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' }), file('a', 'x')], 'not-supported', /sparse/],
    ['names for all', [extension('g', '11 path=xx\n'), file('a', 'x')], 'not-supported', /names for all/],
    ['pax twice', [extension('x', '9 path=x\n9 path=y\n'), file('a', 'x')], 'bad-format', /comes twice/],
    [
      'deep',
      [file(`${'d/'.repeat(45)}${'e/'.repeat(5)}x`, ''), extension('L', `${'d/'.repeat(200)}x\0`), file('x', '')],
      'over-limit',
      /deeper than 100/,
    ],
    ['a root that is a file', [file('.', 'x')], 'hostile', /the root/],
    ['size behind the end', [member({ name: 'a', size: 1 << 20 }, 'x')], 'bad-format', /damaged or cut off/],
    ['wrong check sum', [file('a', 'x'), file('b', 'x', { checksum: '000000' })], 'bad-format', /damaged/],
  ]
  for (const [name, members, code, message] of cases)
    await refused(rawPbi({ members }), code, message).catch((error: unknown) => {
      throw new Error(name, { cause: error })
    })
})

test('links that stay inside, and what they cannot harm, are taken; those that lead out if asked for', async () => {
  const inside = [
    directory('a'),
    directory('a/b'),
    symlink('a/b/up', '../..'),
    symlink('round', 'round'),
    symlink('home', '/usr/pbi/hello-amd64'),
  ]
  assert.equal((await extracted(rawPbi({ members: inside }))).status, 0)
  assert.equal((await extracted(rawPbi({ members: [symlink('a', '/etc')] }), '--links-out')).status, 0)
})

test('links that lead each other round and round are not followed for ever', () => {
  const tree = new Map<RelPath, TreeNode>()
  for (let i = 0; i < 60; i++) tree.set(`l${i}` as RelPath, { kind: 'symlink', target: `${'a/'.repeat(800)}${'../'.repeat(800)}l${i + 1}` })
  assert.throws(() => refuseLinksOut(tree, undefined), { code: 'over-limit' })
})

test('setuid does not come out', async () => {
  await inTemporary(async (at) => {
    writeFileSync(join(at, 'x.pbi'), rawPbi({ members: [file('su', 'x', { mode: 0o6755 }), directory('d', { mode: 0o3555 })] }))
    await done('extract', join(at, 'x.pbi'), '-o', join(at, 'out'))
    assert.equal(statSync(join(at, 'out/payload/su')).mode & 0o7777, 0o755)
    assert.equal(statSync(join(at, 'out/payload/d')).mode & 0o7777, 0o755)
  })
})

test('bombs are refused', needs('npm:node-liblzma', 'xz', 'gzip', 'bzip2'), async () => {
  await inTemporary(async (at) => {
    for (const codec of ['xz -1', 'gzip', 'bzip2'])
      await refused(
        rawPbi({ archive: new Uint8Array(Buffer.from(shell(at, `head -c 22000000 /dev/zero | ${codec} | base64`), 'base64')) }),
        codec === 'bzip2' ? 'over-limit' : 'bad-format',
        /more than/,
      )
  })
})

test('a wrong sum, a later format version, no PBI at all', async () => {
  const members = [file('a', 'x')]
  await refused(rawPbi({ members, header: { pbi_archivesum: '0'.repeat(64) } }), 'bad-digest', /not the one of pbi_archivesum/)
  await refused(rawPbi({ members, header: { pbi_formatver: '2' } }), 'not-supported', /format version 2, and 1 is the latest/)
  await refused(rawPbi({ members, header: { pbi_formatver: 'x' } }), 'bad-format', /is no number/)
  await refused(utf8('something else'), 'bad-format', /is no PBI/)
  await refused(new Uint8Array(0), 'bad-format', /is no PBI/)
  await inTemporary(async (at) => {
    const path = join(at, 'x.pbi')
    writeFileSync(path, rawPbi({ members, header: { pbi_archivesum: '0'.repeat(64) } }))
    const { code, stdout } = await run('info', path)
    assert.equal(code, 'bad-digest')
    assert.match(stdout, /^archive sum: wrong$/m)
  })
})

test('a marker inside the header or the icon: no reader is led elsewhere', needs('awk', 'tail'), async () => {
  const payload = bzip2(concatBytes([file('true', 'x'), end]))
  const header = bzip2(concatBytes([file('pbi_name', 'x\n'), end]))
  const lying = utf8('picture\n__PBI_ARCHIVE__ of another kind\n')
  assert.throws(() => joinPbi({ header, icon: lying, payload }), { code: 'not-supported' })
  assert.throws(() => joinPbi({ header: concatBytes([header, utf8('\n__PBI_ICON__\n')]), icon: png, payload }), { code: 'not-supported' })
  await inTemporary(async (at) => {
    const bytes = concatBytes([header, utf8('\n__PBI_ICON__\n'), lying, payload, utf8('\n__PBI_ARCHIVE__\n'), payload])
    writeFileSync(join(at, 'x.pbi'), bytes)
    shell(at, `${payloadByShell} >payload`, 'x.pbi')
    const parts = splitPbi(bytes)
    assert.ok(parts.form === 'pbi9' && equalBytes(parts.payload, new Uint8Array(readFileSync(join(at, 'payload')))))
    await refused(concatBytes([header.subarray(0, 20), utf8('\n__PBI_ARCHIVE__\n'), header.subarray(20), payload]), 'bad-format', /bzip2/)
  })
})

test('a file that ends anywhere is refused, or has lost nothing', async () => {
  const bytes = rawPbi({ members: [file('a', 'x'), symlink('b', 'a')] })
  const marker = latin1(bytes).indexOf('__PBI_ARCHIVE__')
  await inTemporary(async (at) => {
    const path = join(at, 'x.pbi')
    for (const size of [
      ...Array.from({ length: 40 }, (_, i) => marker - 20 + i),
      ...Array.from({ length: 30 }, (_, i) => Math.floor((i * bytes.length) / 30)),
      bytes.length - 1,
    ]) {
      writeFileSync(path, bytes.subarray(0, size))
      const { code } = await run('extract', path, '-o', join(at, 'out'))
      assert.ok(code === 'bad-format' || code === 'bad-digest', `${size} of ${bytes.length}: ${code ?? 'extracted'}`)
    }
    assert.deepEqual(readdirSync(at), ['x.pbi'])
  })
})

test('split undoes join, and whatever bytes there are end in parts or in an error of ours', () => {
  const bytes = fc.uint8Array({ maxLength: 60 })
  fc.assert(
    fc.property(bytes, bytes, bytes, (header, icon, payload) => {
      const parts = { header: concatBytes([utf8('BZh'), header]), icon, payload }
      assert.deepEqual(splitPbi(joinPbi(parts)), { form: 'pbi9', ...parts })
    }),
  )
  const words = fc.array(fc.constantFrom('BZh', '\n', '__PBI_ARCHIVE__', '__PBI_ARCHIVE2__', '\n__PBI_ICON__\n', 'x', '\x89PNG\r\n\x1a\n'))
  fc.assert(
    fc.property(words, (some) => {
      try {
        const parts = splitPbi(utf8(some.join('')))
        assert.ok(parts.payload.length <= some.join('').length)
      } catch (error) {
        assert.ok(isBinderyError(error, 'bad-format'))
      }
    }),
  )
})

test('damaged tars are refused, or nothing of theirs leads out', async () => {
  const tar = concatBytes([file('a', 'some text'), directory('d'), file('d/b', 'more'), symlink('d/c', '../a'), hardlink('e', 'a'), end])
  let taken = 0
  for (let i = 0; i < 2000; i++) {
    const damaged = tar.slice()
    const at = (i * 7919) % tar.length
    damaged[at] = (damaged[at] as number) ^ (1 << (i % 8))
    // With a check sum that fits, most headers still say something.
    if (i % 2 === 0) writeChecksum(damaged.subarray(at - (at % 512), at - (at % 512) + 512))
    try {
      const tree = await treeOfTar(damaged)
      refuseLinksOut(tree, undefined)
      taken++
      for (const path of tree.keys()) assert.ok(parseRelPath(path) !== undefined && path !== '.')
    } catch (error) {
      assert.ok(isBinderyError(error), String(error))
    }
  }
  assert.ok(taken > 100)
})

test('what cannot be packed is told', async () => {
  await inTemporary(async (at) => {
    plantPbi(join(at, 'in'), {}, {})
    for (const [change, code, message] of [
      ['rm -r in/payload', 'not-found', /has no folder 'payload'/],
      ['mkdir in/payload; mkfifo in/payload/fifo', 'not-supported', /is no file, folder or symbolic link/],
      ['rm in/payload/fifo; echo tomorrow >in/header/pbi_mdate', 'bad-format', /is no date/],
      ['echo "20120528 134500" >in/header/pbi_mdate; cp in/icon.png in/icon.jpg', 'usage', /several icons/],
    ] as const) {
      shell(at, change)
      const { code: found, error } = await run('pack', join(at, 'in'), '-o', join(at, 'x.pbi'))
      assert.equal(found, code)
      assert.match(error?.message ?? '', message)
    }
    shell(at, 'rm in/icon.jpg in/header/pbi_web in/header/pbi_arch')
    assert.match((await run('pack', join(at, 'in'))).error?.message ?? '', /has no pbi_arch/)
    const { stderr } = await done('pack', join(at, 'in'), '-o', join(at, 'x.pbi'))
    assert.equal(stderr.length, 2)
  })
})

test('actions say what they take', async () => {
  for (const words of [
    ['show', 'x'],
    ['toString', 'x'],
    ['extract', 'a', 'b', '-o', 'c'],
    ['patch', 'a', '-o', 'c'],
    ['info', 'x', '-o', 'c'],
    ['pack', 'x', '--links-out'],
    ['extract', 'x'],
  ])
    assert.equal((await run(...words)).code, 'usage', words.join(' '))
})
