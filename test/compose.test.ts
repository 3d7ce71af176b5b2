import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { compose } from '../src/command/compose.ts'
import { openComposed } from '../src/command/composed.ts'
import { cut } from '../src/command/cut.ts'
import { init } from '../src/command/init.ts'
import { publish } from '../src/command/publish.ts'
import { decodeDescriptor } from '../src/format/descriptor.ts'
import { decodeUpdate } from '../src/format/update.ts'
import { onTerminal } from './helpers/terminal.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import { needs } from './helpers/programs.ts'
import type { Turn } from './helpers/terminal.ts'

const documentsPaths = [
  'sbin/mount_nfs',
  'usr/local/etc/rc.d/somescript',
  'PCBSD/kernels/pcbsd-standard.tbz',
  'PCBSD/kernels/kern.ini',
  'boot/loader',
]

function plantAll(root: string, paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${path}\n`)
  }
}

function descriptorIn(folder: string): string {
  return readFileSync(join(folder, 'update.upd'), 'utf8')
}

const day = ['--date', '20260101', '--arch', 'amd64'] as const

test("the document's example, without a terminal: files named, an update with its descriptor and texts made", async () => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    plantAll(root, documentsPaths)
    const out = join(folder, 'out')
    const words = [...documentsPaths, '--name', 'NFS Security update', '--url', 'http://www.pcbsd.org/blah', '-o', out, ...day]
    assert.equal((await runCommand(compose, words, { root })).status, 0)
    const name = 'nfs-security-update-1-20260101-amd64'
    assert.deepEqual(readdirSync(out).sort(), [`${name}.tar.zst`, 'update.md', 'update.txt', 'update.upd'])
    const lines = descriptorIn(out).split('\n')
    for (const line of [
      'Format: 1',
      'Name: NFS Security update',
      'Details URL: http://www.pcbsd.org/blah',
      `Release: ${name}`,
      'RequiresReboot: YES',
      'Reboot: careful',
    ]) {
      assert.ok(lines.includes(line), line)
    }
    assert.ok(lines.some((line) => /^!Run: extract-kernel .*\/PCBSD\/kernels\/pcbsd-standard\.tbz.*-C \/boot/.test(line)))
    assert.ok(lines.some((line) => /^!Run: restart-services .*somescript/.test(line)))
    assert.match(readFileSync(join(out, 'update.txt'), 'utf8'), /^NFS Security update\n=+\nhttp:\/\/www\.pcbsd\.org\/blah\n/)
    assert.match(readFileSync(join(out, 'update.md'), 'utf8'), /- changed `\/sbin\/mount_nfs`/)
  })
})

test('update_gen on a terminal prompts with Name: and Details URL:, as the document has it', needs('script'), async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, documentsPaths)
    const { status, shown: screen } = await onTerminal(
      [resolve('bin/update_gen'), ...documentsPaths],
      [
        ['Name: ', 'NFS Security update\n'],
        ['Details URL: ', 'http://www.pcbsd.org/blah\n'],
      ],
      { cwd: folder },
    )
    assert.equal(status, 0, screen)
    assert.match(screen, /Name: .*Details URL: /s)
    assert.match(screen, /\/boot\/loader: rule 'loader' \(freebsd\)/)
    const made = readdirSync(folder).find((one) => /^patch-[0-9]{8}-nfs-security-update$/.test(one))
    assert.ok(made !== undefined, screen)
    assert.match(descriptorIn(join(folder, made)), /^Details URL: http:\/\/www\.pcbsd\.org\/blah$/m)
  })
})

test('Ctrl-C and Ctrl-D at any question end it, and nothing is left', needs('script'), async () => {
  const [name, url, step] = [
    ['Name: ', 'Boot\n'],
    ['Details URL: ', '\n'],
    ['(nothing leaves the step out): ', 'sd0\n'],
  ] as const
  const cases: readonly (readonly [readonly Turn[], readonly number[], RegExp])[] = [
    [[['Name: ', '\u0003']], [1, 130], /./],
    [[['Name: ', '\u0004']], [2], /--name is needed/],
    [[name, ['Details URL: ', '\u0003']], [1, 130], /./],
    [[name, url, [step[0], '\u0003']], [1], /stopped by SIGINT/],
    [[name, url, [step[0], '\u0004']], [2], /step 'installboot' of the rules asks/],
    [[name, ['Details URL: ', '\u0004'], step], [2], /step 'installboot' of the rules asks/],
    [[name, url, step], [0], /the update is in/],
  ]
  await inTemporary(async (folder) => {
    plantAll(folder, ['usr/mdec/biosboot', 'usr/libexec/ld.so'])
    for (const [turns, statuses, message] of cases) {
      const { status, shown } = await onTerminal([resolve('bin/update_gen'), 'usr/mdec/biosboot'], turns, { cwd: folder })
      assert.ok(statuses.includes(status), `${status}: ${shown}`)
      assert.match(shown, message)
      assert.equal(readdirSync(folder).length, status === 0 ? 2 : 1, shown)
    }
  })
})

test('paths as find(1) has them, named twice, or below each other are one', async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['root/sbin/a', 'root/sbin/.b', 'root/etc/c'])
    const named = ['./sbin/a', 'sbin', '/sbin/', './/sbin/.b', 'sbin/a']
    const words = [...named, '--name', 'X', '-o', join(folder, 'out'), ...day]
    assert.equal((await runCommand(compose, words, { root: join(folder, 'root') })).status, 0)
    const text = readFileSync(join(folder, 'out/update.txt'), 'utf8')
    assert.deepEqual(text.match(/^ {2}changed .*$/gm), ['  changed /sbin/.b', '  changed /sbin/a'])
  })
})

test('a path behind a link, below a file of the base, a folder that is taken, nothing new: told', async () => {
  await inTemporary(async (folder) => {
    const [root, base, out] = [join(folder, 'root'), join(folder, 'base'), join(folder, 'out')]
    plantAll(root, ['usr/lib/a', 'tmp/b', 'same'])
    symlinkSync('usr/lib', join(root, 'lib'))
    plantAll(base, ['tmp', 'same'])
    utimesSync(join(base, 'same'), 1, 1)
    utimesSync(join(root, 'same'), 1, 1)
    const run = async (...words: readonly string[]) =>
      await runCommand(compose, [...words, '--name', 'X', '--product', 'x', '--revision', '1', '-o', out, ...day], { root })
    const linked = await run('lib/a')
    assert.deepEqual([linked.code, linked.error?.hint], ['not-found', '/lib is a symbolic link to usr/lib'])
    const below = await run('tmp/b', '--base', base)
    assert.deepEqual([below.code, below.error?.subject], ['conflict', '/tmp/b'])
    assert.equal((await run('tmp', '--base', base)).status, 0)
    assert.equal((await run('tmp', '--rules', join(folder, 'nowhere'))).code, 'exists', 'before anything is looked at')
    rmSync(out, { recursive: true })
    assert.deepEqual((await run('same', '--base', base)).stderr, ['nothing changes by this update'])
  })
})

test('a file that is written while it is read ends it', async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['root/a'])
    const file = join(folder, 'root/a')
    const start = (): { advance: () => void; end: () => void } => ({ advance: () => {}, end: () => writeFileSync(file, 'b') })
    const words = ['a', '--name', 'X', '-o', join(folder, 'out')]
    const { code, error } = await runCommand(compose, words, { root: join(folder, 'root'), progress: { start } })
    assert.deepEqual([code, error?.subject, existsSync(join(folder, 'out'))], ['conflict', 'a', false])
  })
})

test('what no record takes is told by compose, not by publish', async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['root/a'])
    const run = async (...words: readonly string[]) =>
      await runCommand(compose, ['a', '--name', 'X', ...words, '-o', join(folder, 'out')], { root: join(folder, 'root') })
    for (const words of [
      ['--notice', ''],
      ['--notice', 'a\u001b[2J'],
      ['--notice', 'x'.repeat(5000)],
      ['--post-step', `echo ${'x'.repeat(5000)}`],
      ['--name', 'a\u202eb'],
      ['--url', 'http://x/\u202e'],
      ['--url', 'no address'],
    ])
      assert.equal((await run(...words)).code, 'usage', words.join(' ').slice(0, 40))
    const many = (flag: string, count: number) => Array.from({ length: count }, (_, i) => [flag, `echo ${i}`]).flat()
    for (const words of [many('--notice', 17), many('--post-step', 65)]) assert.equal((await run(...words)).code, 'over-limit')
    assert.equal((await run(...many('--post-step', 64))).status, 0)
  })
})

test('an address that holds a tag is none in the Markdown', async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['root/a'])
    const words = ['a', '--name', '<b>X</b>', '--url', 'http://x/<script>alert(1)</script>', '-o', join(folder, 'out')]
    assert.equal((await runCommand(compose, words, { root: join(folder, 'root') })).status, 0)
    assert.doesNotMatch(readFileSync(join(folder, 'out/update.md'), 'utf8'), /(?<!\\)<(?:script|b)>/)
  })
})

test('without a terminal, what is needed and missing is an error that names the flag', async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['usr/mdec/biosboot'])
    const out = join(folder, 'out')
    const nameless = await runCommand(compose, ['usr/mdec/biosboot', '-o', out], { root: folder })
    assert.deepEqual([nameless.code, nameless.error?.message], ['usage', '--name is needed'])
    const words = ['usr/mdec/biosboot', '--name', 'Boot', '--system', 'openbsd', '-o', out]
    const open = await runCommand(compose, words, { root: folder })
    assert.deepEqual([open.code, existsSync(out)], ['usage', false])
    assert.match(open.error?.hint ?? '', /--answer installboot=TEXT/)
    assert.equal((await runCommand(compose, [...words, '--answer', 'installboot=sd0'], { root: folder })).status, 0)
    assert.match(descriptorIn(out), /installboot -v sd0$/m)
    const vain = await runCommand(compose, [...words, '--answer', 'nothing=x', '-o', join(folder, 'out2')], { root: folder })
    assert.match(vain.error?.message ?? '', /no step 'nothing' asks anything here/)
    assert.deepEqual(readdirSync(folder).sort(), ['out', 'usr'])
  })
})

test(
  'a base, with named files over it, is the next release of its product; what is not in the root goes',
  needs('tar', 'zstd'),
  async () => {
    await inTemporary(async (folder) => {
      const [base, root] = [join(folder, 'base'), join(folder, 'root')]
      plantAll(base, ['bin/ls', 'bin/gone', 'etc/a.conf'])
      plantAll(root, ['bin/ls', 'bin/new', 'etc/a.conf'])
      chmodSync(join(root, 'bin/ls'), 0o755)
      writeFileSync(join(root, 'bin/ls'), 'another ls\n')
      writeFileSync(join(root, 'etc/a.conf'), 'not named\n')
      const dist = join(folder, 'b.tar')
      await runCommand(cut, [base, '-o', dist, '--format', 'none', '--product', 'base', '--revision', '1.0', ...day])
      const out = join(folder, 'out')
      const words = ['bin', '--base', dist, '--name', 'Repairs ls', '-o', out, '--date', '20260102']
      assert.match((await runCommand(compose, words, { root })).error?.message ?? '', /--revision/)
      assert.equal((await runCommand(compose, [...words, '--revision', '1.0p1'], { root })).status, 0)
      const text = readFileSync(join(out, 'update.txt'), 'utf8')
      assert.match(text, /Release: base-1\.0p1-20260102-amd64, .*\n {2}After: base-1\.0-20260101-amd64\n/)
      assert.deepEqual(text.match(/^ {2}(?:added|changed|removed) .*$/gm), ['  removed /bin/gone', '  changed /bin/ls', '  added /bin/new'])
      const tar = spawnSync('tar', ['--zstd', '-xOf', join(out, 'base-1.0p1-20260102-amd64.tar.zst'), 'etc/a.conf'], { encoding: 'utf8' })
      assert.deepEqual([tar.status, tar.stdout], [0, 'etc/a.conf\n'])
    })
  },
)

test('a path that is nowhere, a torn file, a folder that is there already: one line, and nothing is left', async () => {
  await inTemporary(async (folder) => {
    const base = join(folder, 'base')
    plantAll(base, ['bin/[', 'bin/ls'])
    linkSync(join(base, 'bin/['), join(base, 'bin/test'))
    const root = join(folder, 'root')
    plantAll(root, ['bin/['])
    const out = join(folder, 'out')
    const run = async (...words: readonly string[]) =>
      await runCommand(compose, [...words, '--name', 'X', '--product', 'x', '--revision', '1', '-o', out, ...day], { root })
    assert.equal((await run('bin/nothing')).code, 'not-found')
    const torn = await run('bin/[', '--base', base)
    assert.deepEqual([torn.code, torn.error?.subject], ['conflict', '/bin/test'])
    assert.equal((await run('../x')).code, 'usage')
    assert.equal((await run('/')).code, 'usage')
    assert.deepEqual(readdirSync(folder).sort(), ['base', 'root'])
    assert.equal((await run('bin/[')).status, 0)
    assert.equal((await run('bin/[')).code, 'exists')
    assert.deepEqual(readdirSync(folder).sort(), ['base', 'out', 'root'])
  })
})

test('two releases: what is between them, judged by the rules of their system', async () => {
  await inTemporary(async (folder) => {
    const files = ['libexec/ld-elf.so.1', 'lib/libz.so.6', 'etc/ntp.conf', 'usr/share/man/man1/a.1.gz']
    const dist = async (revision: string): Promise<string> => {
      const file = join(folder, `${revision}.tar.zst`)
      await runCommand(cut, [join(folder, 'tree'), '-o', file, '--product', 'base', '--revision', revision, ...day])
      return file
    }
    plantAll(join(folder, 'tree'), files)
    const from = await dist('1.0')
    for (const path of files.slice(1)) writeFileSync(join(folder, 'tree', path), 'new\n')
    symlinkSync('libz.so.6', join(folder, 'tree/lib/libz.so'))
    const to = await dist('1.1')
    const out = join(folder, 'out')
    assert.equal((await runCommand(compose, ['--from', from, '--to', to, '--name', 'Z', '-o', out])).status, 0)
    const text = descriptorIn(out)
    assert.match(text, /^Previous: base-1\.0-20260101-amd64$/m)
    assert.match(text, /^Reboot: restart$/m)
    assert.deepEqual(
      [...text.matchAll(/^!Run: (\S+)/gm)].map((match) => match[1]),
      ['ldconfig', 'makewhatis'],
    )
    assert.match(text, /^Configuration: \/etc\/ntp\.conf$/m)
    assert.deepEqual(readFileSync(join(out, 'base-1.1-20260101-amd64.tar.zst')), readFileSync(to))
    assert.equal((await runCommand(compose, ['--from', from, '--name', 'Z', '-o', `${out}2`])).code, 'usage')
    assert.equal((await runCommand(compose, ['--from', from, '--to', to, 'x', '--name', 'Z', '-o', `${out}2`])).code, 'usage')
    assert.equal((await runCommand(compose, ['--from', from, '--to', to, '--name', 'Z', '--system', 'none', '-o', `${out}3`])).status, 0)
    assert.match(descriptorIn(`${out}3`), /^Reboot: none$/m)
  })
})

test('whole scripts are taken where the rules allow them, and nowhere else', async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['root/bin/ls'])
    const script = join(folder, 'update.sh')
    writeFileSync(script, '#!/bin/sh\necho done\n')
    const out = join(folder, 'out')
    const words = ['bin/ls', '--name', 'X', '--script', script, '-o', out]
    const root = join(folder, 'root')
    assert.equal((await runCommand(compose, words, { root })).code, 'usage')
    const rules = join(folder, 'site.toml')
    writeFileSync(rules, 'format = 1\nscripts = true\n')
    assert.equal((await runCommand(compose, [...words, '--rules', rules], { root })).status, 0)
    assert.match(descriptorIn(out), /^!Script: update 900 report install [0-9a-f]{64} update\.sh$/m)
    assert.equal(readFileSync(join(out, 'update.sh'), 'utf8'), '#!/bin/sh\necho done\n')
    rmSync(out, { recursive: true })
    writeFileSync(script, Uint8Array.of(0x23, 0xff))
    assert.equal((await runCommand(compose, [...words, '--rules', rules], { root })).code, 'bad-format')
  })
})

const lines = ['Format: 1', 'Name: X', 'Release: x-1-20260101-amd64', 'File: x.tar', 'Size: 1', `SHA256: ${'0'.repeat(64)}`, 'Reboot: none']

function decode(...more: readonly string[]): unknown {
  return decodeDescriptor(utf8(`${[...lines, ...more].join('\n')}\n`), () => undefined)
}

test('a descriptor: unknown keys are passed over unless they are marked, and lines that are no such are refused with their number', () => {
  decode('Mirror: ftp://ftp.example.org/', 'StandAlone: NO', '')
  const cases: readonly (readonly [readonly string[], string, RegExp])[] = [
    [['!Phases: 2'], 'not-supported', /line 8: 'Phases' must be understood/],
    [['Name: Y'], 'bad-format', /line 8: 'Name' is there twice/],
    [['no key'], 'bad-format', /line 8: is not 'Key: value'/],
    [['Notice: a\u001b[2J'], 'bad-format', /line 8: has a control character/],
    [['Notice: a\rb'], 'bad-format', /line 8: has a control character/],
    [['!Run: a 0 report install true'], 'bad-format', /line 8: 'Run' has terms/],
    [['!Run: a 5 report sometimes true'], 'bad-format', /line 8: 'Run' is not/],
    [[`!Script: a 5 report install ${'0'.repeat(64)} ../a`], 'hostile', /line 8/],
    [[`!Script: a 5 report install ${'0'.repeat(64)} a.sh`], 'not-found', /a\.sh is not there/],
    [['Details URL: file:///etc'], 'bad-format', /'Details URL' is not an address/],
    [['Security: maybe'], 'bad-format', /'Security' is not YES or NO/],
  ]
  for (const [more, code, message] of cases) {
    assert.throws(
      () => decode(...more),
      (error) => {
        assert.ok(error instanceof BinderyError)
        assert.equal(error.code, code, error.message)
        assert.match(error.message, message)
        return true
      },
    )
  }
  for (const [i, line] of lines.entries()) {
    const without = lines.filter((_, j) => j !== i)
    assert.throws(() => decodeDescriptor(utf8(`${without.join('\n')}\n`), () => undefined), { code: 'bad-format' }, line)
  }
  assert.throws(() => decodeDescriptor(utf8('Format: 2\n'), () => undefined), { code: 'not-supported' })
})

test('publish takes the folder: the record says what the descriptor does, and a payload that was touched is refused', async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['root/etc/rc.d/sshd', 'root/etc/sshd.conf'])
    const at = (name: string): string => join(folder, name)
    const words = [
      'etc',
      '--name',
      'Repairs sshd',
      '--url',
      'https://www.example.org/sshd',
      '--system',
      'openbsd',
      '--security',
      '-o',
      at('out'),
      ...day,
    ]
    assert.equal((await runCommand(compose, words, { root: at('root') })).status, 0)
    assert.equal((await runCommand(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])).status, 0)
    assert.equal((await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), '--post-step', 'true', at('out')])).status, 0)
    const [record] = readdirSync(at('repo/blobs/repairs-sshd/amd64')).filter((name) => name.endsWith('.update'))
    const { title, url, reboot, security, postSteps, configuration } = decodeUpdate(
      readFileSync(join(at('repo/blobs/repairs-sshd/amd64'), record ?? '')),
    )
    assert.deepEqual([title, url, reboot, security], ['Repairs sshd', 'https://www.example.org/sshd', 'restart', true])
    assert.deepEqual(
      [postSteps.map((step) => step.kind === 'notice' || step.name), configuration],
      [['restart-services', 'step-1'], ['/etc/sshd.conf']],
    )

    appendFileSync(join(at('out'), 'repairs-sshd-1-20260101-amd64.tar.zst'), 'x')
    const touched = await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), at('out')])
    assert.deepEqual([touched.code, touched.error?.subject], ['bad-digest', join(at('out'), 'repairs-sshd-1-20260101-amd64.tar.zst')])
  })
})

test('publish takes no folder of FIFOs, and no script that is no text', needs('mkfifo'), async () => {
  await inTemporary(async (folder) => {
    plantAll(folder, ['root/a', 'b.sh'])
    const out = join(folder, 'out')
    writeFileSync(join(folder, 'r.toml'), 'format = 1\nscripts = true\n')
    const words = ['a', '--name', 'X', '--script', join(folder, 'b.sh'), '--rules', join(folder, 'r.toml'), '-o', out, ...day]
    assert.equal((await runCommand(compose, words, { root: join(folder, 'root') })).status, 0)
    const code = async () => await openComposed(out).catch((error: unknown) => (error as BinderyError).code)
    writeFileSync(join(out, 'b.sh'), Uint8Array.of(0xff))
    assert.equal(await code(), 'bad-digest')
    for (const name of ['b.sh', 'x-1-20260101-amd64.tar.zst', 'update.upd']) {
      rmSync(join(out, name))
      spawnSync('mkfifo', [join(out, name)])
      assert.equal(await code(), 'wrong-type', name)
      if (name === 'b.sh') rmSync(join(out, name))
      if (name === 'b.sh') writeFileSync(join(out, name), 'b.sh\n')
    }
  })
})

test('publish goes by the rules of the system whose dist it is, from the second release on', async () => {
  await inTemporary(async (folder) => {
    const at = (name: string): string => join(folder, name)
    plantAll(folder, ['tree/usr/libexec/ld.so', 'tree/usr/mdec/boot', 'tree/etc/login.conf'])
    await runCommand(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])
    const release = async (revision: string, ...more: readonly string[]) => {
      await runCommand(cut, [at('tree'), '-o', at(revision), '--product', 'base', '--revision', revision, ...day])
      return await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), ...more, at(revision)])
    }
    assert.equal((await release('1.0')).status, 0)
    for (const path of ['tree/usr/mdec/boot', 'tree/etc/login.conf']) writeFileSync(at(path), 'new')
    assert.equal((await release('1.1')).code, 'usage')
    assert.equal((await release('1.1', '--answer', 'installboot=')).status, 0)
    writeFileSync(at('tree/usr/libexec/ld.so'), 'new')
    assert.equal((await release('1.2', '--system', 'none')).status, 0)
    const updates = readdirSync(at('repo/blobs/base/amd64'))
      .filter((name) => name.endsWith('.update'))
      .map((name) => decodeUpdate(readFileSync(join(at('repo/blobs/base/amd64'), name))))
      .sort((a, b) => a.sequence - b.sequence)
    assert.deepEqual(
      updates.map(({ reboot, postSteps }) => [reboot, postSteps.map((step) => step.kind === 'notice' || step.name)]),
      [
        ['none', []],
        ['careful', ['login-conf']],
        ['none', []],
      ],
    )
  })
})
