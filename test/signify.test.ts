import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { needs } from './helpers/programs.ts'
import { onTerminal } from './helpers/terminal.ts'

/** keygen, sign and verify, with signify itself as the judge in both directions. */

const bindery = resolve('bin/bindery')
const folder = mkdtempSync(join(tmpdir(), 'bindery-signify-'))
after(() => rmSync(folder, { recursive: true }))

type Done = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

function run(program: string, args: readonly string[], input = ''): Done {
  // Without a terminal of its own, so that a prompt cannot wait for the person who runs the tests.
  const { status, stdout, stderr } = spawnSync('setsid', ['-w', program, ...args], { cwd: folder, encoding: 'utf8', input })
  return { status, stdout, stderr }
}

const own = (...args: readonly string[]): Done => run(bindery, args)
const signify = (...args: readonly string[]): Done => run('signify-openbsd', args)

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content)
  return name
}

function read(name: string): string {
  return readFileSync(join(folder, name), 'latin1')
}

const ok = { status: 0, stdout: '', stderr: '' }

test('keys of ours sign and verify with signify', needs('signify-openbsd'), () => {
  assert.deepEqual(own('keygen', '--no-passphrase', '-p', 'ours.pub', '-s', 'ours.sec'), ok)
  assert.equal(read('ours.pub').split('\n')[0], 'untrusted comment: bindery public key')
  assert.equal(read('ours.sec').split('\n')[0], 'untrusted comment: bindery secret key')
  assert.equal(statSync(join(folder, 'ours.sec')).mode & 0o777, 0o600)

  write('message', 'Attack at dawn!\n')
  assert.equal(signify('-S', '-s', 'ours.sec', '-m', 'message', '-x', 'theirs.sig').status, 0)
  assert.deepEqual(own('sign', '-s', 'ours.sec', '-m', 'message'), ok)
  assert.equal(read('message.sig'), read('theirs.sig'))
  assert.equal(signify('-V', '-p', 'ours.pub', '-m', 'message').status, 0)
  assert.deepEqual(own('verify', '-p', 'ours.pub', '-m', 'message'), ok)
})

test('keys of signify sign and verify with ours', needs('signify-openbsd'), () => {
  assert.equal(signify('-G', '-n', '-c', 'their key', '-p', 'theirs.pub', '-s', 'theirs.sec').status, 0)
  write(
    'binary',
    Uint8Array.from({ length: 100_000 }, (_, i) => i * 7),
  )
  assert.deepEqual(own('sign', '-s', 'theirs.sec', '-m', 'binary'), ok)
  assert.equal(signify('-V', '-p', 'theirs.pub', '-m', 'binary').status, 0)
  assert.equal(signify('-S', '-s', 'theirs.sec', '-m', 'binary', '-x', 'binary2.sig').status, 0)
  assert.deepEqual(own('verify', '-p', 'theirs.pub', '-m', 'binary', '-x', 'binary2.sig'), ok)
  assert.equal(read('binary.sig'), read('binary2.sig'))
})

test('a key from stdin, which has no name, signs under its own comment', needs('signify-openbsd'), () => {
  const key = read('theirs.sec')
  assert.deepEqual(run(bindery, ['sign', '-s', '-', '-m', 'message', '-x', 'p.sig'], key), ok)
  assert.equal(run('signify-openbsd', ['-S', '-s', '-', '-m', 'message', '-x', 'p2.sig'], key).status, 0)
  assert.equal(read('p.sig'), read('p2.sig'))
  assert.match(read('p.sig'), /^untrusted comment: signature from their key secret key\n/)
  assert.equal(run(bindery, ['sign', '-s', '-', '-m', '-', '-x', 'p.sig'], key).status, 2)
})

test('embedded messages cross both ways', needs('signify-openbsd'), () => {
  for (const [name, content] of [
    ['empty', ''],
    ['text', 'one\ntwo'],
    ['bytes', Uint8Array.from({ length: 3000 }, (_, i) => i)],
  ] as const) {
    write(name, content)
    assert.deepEqual(own('sign', '-e', '-s', 'ours.sec', '-m', name), ok)
    assert.equal(signify('-V', '-e', '-p', 'ours.pub', '-m', `${name}.out`, '-x', `${name}.sig`).status, 0)
    assert.equal(read(`${name}.out`), read(name))
    assert.equal(signify('-S', '-e', '-s', 'ours.sec', '-m', name, '-x', `${name}2.sig`).status, 0)
    assert.equal(read(`${name}2.sig`), read(`${name}.sig`))
    assert.deepEqual(own('verify', '-e', '-p', 'ours.pub', '-m', `${name}.out2`, '-x', `${name}2.sig`), ok)
    assert.equal(read(`${name}.out2`), read(name))
  }
})

test('an embedded message that was changed is not written, not a byte of it', () => {
  write('text.sig', read('text.sig').replace('two', 'too'))
  const done = own('verify', '-e', '-p', 'ours.pub', '-m', 'never', '-x', 'text.sig')
  assert.equal(done.status, 3)
  assert.equal(done.stderr, 'bindery: verify: text.sig: the signature does not fit the message\n')
  assert.equal(existsSync(join(folder, 'never')), false)
  assert.deepEqual(own('verify', '-e', '-p', 'ours.pub', '-m', '-', '-x', 'text.sig').stdout, '')
})

test('stdin is a message, stdout takes a signature or a message', () => {
  const signed = run(bindery, ['sign', '-e', '-s', 'ours.sec', '-m', '-', '-x', '-'], 'from a pipe\n')
  assert.equal(signed.status, 0)
  const verified = run(bindery, ['verify', '-e', '-p', 'ours.pub', '-x', '-', '-m', '-'], signed.stdout)
  assert.deepEqual(verified, { status: 0, stdout: 'from a pipe\n', stderr: '' })
})

test('encrypted keys cross both ways, and nothing of a passphrase is shown', needs('signify-openbsd', 'script'), async () => {
  const passphrase = 'pässwörd with spaces'
  const made = await onTerminal(
    [bindery, 'keygen', '-p', 'sealed.pub', '-s', 'sealed.sec'],
    [
      ['the new sealed.sec: ', `${passphrase}\n`],
      ['once more: ', `${passphrase}\n`],
    ],
    { cwd: folder },
  )
  assert.equal(made.status, 0, made.shown)
  assert.doesNotMatch(made.shown, /ssw/)
  const signed = await onTerminal(
    ['signify-openbsd', '-S', '-s', 'sealed.sec', '-m', 'message', '-x', 's.sig'],
    [['passphrase', `${passphrase}\n`]],
    { cwd: folder },
  )
  assert.equal(signed.status, 0, signed.shown)
  assert.deepEqual(own('verify', '-p', 'sealed.pub', '-m', 'message', '-x', 's.sig'), ok)

  const theirs = await onTerminal(
    ['signify-openbsd', '-G', '-p', 'crypt.pub', '-s', 'crypt.sec'],
    [
      ['passphrase', 'geheim\n'],
      ['passphrase', 'geheim\n'],
    ],
    { cwd: folder },
  )
  assert.equal(theirs.status, 0, theirs.shown)
  const own2 = await onTerminal([bindery, 'sign', '-s', 'crypt.sec', '-m', 'message', '-x', 'c.sig'], [['for crypt.sec: ', 'geheim\n']], {
    cwd: folder,
  })
  assert.equal(own2.status, 0, own2.shown)
  assert.equal(signify('-V', '-p', 'crypt.pub', '-m', 'message', '-x', 'c.sig').status, 0)
})

test('a wrong passphrase, none, two that differ, and ^C leave nothing behind', needs('signify-openbsd', 'script'), async () => {
  const sign = [bindery, 'sign', '-s', 'crypt.sec', '-m', 'message', '-x', 'x.sig']
  for (const [typed, status, said] of [
    ['wrong\n', 3, 'crypt.sec: the passphrase is wrong'],
    ['\n', 3, 'crypt.sec: the passphrase is empty'],
    ['\u0004', 3, 'crypt.sec: no passphrase was given'],
    ['half\u0003', 1, 'bindery: sign: stopped at the passphrase'],
  ] as const) {
    const done = await onTerminal(sign, [['for crypt.sec: ', typed]], { cwd: folder })
    assert.equal(done.status, status, done.shown)
    assert.ok(done.shown.includes(said), done.shown)
    assert.equal(existsSync(join(folder, 'x.sig')), false)
  }
  const differ = await onTerminal(
    [bindery, 'keygen', '-p', 'd.pub', '-s', 'd.sec'],
    [
      [': ', 'one\n'],
      ['more: ', 'two\n'],
    ],
    { cwd: folder },
  )
  assert.equal(differ.status, 2, differ.shown)
  assert.equal(existsSync(join(folder, 'd.sec')), false)
})

test('the terminal echoes again after the prompt, whatever ended it', needs('signify-openbsd', 'script'), async () => {
  for (const typed of ['geheim\n', 'wrong\n', '\u0003']) {
    const done = await onTerminal(
      ['sh', '-c', `'${bindery}' sign -s crypt.sec -m message -x y.sig; stty -a | grep -o '[-]*echo\\b'`],
      [['for crypt.sec: ', typed]],
      { cwd: folder },
    )
    assert.match(done.shown.trim().split(/\s+/).at(-1) ?? '', /^echo$/, done.shown)
  }
})

test('a terminated prompt gives the terminal back', needs('signify-openbsd', 'script'), async () => {
  const line = `'${bindery}' sign -s crypt.sec -m message -x z.sig & sleep 2; kill -TERM $!; wait $!; echo "status $?"; stty -a | grep -o '[-]*echo\\b'`
  const done = await onTerminal(['bash', '-c', line], [], { cwd: folder })
  assert.match(done.shown, /stopped at the passphrase/)
  assert.match(done.shown, /status 1\s+echo\s*$/)
})

test('without a terminal a prompt is a usage error, never a hang', () => {
  for (const args of [
    ['sign', '-s', 'crypt.sec', '-m', 'message'],
    ['keygen', '-p', 'n.pub', '-s', 'n.sec'],
  ]) {
    const done = own(...args)
    assert.equal(done.status, 2)
    assert.match(done.stderr, /there is no terminal to ask on\nbindery: hint: /)
  }
  assert.equal(existsSync(join(folder, 'n.sec')), false)
})

test('lists of checksums, as signify -C', needs('signify-openbsd', 'sha256sum', 'sha512sum'), () => {
  write('a file', 'one')
  write('b', 'two')
  const sum = (program: string, ...files: readonly string[]): string => run(program, ['--tag', ...files]).stdout
  write('LIST', sum('sha256sum', 'b', 'message') + sum('sha512sum', 'b'))
  assert.deepEqual(own('sign', '-e', '-s', 'ours.sec', '-m', 'LIST'), ok)
  const theirs = signify('-C', '-p', 'ours.pub', '-x', 'LIST.sig', 'message')
  const good = own('verify', '--check', '-p', 'ours.pub', '-x', 'LIST.sig', 'message')
  assert.deepEqual({ status: good.status, stdout: good.stdout }, { status: theirs.status, stdout: theirs.stdout })
  assert.deepEqual(own('verify', '--check', '-p', 'ours.pub', '-x', 'LIST.sig'), {
    ...ok,
    stdout: 'Signature Verified\nb: OK\nmessage: OK\n',
  })

  const unlisted = own('verify', '--check', '-p', 'ours.pub', '-x', 'LIST.sig', 'message', 'a file')
  assert.equal(unlisted.status, 3)
  assert.equal(unlisted.stdout, 'Signature Verified\nmessage: OK\n')
  assert.match(unlisted.stderr, /^bindery: verify: a file: FAIL\nbindery: verify: LIST.sig: 1 of the files failed\n$/)

  write('b', 'too')
  assert.match(own('verify', '--check', '-p', 'ours.pub', '-x', 'LIST.sig').stderr, /b: FAIL/)
  rmSync(join(folder, 'b'))
  assert.match(own('verify', '--check', '-p', 'ours.pub', '-x', 'LIST.sig').stderr, /b: FAIL/)
})

test('a list whose signature is bad is not looked into', () => {
  write('LIST.sig', read('LIST.sig').replace('message', 'massage'))
  const done = own('verify', '--check', '-p', 'ours.pub', '-x', 'LIST.sig')
  assert.deepEqual([done.status, done.stdout], [3, ''])
})

test('the wrong key, a changed message, a changed signature', () => {
  assert.match(own('verify', '-p', 'theirs.pub', '-m', 'message').stderr, /was signed with key [0-9a-f]{16}, not with [0-9a-f]{16}/)
  assert.equal(own('verify', '-p', 'theirs.pub', '-m', 'message').status, 3)
  write('changed', `${read('message')} `)
  const done = own('verify', '-p', 'ours.pub', '-m', 'changed', '-x', 'message.sig')
  assert.equal(done.status, 3)
  assert.match(done.stderr, /does not fit the message/)
})

test('without -p the key is looked for in /etc/signify, under a plain name only', () => {
  const missing = own('verify', '-m', 'message')
  assert.equal(missing.status, 1)
  assert.match(missing.stderr, /\/etc\/signify\/ours\.pub: not found/)
  write('trick.sig', read('message.sig').replace('verify with ours.pub', 'verify with ../../tmp/ours.pub'))
  assert.equal(own('verify', '-m', 'message', '-x', 'trick.sig').status, 2)
})

test('no key is ever written over, and no half of a pair stays behind', () => {
  const before = read('ours.sec')
  for (const [pub, sec] of [
    ['ours.pub', 'new/ours.sec'],
    ['new/ours.pub', 'ours.sec'],
  ] as const) {
    spawnSync('mkdir', ['-p', join(folder, 'new')])
    const done = own('keygen', '--no-passphrase', '-p', pub, '-s', sec)
    assert.equal(done.status, 1)
    assert.match(done.stderr, /exists already/)
  }
  assert.equal(read('ours.sec'), before)
  assert.deepEqual(spawnSync('ls', ['-A', join(folder, 'new')], { encoding: 'utf8' }).stdout, '')
  assert.equal(own('keygen', '--no-passphrase', '-p', 'nowhere/k.pub', '-s', 'new/k.sec').status, 1)
  assert.deepEqual(spawnSync('ls', ['-A', join(folder, 'new')], { encoding: 'utf8' }).stdout, '')
  assert.equal(own('keygen', '--no-passphrase', '-p', 'a.pub', '-s', 'b.sec').status, 2)
})

test('what is no key, no signature or not there is told with the name of the file', () => {
  write('junk', 'junk\n')
  for (const [args, said] of [
    [['sign', '-s', 'junk', '-m', 'message'], 'junk: does not begin with'],
    [['sign', '-s', 'ours.pub', '-m', 'message'], 'ours.pub: is no signify secret key'],
    [['verify', '-p', 'ours.sec', '-m', 'message'], 'ours.sec: is no signify public key'],
    [['verify', '-p', 'ours.pub', '-m', 'message', '-x', 'bytes.sig'], 'bytes.sig: goes on after the signature'],
  ] as const) {
    const done = own(...args)
    assert.equal(done.status, 3, done.stderr)
    assert.ok(done.stderr.includes(said), done.stderr)
  }
  assert.equal(own('verify', '-p', 'ours.pub', '-m', 'nothing').status, 1)
  assert.equal(own('sign', '-s', 'ours.sec', '-m', '-').status, 2)
  assert.equal(own('sign', '-m', 'message').status, 2)
})

test('a signature in a folder where one may not write is told, and nothing is left', () => {
  if (process.getuid?.() === 0) return
  chmodSync(join(folder, 'new'), 0o500)
  assert.equal(own('sign', '-s', 'ours.sec', '-m', 'message', '-x', 'new/x.sig').status, 1)
})
