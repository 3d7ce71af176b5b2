import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { check } from '../src/command/check.ts'
import { compose } from '../src/command/compose.ts'
import { cut } from '../src/command/cut.ts'
import { updateScript } from '../src/engine/update/update-script.ts'
import { usualTerms } from '../src/format/post-step.ts'
import { decodeUpdFile, decodeUpdList } from '../src/format/upd.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { RelPath } from '../src/base/path.ts'

const day = ['--date', '20130101', '--arch', 'amd64'] as const
const digest = '0'.repeat(64)
const line = `SA:9.1-RELEASE:noarch:both:ident:What it is:9.1-RELEASE/noarch/a.txz:3:${digest}:/blah:20130101`

function plant(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
}

function sh(script: string, cwd: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-euc', script], { cwd, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
}

function code(work: () => unknown): string {
  try {
    work()
    return 'nothing'
  } catch (error) {
    return error instanceof BinderyError ? error.code : String(error)
  }
}

test('9.1 and later: a line for the list, and a tarball that its updater unpacks and runs', needs('xz', 'tar', 'sha256sum'), async () => {
  await inTemporary(async (folder) => {
    const at = (name: string): string => join(folder, name)
    plant(at('old'), { 'bin/a': 'old\n', 'bin/gone': 'old\n', 'bin/same': 'same\n' })
    plant(at('new'), { 'bin/a': 'new\n', 'bin/b': 'new\n', 'bin/same': 'same\n' })
    for (const side of ['old', 'new'] as const)
      await runCommand(cut, [at(side), '-o', at(`${side}.tar.zst`), '--product', 'base', '--revision', side, ...day])
    const words = ['--from', at('old.tar.zst'), '--to', at('new.tar.zst'), '--name', 'Fresh a', '--url', 'http://www.example.org/blah']
    const step = ['--post-step', 'echo stepped >"$DESTDIR/stepped"']
    const done = await runCommand(compose, [...words, ...step, '-o', at('out'), '--upd', '9.1-RELEASE'])
    assert.equal(done.status, 0, done.error?.message)
    const list = readFileSync(at('out/updates.upd'), 'utf8')
    const fields = list.trimEnd().split(':')
    assert.deepEqual(fields.slice(0, 8), [
      'SA',
      '9.1-RELEASE',
      'amd64',
      'both',
      'fresh-a',
      'Fresh a',
      '9.1-RELEASE/amd64/patch-20130101-fresh-a.txz',
      '1',
    ])
    assert.equal(sh('sha256sum patch-20130101-fresh-a.txz', at('out')).slice(0, 64), fields[8])
    assert.deepEqual(fields.slice(9), ['/blah', '20130101'])
    // What pc-updatemanager does with it.
    sh('mkdir temp && xz -dc out/patch-20130101-fresh-a.txz | tar -xf - -C temp && cp -a old root', folder)
    sh('DESTDIR=$PWD/root PATCHDIR=$PWD/temp sh temp/update.sh', folder)
    assert.equal(sh('cd root && find . -type f | sort | xargs cat', folder), 'new\nnew\nsame\nstepped\n')
    assert.equal(sh('tar -tf temp/payload.tar', folder).includes('same'), false)
    assert.deepEqual(
      readdirSync(at('out')).filter((name) => /\.tar$|parts/.test(name)),
      [],
    )
  })
})

test('update.sh does what a client does, whatever the names and commands are', needs('xz', 'tar', 'cp'), async () => {
  await inTemporary(async (folder) => {
    const odd = Buffer.from('odd \\\'"$(x)\n\xff', 'latin1')
    const at = (name: string): Buffer => Buffer.concat([Buffer.from(`${folder}/${name}/`), odd])
    plant(folder, { 'base/bin/a': 'old\n', 'root/bin/a': 'new\n' })
    writeFileSync(at('base'), 'goes')
    sh('cp -a base system', folder)
    const steps = ['echo one >>ran # a comment', 'echo two >>ran; (exit 3)', "echo 'three' >>ran"]
    const script = updateScript(
      'Odd',
      [odd.toString('latin1') as RelPath],
      [
        ...steps.map((command, i) => ({ kind: 'run', name: `s${i}`, command, ...usualTerms }) as const),
        { kind: 'notice', text: "it's -n\\t" },
      ],
    )
    const out = join(folder, 'out')
    plant(out, { x: '' })
    writeFileSync(join(out, 'update.sh'), script)
    sh('tar -cf payload.tar -C ../root bin', out)
    const { status, stdout } = spawnSync('sh', [join(out, 'update.sh')], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, PATCHDIR: out, DESTDIR: join(folder, 'system') },
    })
    assert.deepEqual([status, stdout], [1, "it's -n\\t\n"])
    assert.deepEqual(readdirSync(join(folder, 'system')), ['bin'])
    assert.equal(readFileSync(join(folder, 'ran'), 'utf8'), 'one\ntwo\nthree\n')
  })
})

test('before 9.1: a file of lines, whose tarball is lzma', needs('xz', 'tar'), async () => {
  await inTemporary(async (folder) => {
    plant(join(folder, 'root'), { 'bin/a': 'new\n' })
    const out = join(folder, 'out')
    const words = [
      'bin/a',
      '--name',
      'Fresh a',
      '--url',
      'http://www.example.org/blah',
      '--reboot',
      'reboot',
      '--upd',
      '9.0',
      '-o',
      out,
      ...day,
    ]
    assert.equal((await runCommand(compose, words, { root: join(folder, 'root') })).status, 0)
    const tarball = readFileSync(join(out, 'patch-20130101-fresh-a.lzma'))
    assert.deepEqual(decodeUpdFile(readFileSync(join(out, 'fresh-a.upd'))), {
      name: 'Fresh a',
      md5: createHash('md5').update(tarball).digest('hex'),
      megabytes: 1,
      file: '/system-updates/patch-20130101-fresh-a.lzma',
      standAlone: false,
      requiresReboot: true,
      details: 'http://www.example.org/blah',
    })
    assert.match(sh('xz --format=lzma -dc patch-20130101-fresh-a.lzma | tar -tf -', out), /update\.sh/)
    const told = await runCommand(check, ['--upd', join(out, 'fresh-a.upd')])
    assert.equal(told.stdout, 'Fresh a: 1 MB, requires a reboot\n')
  })
})

test('check --upd tells what a list says, what is installed, and whether it is signed', needs('openssl'), async () => {
  await inTemporary(async (folder) => {
    const list = join(folder, 'updates.upd')
    writeFileSync(list, `# of today\nMU:9.1-RELEASE:9.2-RELEASE\n${line}\nBRANCHES:stable,edge\nXY:something new\n`)
    const text = 'fbsd-9.2-RELEASE: from 9.1-RELEASE to 9.2-RELEASE\nident: What it is, for 9.1-RELEASE noarch, 3 MB, 20130101'
    assert.equal((await runCommand(check, ['--upd', list], { root: folder })).stdout, `${text}\nbranches: stable edge\n`)
    assert.equal((await runCommand(check, ['--upd', list, '-e'], { root: folder })).status, 10)
    plant(folder, { 'var/db/pc-updatemanager/installed/9.1-RELEASE/ident': '' })
    assert.match((await runCommand(check, ['--upd', list], { root: folder })).stdout, /, installed$/m)
    const json = (await runCommand(check, ['--upd', list, '-j'], { root: folder })).stdout.trimEnd().split('\n')
    assert.deepEqual([JSON.parse(json[1] ?? '').installed, JSON.parse(json[2] ?? '').branches], [true, ['stable', 'edge']])

    sh('openssl genrsa -out key.pem 2048 2>/dev/null; openssl rsa -in key.pem -pubout -out pub.pem 2>/dev/null', folder)
    sh('openssl dgst -sha1 -sign key.pem -out updates.upd.sha1 updates.upd', folder)
    const verified = ['--upd', list, '-p', join(folder, 'pub.pem')]
    assert.equal((await runCommand(check, verified, { root: folder })).status, 0)
    writeFileSync(list, `${line}\n`)
    assert.equal((await runCommand(check, verified, { root: folder })).code, 'bad-signature')
    assert.equal((await runCommand(check, ['--upd', list, '-p', list], { root: folder })).code, 'bad-format')
  })
})

test('what a list says reaches no terminal as it is, and a key of another kind is told', async () => {
  await inTemporary(async (folder) => {
    const list = join(folder, 'updates.upd')
    writeFileSync(list, `${line.replace('What it is', 'What \u009b2J\u202e it is')}\nBRANCHES:a\u009b2J\n`)
    const { stdout } = await runCommand(check, ['--upd', list], { root: folder })
    assert.match(Buffer.from(stdout, 'latin1').toString(), /^ident: What \?2J\? it is, .*\nbranches: a\?2J\n$/)
    const key = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })
    writeFileSync(join(folder, 'key.pem'), key)
    writeFileSync(`${list}.sha1`, 'x')
    assert.equal((await runCommand(check, ['--upd', list, '-p', join(folder, 'key.pem')], { root: folder })).code, 'not-supported')
  })
})

test('lists and files that lie are refused with their line', () => {
  const list = (text: string): string => code(() => decodeUpdList(utf8(text)))
  assert.equal(list(`${line}\n`), 'nothing')
  assert.equal(list(line.replace(digest, 'abc')), 'bad-format')
  assert.equal(list(line.replace(':3:', ':many:')), 'bad-format')
  assert.equal(list(line.replace(':ident:', ':../ident:')), 'bad-format')
  assert.equal(list(line.replace('9.1-RELEASE/noarch/a.txz', '../../a.txz')), 'hostile')
  assert.equal(list(`${line}:more`), 'bad-format')
  assert.equal(list('MU:9.1'), 'bad-format')
  assert.equal(list(`${line}\u001b[2J`), 'bad-format')
  assert.equal(list('x'.repeat(5000)), 'over-limit')
  const file = (text: string): string => code(() => decodeUpdFile(utf8(text)))
  const good = `MD5: ${'0'.repeat(32)}\nSize: 1\nFileURL: /a.txz\n`
  assert.equal(file(`${good}Anything: else\nDetails URL: x\n`), 'nothing')
  for (const [from, to] of [
    ['MD5', 'MD6'],
    ['Size: 1', 'Size: -1'],
    ['FileURL: /a.txz', 'FileURL /a.txz'],
  ] as const) {
    assert.equal(file(good.replace(from, to)), 'bad-format')
  }
  assert.equal(file(`${good}MD5: ${'1'.repeat(32)}\n`), 'bad-format')
  assert.equal(file(good.replace('/a.txz', '/../a.txz')), 'hostile')
})

test('a name that the list has no room for, and a release that is none, are told', async () => {
  await inTemporary(async (folder) => {
    plant(folder, { 'bin/a': 'a' })
    const run = async (name: string, release: string) =>
      await runCommand(compose, ['bin/a', '--name', name, '--upd', release, '-o', join(folder, 'out')], { root: folder })
    assert.match((await run('a: b', '9.1-RELEASE')).error?.message ?? '', /holds a colon/)
    assert.equal((await run('a', 'nine')).code, 'usage')
    assert.deepEqual(readdirSync(folder), ['bin'])
  })
})
