import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { capture } from '../src/command/capture.ts'
import { cut } from '../src/command/cut.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporaryForOverlays } from './helpers/temporary.ts'
import type { Outcome } from './helpers/run-command.ts'

/** What careless and hostile users and commands do to `capture`; what it captures is told by test/acceptance/capture.test.ts. */

type Place = {
  readonly folder: string
  readonly root: string
  readonly output: string
  /** `capture ROOT` with these words; the sandbox is destdir where they name no other. */
  readonly capture: (...words: readonly string[]) => Promise<Outcome>
}

async function inPlace(use: (place: Place) => Promise<void>): Promise<void> {
  await inTemporaryForOverlays(async (folder) => {
    const [root, output] = [join(folder, 'root'), join(folder, 'taken')]
    mkdirSync(join(root, 'etc'), { recursive: true })
    writeFileSync(join(root, 'etc/motd'), 'hello\n')
    const scratch = join(folder, 'scratch')
    mkdirSync(scratch)
    await use({
      folder,
      root,
      output,
      capture: async (...words) => {
        const usual = words.includes('--sandbox') ? [] : ['--sandbox', 'destdir', '--scratch', scratch]
        const outcome = await runCommand(capture, [root, ...usual, ...words])
        assert.deepEqual(readdirSync(scratch), [], 'nothing is left of a sandbox')
        return outcome
      },
    })
  })
}

const change = ['--', 'sh', '-c', 'echo new > "$DESTDIR/etc/new"; echo told'] as const

test('words that mean nothing are refused before anything runs', async () => {
  await inPlace(async ({ folder, output, capture }) => {
    const wrong: readonly (readonly string[])[] = [
      ['-o', '', ...change],
      ['-o', output, '--scratch', '', '--sandbox', 'destdir', ...change],
      ['-o', output, '--scratch', folder, '--sandbox', 'snapshot', ...change],
      ['-o', output, '--', ''],
      ['-o', output, '--', 'A=b', 'make'],
      ...['', '/', '.', './', '..', 'a/../b', '/a//b'].map((path) => ['-o', output, `--exclude=${path}`, ...change]),
      ...['0', '-1', '1.5', '2147484'].map((time) => ['-o', output, `--time-limit=${time}`, ...change]),
    ]
    for (const words of wrong) assert.equal((await capture(...words)).code, 'usage', words.join(' '))
    assert.deepEqual(readdirSync(folder).sort(), ['root', 'scratch'])
  })
})

test('where the capture cannot be, nothing runs', async () => {
  await inPlace(async ({ folder, capture }) => {
    const ran = join(folder, 'ran')
    const words = ['--', 'sh', '-c', `: > '${ran}'`]
    writeFileSync(join(folder, 'file'), '')
    mkdirSync(join(folder, 'dir.log'))
    for (const [output, code] of [
      ['.', 'exists'],
      ['/', 'exists'],
      [folder, 'exists'],
      [join(folder, 'file'), 'exists'],
      [join(folder, 'file/below'), 'not-found'],
      [join(folder, 'none/below'), 'not-found'],
      [join(folder, 'dir'), 'exists'],
    ] as const)
      assert.equal((await capture('-o', output, ...words)).code, code, output)
    assert.ok(!existsSync(ran))
  })
})

test('a log of another run is replaced, and nothing else that has its name', { ...needs('mkfifo') }, async () => {
  await inPlace(async ({ folder, output, capture }) => {
    const other = join(folder, 'other')
    writeFileSync(other, 'precious')
    symlinkSync(other, `${output}.log`)
    assert.equal((await capture('-o', output, ...change)).code, 'exists')
    assert.equal(readFileSync(other, 'utf8'), 'precious')
    execFileSync('mkfifo', [join(folder, 'pipe.log')])
    assert.equal((await capture('-o', join(folder, 'pipe'), ...change)).code, 'exists')
    const again = join(folder, 'again')
    writeFileSync(`${again}.log`, 'of the last run')
    assert.equal((await capture('-o', `${again}/`, ...change)).status, 0)
    assert.equal(readFileSync(join(again, 'log'), 'utf8'), 'told\n')
    assert.ok(!existsSync(`${again}.log`))
  })
})

test('a log that the command takes away is kept all the same', async () => {
  await inPlace(async ({ output, capture }) => {
    assert.equal((await capture('-o', output, '--', 'sh', '-c', `echo told; rm '${output}.log'`)).status, 0)
    assert.equal(readFileSync(join(output, 'log'), 'utf8'), 'told\n')
  })
})

test('a command that fails leaves what it printed, and nothing else', async () => {
  await inPlace(async ({ folder, output, capture }) => {
    for (const [script, message] of [
      ['exit 3', 'ended with status 3'],
      ['exit 126', 'ended with status 126 (cannot be executed)'],
      ['exit 127', 'ended with status 127 (not found)'],
      ['kill -9 $$', 'ended with status 137 (signal 9)'],
    ] as const) {
      const { code, error } = await capture('-o', output, '--', 'sh', '-c', script)
      assert.deepEqual([code, error?.message], ['command-failed', message])
    }
    await capture('-o', output, '--', 'sh', '-c', 'exit 1')
    assert.deepEqual(readdirSync(folder).sort(), ['root', 'scratch'])
    await capture('-o', output, '--', 'sh', '-c', 'echo told; exit 1')
    assert.deepEqual(readdirSync(folder).sort(), ['root', 'scratch', 'taken.log'])
    assert.equal(readFileSync(`${output}.log`, 'utf8'), 'told\n')
  })
})

test('a command that takes away the copy of the tree has failed', async () => {
  await inPlace(async ({ output, capture }) => {
    for (const script of ['rm -r "$DESTDIR"', 'rm -r "$DESTDIR"; ln -s /etc "$DESTDIR"'])
      assert.equal((await capture('-o', output, '--', 'sh', '-c', script)).code, 'command-failed', script)
  })
})

test('a copy with files that cannot be removed is removed', { ...needs('chattr'), ...needsRoot() }, async (t) => {
  await inPlace(async ({ folder, output, capture }) => {
    const probe = join(folder, 'probe')
    writeFileSync(probe, '')
    try {
      execFileSync('chattr', ['+i', probe], { stdio: 'ignore' })
      execFileSync('chattr', ['-i', probe])
    } catch {
      return t.skip('the file system has no immutable files')
    }
    const { status } = await capture('-o', output, '--', 'sh', '-c', 'cd "$DESTDIR"; echo > new; chattr +i new; chattr +a etc')
    assert.equal(status, 0)
  })
})

test('what bindery writes below the tree is no change of it', { ...needs('busybox'), ...needsRoot() }, async () => {
  await inPlace(async ({ root, capture }) => {
    mkdirSync(join(root, 'bin'))
    copyFileSync('/bin/busybox', join(root, 'bin/sh'))
    for (const kind of ['destdir', 'snapshot']) {
      const output = join(root, `by-${kind}`)
      const script = `echo told; : > "$DESTDIR/etc/${kind}"`
      const { status, stdout } = await capture('-o', output, '--sandbox', kind, '--', 'sh', '-c', script)
      assert.deepEqual([status, stdout], [0, `+ etc/${kind}\n`])
      assert.ok(existsSync(join(output, 'capture.json')))
    }
  })
})

test('a scratch folder that does not do is no reason to change the tree itself', needsRoot(), async () => {
  await inPlace(async ({ root, output }) => {
    const { code } = await runCommand(capture, [root, '-o', output, '--scratch', join(root, 'etc'), '--', 'sh', '-c', 'rm -r /etc'])
    assert.equal(code, 'not-supported')
  })
})

test('changes of the whole system can be kept in memory, which is no part of it', { ...needs('mount'), ...needsRoot() }, async (t) => {
  await inPlace(async ({ output }) => {
    const words = ['/', '-o', output, '--sandbox', 'overlay', '--scratch', '/dev/shm', '--', 'sh', '-c', 'echo > /etc/of-a-test']
    const { status, stdout, error } = await runCommand(capture, words)
    if (error?.code === 'not-supported' && !error.message.includes('inside')) return t.skip(error.message)
    assert.deepEqual([status, stdout], [0, '+ etc/of-a-test\n'], error?.message)
    assert.ok(!existsSync('/etc/of-a-test'))
  })
})

test('a temporary folder that is not there', async () => {
  await inPlace(async ({ root, output }) => {
    const usual = process.env['TMPDIR']
    process.env['TMPDIR'] = join(root, 'none')
    try {
      assert.equal((await runCommand(capture, [root, '--sandbox', 'destdir', '-o', output, ...change])).code, 'not-found')
    } finally {
      if (usual === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = usual
    }
  })
})

test('a log that cannot be written ends the command', { ...needs('mount', 'umount'), ...needsRoot() }, async (t) => {
  await inPlace(async ({ folder, capture }) => {
    const small = join(folder, 'small')
    mkdirSync(small)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small], { stdio: 'ignore' })
    } catch {
      return t.skip('nothing can be mounted here')
    }
    try {
      const { code, error } = await capture('-o', join(small, 'taken'), '--', 'sh', '-c', 'yes')
      assert.deepEqual([code, error?.subject], ['no-space', join(small, 'taken.log')])
      const full = await capture('-o', join(small, 'other'), '--', 'sh', '-c', 'yes | head -c 500000 > "$DESTDIR/big"')
      assert.deepEqual([full.code, full.error?.subject], ['no-space', join(small, 'other')])
      assert.deepEqual(readdirSync(small), ['taken.log'])
    } finally {
      execFileSync('umount', [small])
    }
  })
})

test('a stop while the capture is written leaves nothing of it', async () => {
  await inPlace(async ({ folder, root, output }) => {
    const stopped = new AbortController()
    // The tree before, and after.
    let scans = 0
    const end = (): void => void (++scans === 2 && stopped.abort(new BinderyError('stopped', 'stopped')))
    const progress = { start: () => ({ advance: () => {}, end }) }
    const words = ['--sandbox', 'destdir', '-o', output, '--', 'sh', '-c', 'echo > "$DESTDIR/new"']
    assert.equal((await runCommand(capture, [root, ...words], { signal: stopped.signal, progress })).code, 'stopped')
    assert.deepEqual(readdirSync(folder).sort(), ['root', 'scratch'])
  })
})

test('a content that has no end is not read', async () => {
  await inPlace(async ({ output, capture: take }) => {
    assert.equal((await take('-o', output, ...change)).status, 0)
    const content = join(output, 'content', readdirSync(join(output, 'content'))[0] as string)
    rmSync(content)
    symlinkSync('/dev/zero', content)
    const { code, error } = await runCommand(capture, ['--review', output])
    assert.deepEqual([code, error?.subject], ['not-found', content])
  })
})

test('a folder that holds no capture is named', async () => {
  await inPlace(async ({ root }) => {
    const reviewed = await runCommand(capture, ['--review', root])
    const used = await runCommand(cut, [root, '--base', root, '--product', 'base', '--revision', '1'])
    for (const { code, error } of [reviewed, used]) assert.deepEqual([code, error?.subject], ['not-found', `${root}/capture.json`])
  })
})
