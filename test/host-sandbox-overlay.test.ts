import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { describePaths, scanTree } from '../src/engine/tree/scan.ts'
import { hostDisk } from '../src/host/disk.ts'
import { hostSandboxes } from '../src/host/sandbox.ts'
import { char, dir, file, hardlink, relPath, symlink } from './helpers/plant.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { makeRoot, runScript } from './helpers/sandbox-root.ts'
import { inTemporary, inTemporaryForOverlays } from './helpers/temporary.ts'
import { halfToday } from './helpers/whole-suite.ts'
import type { TestContext } from 'node:test'
import type { Entry } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Disk, DiskReader } from '../src/port/disk.ts'
import type { Sandbox, SandboxOptions } from '../src/port/sandbox.ts'
import type { Literal } from './helpers/plant.ts'

const options = { ...needs('busybox', 'getfattr', 'setfattr', 'unshare', 'setpriv', 'nsenter'), ...needsRoot() }

type Use = (sandbox: Sandbox, root: string) => Promise<void>

async function inOverlay(t: TestContext, root: string, use: Use, options: SandboxOptions = {}): Promise<void> {
  let sandbox: Sandbox
  try {
    sandbox = await hostSandboxes.open('overlay', root, options)
  } catch (error) {
    if (!isBinderyError(error, 'not-supported')) throw error
    return t.skip(error.message)
  }
  try {
    await use(sandbox, root)
  } finally {
    await sandbox.close()
  }
}

async function overRoot(t: TestContext, more: Literal, use: Use): Promise<void> {
  await inTemporaryForOverlays(async (folder) => {
    const root = join(folder, 'root')
    await makeRoot(root, more)
    await inOverlay(t, root, use)
  })
}

const more: Literal = {
  'etc/link': symlink('a'),
  dirlink: symlink('d'),
  null: char(1, 3),
  'odd\n\u00ff/name\\': 'odd',
  'p/q/r/s': 's',
  'p/q/t': 't',
  'p/one': 'one',
  'x/two': hardlink('p/one'),
  'x/y/three': hardlink('p/one'),
}

/** Each is run in an overlay, and in a copy of the tree itself: both must look alike, and differ from before where the overlay says. */
const scripts: Readonly<Record<string, string>> = {
  'nothing at all': 'true',
  'a new file, and a folder with one': 'echo n > n; mkdir m; echo o > m/o',
  'a file is written anew': 'echo new > etc/a',
  'the same bytes are written': 'cat etc/a > t; cat t > etc/a; rm t',
  'a file goes': 'rm etc/a',
  'a folder goes': 'rm -r d',
  'a folder goes and a new one comes': 'rm -r p; mkdir p; echo 1 > p/one',
  'a folder is emptied and filled': 'rm -r p/*; mkdir p/q; echo n > p/q/n',
  'a file is renamed': 'mv etc/a etc/c',
  'a file replaces another': 'mv etc/a p/q/t',
  'a folder is renamed': 'mv p n',
  'a folder is renamed, and its files are changed': 'mv p n; echo x >> n/q/t; rm n/q/r/s; echo n > n/q/n',
  'a folder is renamed, and a new one takes its place': 'mv p n; mkdir p; echo 1 > p/other',
  'a folder is renamed, and another takes its place': 'mv p n; mv x p',
  'a folder is renamed and comes back': 'mv p n; mv n p',
  'a folder within a renamed one is renamed': 'mv p n; mv n/q n/k; mv n/k/r r',
  'two folders change places': 'mv p t; mv x p; mv t x',
  'a folder moves into another': 'mv p x/y/; mv x/y/p/q d/',
  'a folder becomes a link': 'rm -r p; ln -s x p',
  'a link becomes a folder': 'rm dirlink; mkdir dirlink; echo f > dirlink/f',
  'a folder becomes a link and a folder again': 'rm -r p; ln -s x p; rm p; mkdir p; echo 1 > p/one',
  'a file becomes a folder': 'rm etc/a; mkdir etc/a; echo 1 > etc/a/b',
  'a folder becomes a file': 'rm -r p; echo p > p',
  'a link is changed': 'ln -sf b etc/link',
  'a file of several names is written through one': 'echo x >> x/two',
  'a file of several names has its mode changed through one': 'chmod 600 x/y/three',
  'a name of several goes': 'rm p/one',
  'two names of three go': 'rm p/one x/two',
  'a folder with a name of several goes': 'rm -r x/y',
  'a folder with a name of several is renamed': 'mv x n; echo x >> n/two',
  'a name comes': 'ln etc/a n',
  'a name comes to several': 'ln x/two n',
  'a name of several is torn away': 'cat p/one > t; mv t p/one',
  'the mode of a file': 'chmod 4755 etc/a',
  'the mode of a folder': 'chmod 700 p/q',
  'the mode of the root': 'chmod 700 .',
  'an owner': 'chown 5:6 etc/a etc/link p',
  'the time of a file': 'touch -d "2001-02-03 04:05:06" etc/a',
  'devices and a fifo': 'mknod n c 1 5; mknod k b 7 1; mkfifo o; rm null; mknod null c 1 7',
  'odd names': String.raw`cd odd*; echo x >> name*; cd ..; mv odd* "$(printf '\376')"`,
}

for (const [name, script] of halfToday(Object.entries(scripts))) {
  test(`overlay: ${name}`, options, async (t) => {
    await overRoot(t, more, async (sandbox, root) => {
      const before = await entriesOf(sandbox.before)
      const { result, text } = await runScript(sandbox, script)
      assert.deepEqual({ result, text }, { result: { kind: 'ended', status: 0 }, text: '' })
      const after = await entriesOf(sandbox.after)
      assert.deepEqual(await entriesOf(hostDisk(root)), before)
      assert.deepEqual(timeless(after), timeless(await directly(root, script)))
      await holdsAllThatDiffers(sandbox, before, after)
    })
  })
}

async function directly(root: string, script: string): Promise<ReadonlyMap<RelPath, Entry>> {
  const copy = `${root}.copy`
  execFileSync('cp', ['-a', root, copy])
  execFileSync('sh', ['-c', 'umask 022; exec chroot "$@"', 'sh', copy, '/bin/sh', '-c', script], {
    env: { PATH: `${process.env['PATH']}:/bin` },
  })
  const result = await entriesOf(hostDisk(copy))
  rmSync(copy, { recursive: true })
  return result
}

/** Times that a command has left are left out: no two runs have them in common. */
function timeless(entries: ReadonlyMap<RelPath, Entry>): readonly unknown[] {
  return [...entries.values()].map((entry) => (entry.mtime.sec > 1_700_000_000 ? { ...entry, mtime: 'now' } : entry))
}

async function entriesOf(disk: DiskReader): Promise<ReadonlyMap<RelPath, Entry>> {
  return new Map((await scanTree(disk)).entries.map((entry) => [entry.path, entry]))
}

async function holdsAllThatDiffers(
  sandbox: Sandbox,
  before: ReadonlyMap<RelPath, Entry>,
  after: ReadonlyMap<RelPath, Entry>,
): Promise<void> {
  const touched = new Set(await sandbox.touched())
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    if (touched.has(path)) continue
    assert.deepEqual(after.get(path), before.get(path), `${path} is not among what was touched`)
  }
  // What the engine looks at must tell the same as the whole tree does.
  const paths = [...touched]
  for (const [disk, all] of [
    [sandbox.before, before],
    [sandbox.after, after],
  ] as const)
    for (const [path, entry] of await describePaths(disk, paths)) assert.deepEqual(entry, all.get(path))
}

test('overlay: what was not changed is not touched', options, async (t) => {
  await overRoot(t, more, async (sandbox) => {
    const touchedBy = async (script: string): Promise<readonly string[]> => {
      await runScript(sandbox, script)
      return [...((await sandbox.touched()) ?? [])].sort()
    }
    assert.deepEqual(await touchedBy('cat etc/a; ls -l p >/dev/null'), ['.'])
    assert.deepEqual(await touchedBy('echo x > etc/n; echo > dev/n; echo > proc/n 2>/dev/null'), ['.', 'etc', 'etc/n'])
    assert.deepEqual(await touchedBy('echo x >> x/two'), ['.', 'etc', 'etc/n', 'p/one', 'x', 'x/two', 'x/y/three'])
  })
})

test('overlay: attributes', options, async (t) => {
  await overRoot(t, { 'etc/tagged': file('t', { xattrs: new Map([['user.tag', 'old']]) }) }, async (sandbox, root) => {
    const [remark] = sandbox.remarks
    if (remark !== undefined) return t.skip(remark)
    const merged = sandbox.after as Disk
    await merged.setXattrs(relPath('etc/a'), new Map([['user.tag', 'new']]))
    await merged.setXattrs(relPath('etc/tagged'), new Map())
    assert.deepEqual([...((await sandbox.touched()) ?? [])].sort(), ['.', 'etc', 'etc/a', 'etc/tagged'])
    const paths = [relPath('etc/a'), relPath('etc/tagged')]
    assert.deepEqual(await sandbox.after.xattrsOf(paths), new Map([['etc/a', new Map([['user.tag', 'new']])]]))
    assert.deepEqual(await hostDisk(root).xattrsOf(paths), new Map([['etc/tagged', new Map([['user.tag', 'old']])]]))
  })
})

test('overlay: what a command mounts goes with it', options, async (t) => {
  await overRoot(t, {}, async (sandbox) => {
    const mounts = readFileSync('/proc/mounts', 'utf8')
    const { text } = await runScript(sandbox, 'mount -t tmpfs tmpfs d; echo x > d/x; ls d')
    assert.equal(text, 'x\n')
    assert.deepEqual(await sandbox.touched(), ['.'])
    assert.deepEqual([...(await sandbox.after.readdir(relPath('d')))].sort(), ['e', 'linked'])
    assert.equal(readFileSync('/proc/mounts', 'utf8'), mounts)
  })
})

test('overlay: a tree that others change meanwhile is a conflict', options, async (t) => {
  await overRoot(t, {}, async (sandbox, root) => {
    await runScript(sandbox, 'echo x >> etc/a; rm -r d')
    await sandbox.touched()
    appendFileSync(join(root, 'tmp/other'), 'others may write elsewhere')
    await sandbox.touched()
    appendFileSync(join(root, 'd/e/f'), 'y')
    await assert.rejects(sandbox.touched(), (error) => isBinderyError(error, 'conflict') && error.subject === 'd/e/f')
  })
})

/** Mounts for one test; skips it aloud where that cannot be done. */
async function mounted(t: TestContext, mounts: readonly (readonly string[])[], use: () => Promise<void>): Promise<void> {
  const done: string[] = []
  try {
    for (const words of mounts) {
      const { status, stderr } = spawnSync('mount', words, { encoding: 'utf8' })
      if (status !== 0) return t.skip(`cannot mount here: ${stderr.split('\n')[0] ?? ''}`)
      done.unshift(words.at(-1) as string)
    }
    await use()
  } finally {
    for (const point of done) execFileSync('umount', [point])
  }
}

test('overlay: file systems mounted in the tree are part of it, but for those of the kernel', options, async (t) => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    await makeRoot(root, { mnt: dir(), 'run/below': 'r', 'sys/below': 's' })
    const tmpfs = (point: string): readonly string[] => ['-t', 'tmpfs', 'tmpfs', join(root, point)]
    await mounted(t, [tmpfs('mnt'), tmpfs('run'), ['-t', 'sysfs', 'sysfs', join(root, 'sys')]], async () => {
      await makeRoot(join(root, 'mnt/deep'), { 'run/kept': 'k' })
      await mounted(t, [tmpfs('mnt/deep/tmp')], async () => {
        appendFileSync(join(root, 'run/new'), '')
        appendFileSync(join(root, 'mnt/deep/tmp/old'), '')
        await inOverlay(t, root, async (sandbox) => {
          const before = await entriesOf(sandbox.before)
          assert.deepEqual(
            ['mnt/deep/etc/a', 'mnt/deep/tmp/old', 'run/below', 'sys/below', 'run/new', 'sys/kernel'].map((path) =>
              before.has(relPath(path)),
            ),
            [true, true, true, true, false, false],
          )
          await runScript(sandbox, 'rm mnt/deep/etc/a; mv mnt/deep/tmp/old mnt/deep/tmp/new; echo x > run/below')
          const touched = ((await sandbox.touched()) ?? []).filter((path) => before.get(path)?.kind !== 'dir')
          assert.deepEqual([...touched].sort(), ['mnt/deep/etc/a', 'mnt/deep/tmp/new', 'mnt/deep/tmp/old', 'run/below'])
          await holdsAllThatDiffers(sandbox, before, await entriesOf(sandbox.after))
        })
        assert.equal(readFileSync(join(root, 'mnt/deep/etc/a'), 'utf8'), 'a\n')
      })
    })
  })
})

test('overlay: the system, with a file system mounted where temporary files are', options, async (t) => {
  await inTemporary(async (folder) => {
    await mounted(t, [['-t', 'tmpfs', 'tmpfs', folder]], async () => {
      appendFileSync(join(folder, 'kept'), 'k')
      const path = relPath(folder.slice(1))
      await inOverlay(t, '/', async ({ before, after }) => {
        for (const disk of [before, after]) assert.deepEqual(await disk.readdir(path), ['kept'])
      })
    })
  })
})

test('overlay: where there is no room for changes, the command is told', options, async (t) => {
  await inTemporary(async (folder) => {
    const [root, small] = [join(folder, 'root'), join(folder, 'small')]
    await makeRoot(root)
    mkdirSync(small)
    await mounted(t, [['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]], async () => {
      const use: Use = async (sandbox) => {
        const { result } = await runScript(sandbox, 'dd if=/dev/zero of=big bs=64k count=64 2>/dev/null')
        assert.deepEqual(result, { kind: 'ended', status: 1 })
        assert.deepEqual(await sandbox.touched(), ['.', 'big'])
      }
      await inOverlay(t, root, use, { scratch: small })
      assert.equal(spawnSync('ls', ['-A', small], { encoding: 'utf8' }).stdout, '')
    })
  })
})

test('overlay: changes cannot be kept inside of the tree, nor on a file system that cannot', options, async (t) => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    await makeRoot(root)
    await assert.rejects(hostSandboxes.open('overlay', root, { scratch: join(root, 'tmp') }), (error) =>
      isBinderyError(error, 'not-supported'),
    )
    await assert.rejects(hostSandboxes.open('overlay', root, { scratch: join(folder, 'none') }), (error) =>
      isBinderyError(error, 'not-found'),
    )
    await onOverlay(t, folder, async (top) => {
      await assert.rejects(hostSandboxes.open('overlay', root, { scratch: top }), (error) => isBinderyError(error, 'not-supported'))
      assert.equal(spawnSync('ls', ['-A', top], { encoding: 'utf8' }).stdout, '')
    })
  })
})

/** A folder on an overlay, as a container's files are. */
async function onOverlay(t: TestContext, folder: string, use: (top: string) => Promise<void>): Promise<void> {
  const at = (name: string): string => join(folder, name)
  for (const name of ['lower', 'changes', 'top']) mkdirSync(at(name))
  await mounted(t, [['-t', 'tmpfs', 'tmpfs', at('changes')]], async () => {
    for (const name of ['changes/upper', 'changes/work']) mkdirSync(at(name))
    const words = `lowerdir=${at('lower')},upperdir=${at('changes/upper')},workdir=${at('changes/work')}`
    await mounted(t, [['-t', 'overlay', '-o', words, 'overlay', at('top')]], async () => await use(at('top')))
  })
}

test('overlay: over a tree that is on an overlay itself', options, async (t) => {
  await inTemporary(async (folder) => {
    await onOverlay(t, folder, async (top) => {
      const root = join(top, 'root')
      await makeRoot(root, more)
      await inOverlay(t, root, async (sandbox) => {
        const before = await entriesOf(sandbox.before)
        await runScript(sandbox, 'rm etc/a; mv p n; echo x >> x/two; rm -r d; mkdir d')
        await holdsAllThatDiffers(sandbox, before, await entriesOf(sandbox.after))
        const together = (await sandbox.after.lstat(relPath('x/two')))?.nlink === 3
        assert.equal(sandbox.remarks.length, together ? 0 : 1)
      })
      assert.equal(readFileSync(join(root, 'etc/a'), 'utf8'), 'a\n')
    })
  })
})

test('overlay: the root of the system', options, async (t) => {
  await inOverlay(t, '/', async (sandbox) => {
    const name = `bindery-test-${process.pid}`
    await runScript(sandbox, `echo x > /etc/${name}`)
    assert.ok((await sandbox.touched())?.includes(relPath(`etc/${name}`)))
    assert.notEqual(await sandbox.after.lstat(relPath(`etc/${name}`)), undefined)
    assert.equal(await sandbox.before.lstat(relPath(`etc/${name}`)), undefined)
    assert.equal(await sandbox.before.lstat(relPath('proc/self')), undefined)
  })
})

test('overlay: by one who is in a chroot', options, async () => {
  await inTemporary(async (folder) => {
    const [root, jail] = [join(folder, 'root'), join(folder, 'jail')]
    await makeRoot(root)
    mkdirSync(jail)
    const code = `
      import { hostSandboxes } from ${JSON.stringify(resolve('src/host/sandbox.ts'))}
      const sandbox = await hostSandboxes.open('overlay', ${JSON.stringify(root)}, {})
      const output = (bytes) => process.stdout.write(bytes)
      await sandbox.run({ command: ['cat', 'etc/a'], network: false, output, signal: new AbortController().signal })
      await sandbox.close()`
    const enter = 'mount --rbind / "$1"; exec chroot "$1" "$2" --input-type=module-typescript -e "$3"'
    const words = ['--mount', '--propagation', 'private', 'sh', '-ec', enter, 'sh', jail, process.execPath, code]
    const { stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8' })
    assert.deepEqual({ stdout, stderr }, { stdout: 'a\n', stderr: '' })
  })
})
