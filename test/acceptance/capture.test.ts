import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { capture } from '../../src/command/capture.ts'
import { cut } from '../../src/command/cut.ts'
import { fixedEnvironment } from '../../src/port/sandbox.ts'
import { plantWorld } from '../helpers/capture-world.ts'
import { block, char, dir, fifo, file, hardlink, symlink } from '../helpers/plant.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { runCommand } from '../helpers/run-command.ts'
import { inTemporaryForOverlays } from '../helpers/temporary.ts'
import { cases, everyThird } from '../helpers/whole-suite.ts'
import { assertSameTree } from './judge.ts'
import type { Literal } from '../helpers/plant.ts'

/**
 * What is captured, laid over the tree, is what the command makes of a copy of it: mtree and diff say so. Each command
 * runs in an overlay, some in the other kinds of sandbox.
 */

const tools = { ...needs('busybox', 'mtree', 'getfattr', 'setfattr', 'bsdtar'), ...needsRoot() }

const tree: Literal = {
  'etc/motd': 'hello\n',
  'etc/passwd': 'root:*:0:0::/:/bin/sh\n',
  'usr/bin/su': file('su', { mode: 0o4755 }),
  'usr/bin/sudo': hardlink('usr/bin/su'),
  'usr/sbin/suctl': hardlink('usr/bin/su'),
  'usr/lib/libc.so.1': 'libc 1\n',
  'usr/lib/libc.so': symlink('libc.so.1'),
  'usr/share/doc/a/README': 'read me\n',
  'usr/share/doc/a/b/c': 'c\n',
  'usr/share/doc/z': 'z\n',
  'usr/home': symlink('share/doc'),
  'usr/null': char(1, 3, { mode: 0o666 }),
  'usr/disk': block(8, 1),
  'usr/pipe': fifo({ mode: 0o620 }),
  'usr/empty': dir({ mode: 0o700 }),
  'usr/caps': file('caps', { xattrs: new Map([['user.note', 'old']]) }),
  'usr/new\nline': 'odd',
  'usr/\xff\xfe': 'no UTF-8',
}

const commands: readonly string[] = [
  'true',
  'echo new > /usr/new; mkdir -p /usr/made/deep; echo x > /usr/made/deep/x; ln -s ../new /usr/made/link',
  'echo more >> /etc/motd; : > /usr/lib/libc.so.1',
  'rm /etc/motd; rm -r /usr/share/doc/a; rm /usr/lib/libc.so /usr/pipe /usr/null',
  'rm /usr/bin/su',
  'rm /usr/sbin/suctl; echo changed >> /usr/bin/sudo',
  'echo through >> /usr/sbin/suctl',
  'cp /usr/bin/su /usr/bin/copy; rm /usr/bin/sudo; mv /usr/bin/copy /usr/bin/sudo',
  'ln /etc/motd /usr/again; ln /usr/bin/su /aaa; chmod 755 /usr/bin/su',
  'mv /etc/motd /usr/motd; mv /usr/share/doc /usr/share/docs; echo y > /usr/share/docs/a/y',
  'mv /usr/share/doc/a /usr/share/b; mv /usr/share/b/b /usr/share/doc/a; rm /usr/share/b/README',
  'chmod 600 /etc/motd; chown 12:34 /usr/share/doc /usr/bin/su; chmod 1777 /usr/empty',
  'rm -r /usr/share/doc; ln -s empty /usr/share/doc',
  'rm /usr/home; mkdir /usr/home; cp -a /usr/share/doc/. /usr/home',
  'rm -r /usr/share/doc; mkdir /usr/share/doc; echo z > /usr/share/doc/z',
  'rm -r /usr/share/doc/a; echo file > /usr/share/doc/a',
  'rm /usr/share/doc/z; mkdir /usr/share/doc/z; mknod /usr/share/doc/z/n c 1 5; mkfifo /usr/share/doc/z/p',
  'rm /usr/null; mknod /usr/null c 1 5; rm /usr/disk; mkfifo /usr/disk',
  'rm -r /usr/empty /etc; mkdir -p /etc/a/b/c/d; rmdir /etc/a/b/c/d',
  'cd /usr; rm new*; echo 1 > "$(printf \'tab\\tand\\nline\')"; mv "$(printf \'\\377\\376\')" "$(printf \'\\376\\377\')"',
  'rm -r /usr/share; mkdir -p /usr/share/doc/a/b; echo c > /usr/share/doc/a/b/c; echo q > /usr/share/doc/q',
  'yes | head -c 300000 > /usr/big; truncate -s 5000000 /usr/holes',
]

type Place = { readonly folder: string; readonly root: string; readonly direct: string }

/** A tree and a copy in which `script` has been run without any sandbox of ours. */
async function inPlace(script: string, use: (place: Place) => Promise<void>): Promise<void> {
  await inTemporaryForOverlays(async (folder) => {
    const [root, direct] = [join(folder, 'root'), join(folder, 'direct')]
    await plantWorld(root, tree)
    execFileSync('cp', ['-a', root, direct])
    const env = Object.entries(fixedEnvironment).map(([name, value]) => `${name}=${value}`)
    execFileSync('chroot', [direct, '/bin/env', '-i', ...env, '/bin/sh', '-c', `umask 022; ${script}`], {
      stdio: 'ignore',
    })
    await use({ folder, root, direct })
  })
}

/** Cuts a release of the capture and its base, and lets bsdtar unpack it. */
async function unpackPatched({ folder }: Place, taken: string, base: string): Promise<string> {
  const [dist, made] = [join(folder, 'patched.tar'), join(folder, 'made')]
  const words = [taken, '--base', base, '-o', dist, '--format', 'none', '--product', 'base', '--revision', '1.1', '--arch', 'amd64']
  const { status, error } = await runCommand(cut, words)
  assert.equal(status, 0, error?.message)
  mkdirSync(made)
  execFileSync('bsdtar', ['-xpf', dist, '-C', made])
  return made
}

for (const [turn, kind] of (['overlay', 'snapshot', 'destdir'] as const).entries()) {
  for (const script of everyThird(commands, turn)) {
    test(`${kind}: ${JSON.stringify(script)}`, tools, async () => {
      await inPlace(script, async (place) => {
        const { folder, root, direct } = place
        const pristine = join(folder, 'pristine')
        execFileSync('cp', ['-a', root, pristine])
        const taken = join(folder, 'taken')
        // Outside, the same is done below $DESTDIR.
        const run = kind === 'destdir' ? ['chroot', '$DESTDIR', '/bin/sh', '-c', script] : ['sh', '-c', script]
        const words = kind === 'destdir' ? ['sh', '-c', 'exec chroot "$DESTDIR" /bin/sh -c "$1"', 'sh', script] : run
        const outcome = await runCommand(capture, [root, '-o', taken, '--sandbox', kind, '--', ...words])
        assert.equal(outcome.status, 0, `${outcome.error?.message ?? ''} ${outcome.error?.hint ?? ''}`)
        assert.ok(!existsSync(`${taken}.log`))
        if (kind !== 'snapshot') await assertSameTree(root, pristine)
        await assertSameTree(await unpackPatched(place, taken, pristine), direct, ['time'])
      })
    })
  }
}

/** Small shell commands over few names, so that they have much to do with each other. */
const names = [
  '/usr/a',
  '/usr/a/x',
  '/usr/a/x/y',
  '/usr/b',
  '/usr/b/x',
  '/usr/share/doc',
  '/usr/share/doc/a',
  '/usr/share/doc/a/README',
  '/usr/bin/su',
  '/usr/bin/sudo',
  '/usr/sbin',
  '/usr/sbin/suctl',
]
const arbitraryPath = fc.constantFrom(...names)
/** Who opens a FIFO to write waits for a reader, for ever. */
const unlessPipe = (path: string, work: string): string => `[ -p ${path} ] || ${work}`
const arbitraryStep = fc.oneof(
  fc.tuple(arbitraryPath, fc.constantFrom('one', 'two')).map(([path, text]) => unlessPipe(path, `echo ${text} > ${path}`)),
  arbitraryPath.map((path) => unlessPipe(path, `echo more >> ${path}`)),
  arbitraryPath.map((path) => `rm -rf ${path}`),
  arbitraryPath.map((path) => `mkdir -p ${path}`),
  fc.tuple(arbitraryPath, arbitraryPath).map(([from, to]) => `mv -f ${from} ${to}`),
  fc.tuple(arbitraryPath, arbitraryPath).map(([from, to]) => `ln -f ${from} ${to}`),
  fc.tuple(arbitraryPath, arbitraryPath).map(([from, to]) => `ln -sfn ${from} ${to}`),
  fc.tuple(arbitraryPath, fc.constantFrom('700', '4755', '644')).map(([path, mode]) => `chmod ${mode} ${path}`),
  arbitraryPath.map((path) => `chown 7:8 ${path}`),
  arbitraryPath.map((path) => unlessPipe('/usr/copy', `cp -a ${path} /usr/copy`)),
  arbitraryPath.map((path) => `mkfifo ${path}`),
)

test('overlay: whatever small commands do, in any order', tools, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryStep, { minLength: 1, maxLength: 12 }), async (steps) => {
      const script = `${steps.join('; ')}; true`
      await inPlace(script, async (place) => {
        const taken = join(place.folder, 'taken')
        const { status, error } = await runCommand(capture, [place.root, '-o', taken, '--sandbox', 'overlay', '--', 'sh', '-c', script])
        assert.equal(status, 0, error?.message)
        await assertSameTree(await unpackPatched(place, taken, place.root), place.direct, ['time'])
      })
    }),
    { numRuns: cases(10) },
  )
})

/** What binpatch, which looks for files newer than a cookie, does not see, or sees where there is nothing. */
const missed: readonly (readonly [string, string, string])[] = [
  ['a file that was removed', 'rm /etc/motd', '@remove etc/motd\n'],
  ['a symbolic link', 'ln -s motd /etc/link', 'etc/link\n'],
  ['a link that points elsewhere', 'ln -sf libc.so.2 /usr/lib/libc.so', 'usr/lib/libc.so\n'],
  ['a directory', 'mkdir /etc/rc.d', 'etc/rc.d/\n'],
  ['a directory that was removed', 'rmdir /usr/empty', '@remove usr/empty\n'],
  ['a file written anew with the same bytes', 'cp /etc/motd /tmp/m; cat /tmp/m > /etc/motd; rm /tmp/m', ''],
  ['a file that was touched', 'touch /etc/motd', ''],
  [
    'a changed file with the time and size of before',
    'touch -r /etc/motd /tmp/t; echo hallo > /etc/motd; touch -r /tmp/t /etc/motd; rm /tmp/t',
    'etc/motd\n',
  ],
  ['a new file with an old time', 'touch -d 1980-01-01 /etc/old', 'etc/old\n'],
  ['a mode alone', 'chmod 600 /etc/motd', 'etc/motd\n'],
]

for (const kind of ['overlay', 'snapshot'] as const) {
  for (const [what, script, plist] of missed.filter((_, n) => kind === 'overlay' || n % 3 === 0)) {
    test(`${kind}, unlike binpatch: ${what}`, tools, async () => {
      await inTemporaryForOverlays(async (folder) => {
        const root = join(folder, 'root')
        await plantWorld(root, tree)
        const taken = join(folder, 'taken')
        const { status, error } = await runCommand(capture, [root, '-o', taken, '--sandbox', kind, '--', 'sh', '-c', script])
        assert.equal(status, 0, error?.message)
        assert.equal(readFileSync(join(taken, 'plist'), 'latin1'), plist)
      })
    })
  }
}
