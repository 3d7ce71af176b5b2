import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { farmBuild } from '../src/command/farm-build.ts'
import { decodeBuilt } from '../src/format/built.ts'
import { plantPort, plantPorts, portsEnvironment } from './helpers/ports-tree/plant.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Built } from '../src/format/built.ts'
import type { PortFacts } from './helpers/ports-tree/plant.ts'
import type { Outcome } from './helpers/run-command.ts'

const curl: PortFacts = { pkgpath: 'net/curl', version: '8.5.0', depends: 'archivers/zstd:zstd-*:zstd-1.5.5', wantlib: 'c.100.3 z.7.1' }
const vim: PortFacts = { pkgpath: 'editors/vim', version: '9.1.139', subpackages: '-main -lang' }
const bad: PortFacts = {
  pkgpath: 'net/icinga/bad',
  version: '1.0p3',
  build: 'echo cc -c main.c\necho "main.c:3: error: no such thing" >&2\nexit 2\n',
}

type World = { readonly ports: string; readonly out: string; readonly folder: string }

async function inPorts(ports: readonly PortFacts[], use: (world: World) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    plantPorts(join(folder, 'ports'), ports)
    await use({ ports: join(folder, 'ports'), out: join(folder, 'built'), folder })
  })
}

function words({ ports, out }: World, more: readonly string[] = []): string[] {
  const env = portsEnvironment('amd64').flatMap((setting) => ['--env', setting])
  return ['-', '--release', '7.6', '--arch', 'amd64', '--ports', ports, '-o', out, ...env, ...more]
}

async function buildList(world: World, list: string, more: readonly string[] = []): Promise<Outcome> {
  return await runCommand(farmBuild, words(world, more), { input: Buffer.from(list) })
}

/** Lists that name this port, among the temporary files of the system. */
function listsLeft(pkgpath: string): readonly string[] {
  const names = readdirSync('/tmp').filter((name) => /^bindery-[0-9a-f]{16}$/.test(name))
  return names.filter((name) => textIfThere(`/tmp/${name}`).split('\n').includes(pkgpath))
}

/** Those of other tests come and go. */
function textIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function manifest({ out }: World): Built {
  return decodeBuilt(new Uint8Array(readFileSync(join(out, 'manifest.json'))))
}

test('a list becomes packages, a manifest and logs, as make itself says', needs('make'), async () => {
  await inPorts([curl, vim], async (world) => {
    const run = await buildList(world, 'net/curl\neditors/vim,gtk2\n# comment\neditors/vim,-lang\n')
    assert.deepEqual(run.stderr.slice(0, 1), ['0 of 3 ports are packaged already'])
    assert.equal(run.status, 0)
    const files = ['curl-8.5.0.tgz', 'vim-9.1.139-gtk2.tgz', 'vim-lang-9.1.139-gtk2.tgz', 'vim-lang-9.1.139.tgz']
    assert.deepEqual(run.stdout.trim().split('\n'), files)
    // What document 4 does, in its own words; a make that runs these tests would have it say where it is.
    const asked = execFileSync(
      'sh',
      [
        '-c',
        'unset MAKELEVEL MAKEFLAGS MFLAGS; env SUBDIRLIST=list show=PKGNAMES make | grep -v "^=" | grep ^. | tr " " "\\n" | sed "s,$,\\.tgz," | sort -u',
      ],
      {
        cwd: world.ports,
        encoding: 'utf8',
        env: { ...process.env, ...Object.fromEntries(portsEnvironment('amd64').map((s) => s.split('='))) },
        stdio: ['ignore', 'pipe', (writeFileSync(join(world.ports, 'list'), 'net/curl\neditors/vim,gtk2\neditors/vim,-lang\n'), 'inherit')],
      },
    )
    assert.deepEqual(asked.trim().split('\n'), files)
    const { packages, failed } = manifest(world)
    assert.deepEqual(failed, [])
    assert.deepEqual(
      packages.map(({ file, pkgpath, log }) => [file, pkgpath, log]),
      [
        ['curl-8.5.0.tgz', 'net/curl', 'log/1/net/curl.log'],
        ['vim-9.1.139-gtk2.tgz', 'editors/vim,gtk2,-main', 'log/1/editors/vim,gtk2.log'],
        ['vim-lang-9.1.139-gtk2.tgz', 'editors/vim,gtk2,-lang', 'log/1/editors/vim,gtk2.log'],
        ['vim-lang-9.1.139.tgz', 'editors/vim,-lang', 'log/1/editors/vim,-lang.log'],
      ],
    )
    assert.equal(packages[0]?.signature, 'curl-8.5.0,0,@zstd-1.5.5,c.100.3,z.7.1')
    assert.match(
      readFileSync(join(world.out, 'log/1/editors/vim,gtk2.log'), 'utf8'),
      /^===> editors\/vim,gtk2\n===> {2}Building for vim-9.1.139-gtk2\n/,
    )
    const sums = packages.map(({ sha256, file }) => `${sha256}  ${file}\n`).join('')
    execFileSync('sha256sum', ['-c', '--quiet'], { cwd: join(world.out, 'packages'), input: sums })
    assert.deepEqual(listsLeft('editors/vim,gtk2'), [])
  })
})

test('what is packaged already is not built again, what changed is', needs('make'), async () => {
  await inPorts([curl, vim], async (world) => {
    const list = 'net/curl\neditors/vim,-main\n'
    assert.equal((await buildList(world, list)).status, 0)
    const again = await buildList(world, list)
    assert.deepEqual([again.status, again.stdout, again.stderr], [0, '', ['2 of 2 ports are packaged already']])
    plantPort(world.ports, { ...curl, version: '8.5.0p0' })
    const third = await buildList(world, list)
    assert.equal(third.stdout, 'curl-8.5.0p0.tgz\n')
    assert.deepEqual(third.stderr, ['1 of 2 ports are packaged already'])
    // The logs of what stands in the manifest stay, however many batches are kept.
    await buildList(world, list, ['--keep-logs', '1'])
    assert.deepEqual(readdirSync(join(world.out, 'log')).toSorted(), ['1', '3', '4'])
    // A package that was damaged meanwhile is made anew.
    writeFileSync(join(world.out, 'packages/curl-8.5.0p0.tgz'), 'x')
    assert.equal((await buildList(world, list)).stdout, 'curl-8.5.0p0.tgz\n')
  })
})

test('a port that fails is told with the lines that tell, and keeps no other from being built', needs('make'), async () => {
  await inPorts([curl, bad], async (world) => {
    const run = await buildList(world, 'net/icinga/bad\nnet/curl\n')
    assert.equal(run.status, 6)
    assert.equal(run.stdout, 'curl-8.5.0.tgz\n')
    assert.ok(run.stderr.includes('net/icinga/bad: failed: bad-1.0p3.tgz was not made (log/1/net/icinga/bad.log)'), run.stderr.join('\n'))
    assert.ok(run.stderr.includes('  main.c:3: error: no such thing'))
    assert.deepEqual(
      manifest(world).failed.map(({ pkgpath }) => pkgpath),
      ['net/icinga/bad'],
    )
    plantPort(world.ports, { pkgpath: 'net/icinga/bad', version: '1.0p3' })
    assert.equal((await buildList(world, 'net/icinga/bad\n')).status, 0)
    const { failed, packages } = manifest(world)
    assert.deepEqual([failed.length, packages.length], [0, 2])
  })
})

test('a package that is not what its packing list says is no package', needs('make'), async () => {
  await inPorts([curl, { ...curl, pkgpath: 'net/wget' }], async (world) => {
    const packages = join(world.ports, 'packages/amd64/all')
    assert.equal((await buildList(world, 'net/curl\n')).status, 0)
    // Somebody else's package under this name, as a mixed-up mirror has it.
    execFileSync('cp', ['curl-8.5.0.tgz', 'wget-8.5.0.tgz'], { cwd: packages })
    const run = await buildList(world, 'net/wget\n')
    assert.equal(run.status, 6)
    assert.match(run.stderr.join('\n'), /net\/wget: failed: wget-8.5.0.tgz calls itself curl-8.5.0/)
    const whole = readFileSync(join(packages, 'curl-8.5.0.tgz'))
    for (const [damage, why] of [
      [whole.subarray(0, whole.length - 30), /failed: wget-8.5.0.tgz/],
      [Buffer.from('no package'), /is no gzip file/],
    ] as const) {
      writeFileSync(join(packages, 'wget-8.5.0.tgz'), damage)
      const damaged = await buildList(world, 'net/wget\n')
      assert.equal(damaged.status, 6)
      assert.match(damaged.stderr.join('\n'), why)
    }
    assert.equal(existsSync(join(world.out, 'packages/wget-8.5.0.tgz')), false)
  })
})

test('--twice tells what is another package each time', needs('make'), async () => {
  const counted = 'mkdir -p "$WRKINST/usr/local/bin"\ndate +%s%N >"$WRKINST/usr/local/bin/when"\n'
  await inPorts([curl, { pkgpath: 'net/clock', version: '1', build: counted }], async (world) => {
    const run = await buildList(world, 'net/curl\nnet/clock\n', ['--twice'])
    assert.equal(run.status, 0)
    assert.ok(run.stderr.includes('clock-1.tgz: is another one when it is built twice'), run.stderr.join('\n'))
    assert.deepEqual(
      manifest(world).packages.map(({ file, reproducible }) => [file, reproducible]),
      [
        ['clock-1.tgz', false],
        ['curl-8.5.0.tgz', true],
      ],
    )
  })
})

test('limits end a build, and what was built until then is kept', needs('make'), async () => {
  await inPorts([curl, { pkgpath: 'net/loops', version: '1', build: 'echo on and on\nexec sleep 600\n' }], async (world) => {
    const run = await buildList(world, 'net/curl\nnet/loops\n', ['--silence', '2'])
    assert.equal(run.status, 6)
    assert.equal(run.stdout, 'curl-8.5.0.tgz\n')
    assert.match(run.stderr.join('\n'), /net\/loops: failed: printed nothing for 2 s \(log\/1\/net\/loops.log\)\n.*on and on/s)
  })
})

test('the host is cleaned but for what is kept, and temporary folders are emptied', needs('make'), async () => {
  await inPorts([curl], async (world) => {
    const tools = join(world.folder, 'tools')
    mkdirSync(tools)
    mkdirSync(join(world.ports, 'pobj/left'), { recursive: true })
    const installed = join(world.folder, 'installed')
    writeFileSync(installed, 'cmake-3.30.1\nrsync-3.3.0\nrsync-doc-1.0\nsqlports-7.51\nquirks-7.50\n')
    writeFileSync(join(tools, 'pkg_info'), `#!/bin/sh\ncat ${installed}\n`, { mode: 0o755 })
    writeFileSync(
      join(tools, 'pkg_delete'),
      `#!/bin/sh\necho "$@" >${world.folder}/deleted\nshift 2\nprintf '%s\\n' "$@" >${installed}\n`,
      { mode: 0o755 },
    )
    const path = ['--env', `PATH=${tools}:${process.env['PATH'] ?? ''}`]
    assert.equal((await buildList(world, 'net/curl\n', ['--clean', '--keep', 'quirks', ...path])).status, 0)
    assert.equal(readFileSync(join(world.folder, 'deleted'), 'utf8'), '-I -X rsync-3.3.0 sqlports-7.51 quirks-7.50\n')
    assert.deepEqual(readdirSync(join(world.ports, 'pobj')), [])
  })
})

test('an interrupted build leaves nothing running, and the next one goes on', needs('make'), async () => {
  const hangs = 'echo $$ >"$PORTSDIR/pid"\nexec sleep 6543\n'
  await inPorts([curl, { pkgpath: 'net/hangs', version: '1', build: hangs }], async (world) => {
    const list = join(world.folder, 'list')
    writeFileSync(list, 'net/curl\nnet/hangs\n')
    const child = spawn(resolve('bin/bindery'), ['farm', 'build', ...words(world).map((word) => (word === '-' ? list : word))], {
      stdio: 'ignore',
    })
    while (child.exitCode === null && !existsSync(join(world.ports, 'pid'))) await setTimeout(50)
    const locked = await buildList(world, 'net/curl\n')
    assert.equal(locked.code, 'locked')
    child.kill('SIGINT')
    const [status] = (await once(child, 'exit')) as [number | null]
    assert.notEqual(status, 0)
    assert.equal(execFileSync('sh', ['-c', 'ps -e -o args= | grep -c "[s]leep 6543" || :'], { encoding: 'utf8' }).trim(), '0')
    plantPort(world.ports, { pkgpath: 'net/hangs', version: '1' })
    assert.deepEqual(listsLeft('net/hangs'), [])
    const next = await buildList(world, 'net/curl\nnet/hangs\n')
    assert.equal(next.status, 0)
    assert.equal(next.stdout, 'curl-8.5.0.tgz\nhangs-1.tgz\n')
  })
})

test('in an overlay nothing but the folder of packages changes', { ...needs('make'), ...needsRoot() }, async (t) => {
  await inTemporary(async (folder) => {
    const world = { ports: join(folder, 'ports'), out: join(folder, 'built'), folder }
    plantPorts(world.ports, [curl])
    const run = await buildList(world, 'net/curl\n', ['--sandbox', 'overlay', '--root', '/'])
    if (run.code === 'not-supported') return t.skip(run.error?.message)
    assert.deepEqual([run.status, run.stdout], [0, 'curl-8.5.0.tgz\n'])
    assert.deepEqual(readdirSync(world.ports).toSorted(), ['Makefile', 'infrastructure', 'net'])
  })
})

test('bmake builds the same packages', needs('bmake', 'make'), async () => {
  await inPorts([vim], async (world) => {
    const texts = ['--command', 'env SUBDIRLIST="$LIST" BULK=yes bmake package', '--names', 'env SUBDIRLIST="$LIST" show=PKGNAMES bmake']
    assert.equal((await buildList(world, 'editors/vim,-main\n', texts)).status, 0)
    const other = { ...world, out: join(world.folder, 'other') }
    execFileSync('rm', ['-r', join(world.ports, 'packages')])
    assert.equal((await buildList(other, 'editors/vim,-main\n')).status, 0)
    assert.deepEqual(manifest(other).packages, manifest(world).packages)
  })
})

test('a list that is none, and flags that do not go together', async () => {
  await inTemporary(async (folder) => {
    const world = { ports: join(folder, 'ports'), out: join(folder, 'out'), folder }
    for (const list of ['../x\n', 'net\n', 'net/curl,/../x\n', 'net/curl; rm -rf /\n', '/net/curl\n', 'net/./curl\n'])
      assert.equal((await buildList(world, list)).code, 'bad-format', list)
    for (const flags of [
      ['--clean', '--no-clean'],
      ['--keep', 'x'],
      ['--sandbox', 'overlay'],
      ['--temporary', '/'],
      ['--env', 'x'],
    ])
      assert.equal((await buildList(world, 'net/curl\n', flags)).code, 'usage', flags.join(' '))
  })
})
