import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { capture } from '../../src/command/capture.ts'
import { plantWorld } from '../helpers/capture-world.ts'
import { addMovableDate, needsClockLibrary } from '../helpers/moving-clock.ts'
import { file } from '../helpers/plant.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { runCommand } from '../helpers/run-command.ts'
import { inTemporaryForOverlays } from '../helpers/temporary.ts'
import type { Literal } from '../helpers/plant.ts'

/** What `capture --noise` leaves out, and what it does not, with a clock that moves and with one that does not. */

const tools = { ...needs('busybox', 'ldd', 'getfattr', 'setfattr'), ...needsRoot(), ...needsClockLibrary() }

const page = '.Dd May 7, 2025\n.Dt PAGE 1\n.Sh NAME\npage\n'
const tree: Literal = {
  'usr/banner': 'built on Wed May  7 01:02:03 2025 by make\n',
  'usr/release': 'release 6, built on Wed May  7 01:02:03 2025\n',
  'usr/seconds': 'at 1746579723\n',
  'usr/mode': 'on May 7 2025\n',
  'usr/same': 'same\n',
  'usr/share/man/man1/page.1': page,
  'usr/packed.gz': file(gzipSync(Buffer.from('packed\n'), { level: 1 })),
}

// By its path: the shell of busybox has a date of its own.
const build = `
  /bin/date '+built on %a %b %e %H:%M:%S %Y by make' > $DESTDIR/usr/banner
  /bin/date '+release 7, built on %a %b %e %H:%M:%S %Y' > $DESTDIR/usr/release
  /bin/date '+at %s' > $DESTDIR/usr/seconds
  /bin/date '+on %b %e %Y' > $DESTDIR/usr/mode; chmod 755 $DESTDIR/usr/mode
  /bin/date '+new on %b %e %Y' > $DESTDIR/usr/new
  /bin/date '+.Dd %b %e, %Y' > $DESTDIR/usr/page; sed 1d $DESTDIR/usr/share/man/man1/page.1 >> $DESTDIR/usr/page
  mv $DESTDIR/usr/page $DESTDIR/usr/share/man/man1/page.1
  cp $DESTDIR/tmp/packed.gz $DESTDIR/usr/packed.gz; rm $DESTDIR/tmp/packed.gz
  sleep 1`

type Captured = { readonly status: number; readonly stdout: string; readonly stderr: string; readonly folder: string }

async function captured(
  words: readonly string[],
  script: string,
  use: (done: Captured) => Promise<void> | void,
  isStatic = false,
): Promise<void> {
  await inTemporaryForOverlays(async (top) => {
    const root = join(top, 'root')
    await plantWorld(root, tree)
    writeFileSync(join(root, 'tmp/packed.gz'), gzipSync('packed\n', { level: 9 }))
    if (!isStatic) addMovableDate(root)
    const folder = join(top, 'captured')
    const { status, stdout, stderr } = await runCommand(capture, ['-o', folder, ...words, root, '--', 'sh', '-ec', script])
    await use({ status, stdout, stderr: stderr.join('\n'), folder })
  })
}

for (const kind of ['overlay', 'destdir']) {
  test(`${kind}: files that differ in noise alone keep what was shipped, and are listed`, tools, async () => {
    await captured(['--noise', '--sandbox', kind], build, async ({ status, stdout, stderr, folder }) => {
      assert.equal(status, 0, stderr)
      assert.match(stderr, /noise: building a second time, the clock moved 400 days$/m)
      const lines = stdout.split('\n').map((line) => line.replaceAll(/ \d+ bytes -> \d+ bytes/g, ''))
      assert.deepEqual(lines, [
        '- tmp/packed.gz',
        'M usr/mode  mode 0644 -> 0755',
        '+ usr/new',
        'M usr/release  content, mtime',
        'N usr/banner  stamps in line 1',
        'N usr/mode  stamps in line 1',
        'N usr/packed.gz  gzip',
        'N usr/seconds  stamps in line 1',
        'N usr/share/man/man1/page.1  man',
        '',
      ])
      assert.equal(readdirSync(join(folder, 'content')).length, 2)
      assert.match(readFileSync(join(folder, 'noise'), 'utf8'), /^usr\/banner {2}stamps in line 1\n/)
      const review = (await runCommand(capture, ['--review', folder])).stdout
      assert.match(review, /\nDiffers in noise alone, and stays as it was shipped:\n {2}usr\/banner {2}stamps in line 1\n/)
    })
  })
}

test('with static programs the clock does not move, which is told, and two builds are compared all the same', tools, async () => {
  await captured(
    ['--noise', '-j'],
    build,
    ({ status, stdout, stderr }) => {
      assert.equal(status, 0, stderr)
      assert.match(stderr, /noise: building a second time, clock not moved$/m)
      const found = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { readonly path: string; readonly change: string; readonly formats?: readonly string[] })
      const noise = found.filter(({ change }) => change === 'noise').map(({ path, formats }) => [path, ...(formats ?? [])])
      // The day has not changed between the two, so it cannot be told from what is no stamp.
      assert.deepEqual(noise, [['usr/packed.gz', 'gzip'], ['usr/seconds'], ['usr/share/man/man1/page.1', 'man']])
    },
    true,
  )
})

test('a second build that fails leaves the first one, without stamps', tools, async () => {
  const script = `${build}; [ $(/bin/date +%Y) -lt 2027 ]`
  await captured(['--noise', '--sandbox', 'overlay'], script.replace('2027', String(new Date().getUTCFullYear() + 1)), (done) => {
    assert.equal(done.status, 0, done.stderr)
    assert.match(done.stderr, /noise: the second build ended with status [12]; stamps are not known/)
    assert.match(done.stdout, /^M usr\/banner {2}content.*\nM usr\/mode {2}content/m)
    assert.match(done.stdout, /^N usr\/packed\.gz {2}gzip\nN usr\/share\/man\/man1\/page\.1 {2}man\n$/m)
  })
})

test('a snapshot is built in once', tools, async () => {
  await captured(['--noise', '--sandbox', 'snapshot'], 'true', ({ status }) => {
    assert.equal(status, 2)
  })
})

test('without --noise, nothing is left out', tools, async () => {
  await captured([], build, ({ status, stdout, folder }) => {
    assert.equal(status, 0)
    assert.match(stdout, /^M usr\/banner {2}content/m)
    assert.ok(!readdirSync(folder).includes('noise'))
  })
})
