import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { readErrata, readUnsignedErrata } from '../src/command/errata-file.ts'
import { errataRemarks, showErrata } from '../src/command/errata-text.ts'
import { applyErrata } from '../src/engine/capture/errata.ts'
import { decodePublicKey } from '../src/format/signify.ts'
import { decodeErrata } from '../src/format/errata.ts'
import { hostDisk } from '../src/host/disk.ts'
import { hostSandboxes } from '../src/host/sandbox.ts'
import { errataText, fileDiff, signedApply } from './helpers/errata.ts'
import { file, plant } from './helpers/plant.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { inTemporaryForOverlays } from './helpers/temporary.ts'
import type { TestContext } from 'node:test'
import type { ErrorCode } from '../src/base/error.ts'
import type { AppliedErrata } from '../src/engine/capture/errata-order.ts'
import type { GivenErrata } from '../src/engine/capture/errata.ts'
import type { Sandbox, SandboxKind } from '../src/port/sandbox.ts'
import type { Section } from './helpers/errata.ts'

/**
 * Patches by their own instructions, in a root whose only programs are busybox and a `make` that does what its folder's
 * `make.sh` says. signify-openbsd signs.
 */

const tools = { ...needs('busybox', 'signify-openbsd'), ...needsRoot() }
const asRoot = { ...needs('busybox'), ...needsRoot() }

const lampd = 'usr/src/usr.sbin/lampd/lampd.txt'
const rebuild: Section = {
  heading: 'And then rebuild and install lampd:',
  commands: ['cd /usr/src/usr.sbin/lampd', 'make obj', 'make', 'make install'],
}

const title = (number: number): string => `OpenBSD 7.4 errata ${String(number).padStart(3, '0')}, May ${number}, 2023:`
const change = (old: readonly string[], now: readonly string[]): string => fileDiff('usr.sbin/lampd/lampd.txt', old, now)

function lampPatch(number: number, diff: string, sections: readonly Section[] = [rebuild]): string {
  const name = `${String(number).padStart(3, '0')}_lampd`
  return errataText({ title: title(number), description: 'Words.', sections: [signedApply(name), ...sections], diff })
}

const first = lampPatch(1, change(['lamp 0'], ['lamp 1', 'safe']))
const second = lampPatch(2, change(['lamp 1', 'safe'], ['lamp 2', 'safer']))

async function plantRoot(root: string): Promise<void> {
  mkdirSync(join(root, 'bin'), { recursive: true })
  for (const folder of ['dev', 'proc', 'tmp', 'etc', 'usr/sbin']) mkdirSync(join(root, folder), { recursive: true })
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  execFileSync('chroot', [root, '/bin/busybox', '--install', '-s', '/bin'])
  const script = [
    'case ${1-all} in',
    'obj) mkdir -p obj ;;',
    'all) cp lampd.txt obj/lampd ;;',
    'install) cp obj/lampd /usr/sbin/lampd ;;',
    'esac',
    '',
  ]
  await plant(hostDisk(root), {
    'bin/make': file('#!/bin/sh\nexec sh ./make.sh "$@"\n', { mode: 0o755 }),
    [lampd]: 'lamp 0\n',
    'usr/src/usr.sbin/lampd/make.sh': script.join('\n'),
    'usr/sbin/lampd': 'lamp 0\n',
  })
}

function plantDash(root: string): void {
  const libraries = execFileSync('ldd', ['/bin/dash'], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  for (const path of libraries) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    copyFileSync(path, join(root, path))
  }
  rmSync(join(root, 'bin/sh'))
  copyFileSync('/bin/dash', join(root, 'bin/sh'))
}

type World = { readonly root: string; readonly sandbox: Sandbox; read(path: string): Promise<string> }

async function inWorld(t: TestContext, kind: SandboxKind, use: (world: World) => Promise<void>): Promise<void> {
  await inTemporaryForOverlays(async (folder) => {
    const root = join(folder, 'root')
    await plantRoot(root)
    const sandbox = await openOrSkip(t, kind, root)
    if (sandbox === undefined) return
    try {
      await use({ root, sandbox, read: (path) => readAll(sandbox, path) })
    } finally {
      await sandbox.close()
    }
  })
}

async function openOrSkip(t: TestContext, kind: SandboxKind, root: string): Promise<Sandbox | undefined> {
  try {
    return await hostSandboxes.open(kind, root, {})
  } catch (error) {
    if (!isBinderyError(error, 'not-supported')) throw error
    t.skip(`no sandbox ${kind}: ${error.message}`)
    return undefined
  }
}

async function readAll(sandbox: Sandbox, path: string): Promise<string> {
  const said: Uint8Array[] = []
  const output = (bytes: Uint8Array): void => void said.push(bytes)
  await sandbox.run({ command: ['cat', path], network: false, output, signal: new AbortController().signal })
  return Buffer.concat(said).toString()
}

type Ran = { readonly said: string; readonly error: unknown }

async function run(
  sandbox: Sandbox,
  given: readonly GivenErrata[],
  applied: readonly AppliedErrata[] = [],
  timeLimitMs?: number,
): Promise<Ran> {
  let said = ''
  const output = (bytes: Uint8Array): void => void (said += Buffer.from(bytes).toString())
  const limit = timeLimitMs === undefined ? {} : { timeLimitMs }
  try {
    await applyErrata(sandbox, given, applied, { network: false, output, signal: new AbortController().signal, ...limit })
    return { said, error: undefined }
  } catch (error) {
    return { said, error }
  }
}

const unsigned = (...texts: readonly string[]): readonly GivenErrata[] =>
  texts.map((text) => ({ kind: 'unsigned', errata: decodeErrata(utf8(text)) }))

function refusedWith(error: unknown, code: ErrorCode, says: RegExp): void {
  assert.ok(isBinderyError(error, code), String(error))
  assert.match(`${error.subject}: ${error.message} (${error.hint ?? ''})`, says)
}

function signer(folder: string): (name: string, text: string) => Uint8Array {
  const call = (...args: readonly string[]): void => void execFileSync('signify-openbsd', args, { cwd: folder })
  call('-G', '-n', '-p', 'base.pub', '-s', 'base.sec')
  return (name, text) => {
    writeFileSync(join(folder, name), text)
    call('-S', '-e', '-s', 'base.sec', '-m', name, '-x', `${name}.sig`)
    return readFileSync(join(folder, `${name}.sig`))
  }
}

for (const kind of ['overlay', 'snapshot'] as const) {
  test(`two signed patches in a row, in the ${kind}`, tools, async (t) => {
    await inWorld(t, kind, async ({ root, sandbox, read }) => {
      const folder = join(root, '..')
      const sign = signer(folder)
      const key = decodePublicKey(readFileSync(join(folder, 'base.pub')))
      const given: GivenErrata[] = []
      for (const [name, text] of [
        ['001_lampd.patch', first],
        ['002_lampd.patch', second],
      ] as const)
        given.push({ kind: 'signed', errata: await readErrata(sign(name, text), `${name}.sig`, key) })
      const { said, error } = await run(sandbox, given)
      assert.equal(error, undefined, `${String(error)}\n${said}`)
      assert.equal(await read('/usr/sbin/lampd'), 'lamp 2\nsafer\n')
      assert.equal(await read(`/${lampd}`), 'lamp 2\nsafer\n')
      assert.match(said, /^bindery: line 6: patch -p0 in \/usr\/src\n[^]*\nbindery: line 13: make install\n/)
      assert.equal(readFileSync(join(root, 'usr/sbin/lampd'), 'utf8'), kind === 'overlay' ? 'lamp 0\n' : 'lamp 2\nsafer\n')
    })
  })
}

test('a patch that was altered, and one of another key, are not even parsed', tools, async () => {
  await inTemporaryForOverlays(async (folder) => {
    const signed = signer(folder)('001_lampd.patch', first)
    const key = decodePublicKey(readFileSync(join(folder, 'base.pub')))
    const altered = utf8(Buffer.from(signed).toString().replace('make install', 'make  install'))
    await assert.rejects(readErrata(altered, 'x.sig', key), (error) => isBinderyError(error, 'bad-signature') && error.subject === 'x.sig')
    const cut = signed.subarray(0, signed.length - 1)
    await assert.rejects(readErrata(cut, 'x.sig', key), (error) => isBinderyError(error, 'bad-signature'))
    const other = { ...key, keynum: key.keynum.map((byte) => byte ^ 1) }
    await assert.rejects(readErrata(signed, 'x.sig', other), (error) => isBinderyError(error, 'wrong-key'))
    assert.equal((await readUnsignedErrata(altered, 'x.sig')).number, '001')
    assert.equal((await readUnsignedErrata(utf8(first), 'x')).number, '001')
    await assert.rejects(readErrata(utf8(first), 'x', key), (error) => isBinderyError(error, 'bad-format'))
  })
})

test('a patch that needs an earlier one says so, and nothing has changed', asRoot, async (t) => {
  await inWorld(t, 'snapshot', async ({ root, sandbox, read }) => {
    const { said, error } = await run(sandbox, unsigned(second))
    refusedWith(
      error,
      'wrong-base',
      /^002_lampd \(OpenBSD 7.4 errata 002, May 2, 2023\): does not fit .*earlier patch \(not known to be applied: 001\)/,
    )
    assert.match(said, /FAIL/)
    assert.equal(await read(`/${lampd}`), 'lamp 0\n')
    assert.ok(!existsSync(join(root, 'usr/src/usr.sbin/lampd/obj')))

    assert.equal((await run(sandbox, unsigned(first))).error, undefined)
    refusedWith((await run(sandbox, unsigned(first))).error, 'wrong-base', /is it applied already/)
    assert.equal((await run(sandbox, unsigned(second), [{ release: '7.4', number: '001' }])).error, undefined)
    assert.equal(await read('/usr/sbin/lampd'), 'lamp 2\nsafer\n')
  })
})

test('the order of numbers, within a release, before anything runs', asRoot, async (t) => {
  await inWorld(t, 'snapshot', async ({ sandbox, read }) => {
    const one = [{ release: '7.4', number: '001' }]
    refusedWith((await run(sandbox, unsigned(second, first))).error, 'wrong-base', /^001.*: must come before 002 \(name the patches in/)
    refusedWith((await run(sandbox, unsigned(first, first))).error, 'exists', /^001.*: has the number of the one before/)
    refusedWith((await run(sandbox, unsigned(first), one)).error, 'exists', /^001.*: is applied already/)
    const two = [{ release: '7.4', number: '002' }]
    refusedWith((await run(sandbox, unsigned(first), two)).error, 'wrong-base', /^001.*: must come before 002 \(begin with/)
    const other = unsigned(second.replace('OpenBSD 7.4', 'OpenBSD 7.3'))
    refusedWith((await run(sandbox, other, one)).error, 'mix-and-match', /is for OpenBSD 7.3, the one before it for 7.4/)
    assert.equal(await read(`/${lampd}`), 'lamp 0\n')
  })
})

test('one shell for all blocks: cd and variables carry over', asRoot, async (t) => {
  await inWorld(t, 'snapshot', async ({ sandbox, read }) => {
    const blocks: readonly Section[] = [
      {
        heading: 'And then build:',
        commands: ['cd src/usr.sbin/lampd', 'KK=`echo lampd#7 | cut -d# -f1`', '# a word', 'make obj; make \\', '    all'],
      },
      { heading: 'Then install it:', commands: ['make install', 'cp obj/$KK /tmp/"it\'s"'] },
    ]
    const { said, error } = await run(sandbox, unsigned(lampPatch(1, change(['lamp 0'], ['lamp 1']), blocks)))
    assert.equal(error, undefined, said)
    assert.equal(await read("/tmp/it's"), 'lamp 1\n')
  })
})

const failing: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a command', ['true', 'false'], /line 11: 'false' failed with status 1 /],
  ['a status of its own', ['sh -c "exit 42"'], /line 10: 'sh -c "exit 42"' failed with status 42 /],
  ['the first of a list', ['cd /nowhere && make'], /line 10: 'cd \/nowhere && make' failed with status/],
  ['the first of two', ['false; true'], /line 10: 'false; true' failed with status 1 /],
  ['cd', ['cd /nowhere'], /line 10: 'cd \/nowhere' failed with status/],
  ['a program that is not there', ['config GENERIC'], /line 10: 'config GENERIC' failed with status 127 /],
  ['output without a line end', ['printf x', 'false'], /line 11: 'false' failed/],
  ['the shell', ['exit 0'], /line 10: 'exit 0' ended the shell before the last step/],
]

test('a step that fails ends it, with its line', asRoot, async (t) => {
  await inWorld(t, 'snapshot', async ({ root, sandbox }) => {
    for (const [i, [name, commands, says]] of failing.entries()) {
      const text = lampPatch(1, fileDiff(`new${i}`, [], ['x']), [{ heading: 'And then:', commands: [...commands, 'touch /tmp/after'] }])
      refusedWith((await run(sandbox, unsigned(text))).error, 'command-failed', says)
      assert.ok(!existsSync(join(root, 'tmp/after')), name)
    }
  })
})

const incomplete = ['for f in a b; do', 'if true', 'echo "a', 'make )', '$ make; }']

test('a step that sh does not take alone is refused before anything runs', asRoot, async (t) => {
  await inWorld(t, 'snapshot', async ({ root, sandbox, read }) => {
    for (const command of incomplete) {
      const broken = lampPatch(2, change(['lamp 1'], ['lamp 2']), [{ heading: 'And then:', commands: ['touch /tmp/before', command] }])
      const { error } = await run(sandbox, unsigned(first, broken))
      refusedWith(error, 'bad-format', /^002_.*: line 11: is no complete command of sh: '/)
    }
    assert.equal(await read(`/${lampd}`), 'lamp 0\n')
    assert.ok(!existsSync(join(root, 'tmp/before')))
  })
})

test('a tree without the sources, without patch(1), without a shell', { ...asRoot, ...needs('dash', 'ldd'), ...needsRoot() }, async (t) => {
  await inWorld(t, 'snapshot', async ({ sandbox, root }) => {
    const elsewhere = errataText({
      title: title(1),
      sections: [signedApply('001_x', '/usr/xenocara')],
      diff: change(['lamp 0'], ['lamp 1']),
    })
    refusedWith((await run(sandbox, unsigned(elsewhere))).error, 'not-found', /there is no \/usr\/xenocara in the tree \(unpack/)
    // busybox's own sh knows patch wherever it is.
    plantDash(root)
    rmSync(join(root, 'bin/patch'))
    refusedWith((await run(sandbox, unsigned(first))).error, 'not-supported', /there is no patch\(1\) in the tree/)
    rmSync(join(root, 'bin/sh'))
    refusedWith((await run(sandbox, unsigned(first))).error, 'not-supported', /sh does not run in the tree/)
  })
})

test('a step that hangs is ended by the time limit, and named', asRoot, async (t) => {
  await inWorld(t, 'snapshot', async ({ sandbox }) => {
    const text = lampPatch(1, change(['lamp 0'], ['lamp 1']), [{ heading: 'And then:', commands: ['true', 'sleep 1000'] }])
    refusedWith((await run(sandbox, unsigned(text), [], 2000)).error, 'command-failed', /line 11: 'sleep 1000' ran out of time/)
  })
})

test('no errata where commands run outside of the tree', asRoot, async (t) => {
  await inWorld(t, 'destdir', async ({ sandbox }) => {
    refusedWith((await run(sandbox, unsigned(first))).error, 'not-supported', /need a sandbox whose root is the tree/)
  })
})

test('what is shown before anything runs', () => {
  const diff = change(['lamp 0'], ['lamp 1']) + fileDiff('usr.sbin/lampd/new.c', [], ['x'])
  const errata = decodeErrata(
    utf8(lampPatch(1, diff, [{ heading: 'And then rebuild:', commands: ['cd /usr/src', 'make \\', '    install'] }])),
  )
  assert.equal(
    showErrata({ kind: 'unsigned', errata }),
    [
      'OpenBSD 7.4 errata 001, May 1, 2023 (signature not checked)',
      '   6  patch -p0 in /usr/src:',
      '        usr.sbin/lampd/lampd.txt',
      '        usr.sbin/lampd/new.c (added)',
      '      And then rebuild:',
      '  10    cd /usr/src',
      '  11    make \\',
      '                install',
      '',
    ].join('\n'),
  )
})

test('what does not fit together is remarked', () => {
  const errata = decodeErrata(utf8(first))
  assert.deepEqual(errataRemarks(errata, 'patches/001_lampd.patch.sig', '/etc/signify/openbsd-74-base.pub'), [])
  assert.deepEqual(errataRemarks(errata, '001_lampd.patch', undefined), [])
  assert.deepEqual(errataRemarks(errata, 'lampd.sig', 'my.pub'), [
    'lampd.sig: its instructions call it 001_lampd',
    'lampd.sig: its instructions name the key openbsd-74-base.pub, not my.pub',
  ])
  const odd = decodeErrata(utf8(errataText({ title: title(2), sections: [signedApply('001_lampd')], diff: change(['a'], ['b']) })))
  assert.deepEqual(errataRemarks(odd, '001_lampd', undefined), [
    '001_lampd: its title says 002, its instructions 001',
    '001_lampd: there are no commands after the patch',
  ])
})
