import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromLatin1, oneChunk } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { cut } from '../src/command/cut.ts'
import { cutTree, planCut } from '../src/engine/dist/cut.ts'
import { describeDist } from '../src/engine/dist/read.ts'
import { decompress } from '../src/engine/dist/wire.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { hostArch } from '../src/host/arch.ts'
import { hostDisk } from '../src/host/disk.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { dir, fifo, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { needsRoot } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { DistDescription } from '../src/engine/dist/read.ts'
import type { DiskReader } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

const tree: Literal = {
  '.': dir(),
  'bin/su': file('setuid', { mode: 0o4555, mtime: { sec: 1_700_000_000, nsec: 123_456_789 } }),
  'bin/sudo': hardlink('bin/su'),
  'usr/lib/libc.so.7': 'libc',
  'var/run/pipe': fifo(),
  sh: symlink('bin/su'),
  'latin\xe9': 'x',
}
const name = { product: 'base', revision: '1.0', date: '20260101', arch: 'amd64' }
const words = ['--product', 'base', '--revision', '1.0', '--date', '20260101', '--arch', 'amd64']

async function withTree(use: (folder: string, root: string) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    mkdirSync(join(folder, 'root'))
    await plant(hostDisk(join(folder, 'root')), tree)
    await use(folder, join(folder, 'root'))
  })
}

async function described(bytes: Uint8Array): Promise<DistDescription> {
  return await describeDist(decompress(oneChunk(bytes)))
}

const room = (): Uint8Array => new Uint8Array(1000)
const silence = { status: 0, stdout: '', stderr: [] }

test('a dist holds the tree, in any wrapping the same tar, run after run', async () => {
  await withTree(async (folder, root) => {
    const expected = await scanTree(hostDisk(root))
    const identities = new Set<string>()
    for (const wire of [
      [],
      ['--level', '19'],
      ['--format', 'gzip'],
      ['--format', 'gzip', '--level', '9'],
      ['--format', 'none'],
      ['--format', 'zstd'],
    ]) {
      const output = join(folder, 'out')
      assert.deepEqual(await runCommand(cut, [root, '-o', output, ...words, ...wire]), silence)
      const { manifest, tar, name: found } = await described(readFileSync(output))
      assert.deepEqual(manifest, expected)
      assert.deepEqual(found, name)
      identities.add(tar.sha256)
    }
    assert.equal(identities.size, 1)
    assert.deepEqual(readdirSync(folder), ['out', 'root'])
  })
})

test('the order in which a system lists its directories does not matter', async () => {
  const disk = memoryDisk()
  await plant(disk, { ...tree, ...Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`many/f${i}`, `content ${i}`])) })
  const digests = new Set<string>()
  for (const order of [(names: readonly string[]) => names, (names: readonly string[]) => names.toReversed(), rotated]) {
    const shuffled: DiskReader = { ...disk, readdir: async (path) => order(await disk.readdir(path)) }
    digests.add((await describeDist(cutTree(await planCut(shuffled, name), room))).tar.sha256)
  }
  assert.equal(digests.size, 1)
})

function rotated(names: readonly string[]): readonly string[] {
  return [...names.slice(names.length >> 1), ...names.slice(0, names.length >> 1)]
}

test('without -o, or with a folder, the dist is called by its name', async () => {
  await withTree(async (folder, root) => {
    mkdirSync(join(folder, 'out'))
    assert.deepEqual(await runCommand(cut, [root, '-o', join(folder, 'out'), ...words]), silence)
    assert.deepEqual(await runCommand(cut, [root, '-o', join(folder, 'out'), '--format', 'gzip', ...words]), silence)
    assert.deepEqual(await runCommand(cut, [root, '-o', `${folder}/out/`, '--format', 'none', ...words]), silence)
    const names = ['base-1.0-20260101-amd64.tar', 'base-1.0-20260101-amd64.tar.gz', 'base-1.0-20260101-amd64.tar.zst']
    assert.deepEqual(readdirSync(join(folder, 'out')), names)
  })
})

test('on stdout a dist goes into a pipe, never to a terminal', async () => {
  await withTree(async (_, root) => {
    const { status, stdout } = await runCommand(cut, [root, '-o', '-', ...words])
    assert.equal(status, 0)
    assert.deepEqual((await described(fromLatin1(stdout))).name, name)
    const terminal = await runCommand(cut, [root, '-o', '-', ...words], { isTerminal: { stdin: true, stdout: true, stderr: true } })
    assert.deepEqual([terminal.code, terminal.stdout], ['usage', ''])
  })
})

test('date and architecture are those of today and here', async () => {
  await withTree(async (folder, root) => {
    const clock = { now: () => Date.UTC(2026, 1, 28, 23, 59) }
    assert.equal((await runCommand(cut, [root, '-o', folder, '--product', 'kernel-GENERIC', '--revision', '7.6p3'], { clock })).status, 0)
    const file = `kernel-GENERIC-7.6p3-20260228-${hostArch()}.tar.zst`
    assert.ok(readdirSync(folder).includes(file))
    assert.equal((await described(readFileSync(join(folder, file)))).name.product, 'kernel-GENERIC')
  })
})

test('under -v it says what it made', async () => {
  await withTree(async (folder, root) => {
    const said: string[] = []
    const explain = (line: string): void => void said.push(line)
    await runCommand(cut, [root, '-o', join(folder, 'o'), ...words], { verbosity: 'verbose', explain })
    const { tar } = await described(readFileSync(join(folder, 'o')))
    assert.deepEqual(said, [`base-1.0-20260101-amd64: ${tar.size} bytes, sha256 ${tar.sha256}`])
  })
})

test('state of bindery and the dist itself are left out; a socket is, and told', async () => {
  await withTree(async (_, root) => {
    for (const folder of ['var/db/bindery/trust', 'usr/.bindery/store']) mkdirSync(join(root, folder), { recursive: true })
    writeFileSync(join(root, 'usr/.bindery/store/1'), 'old')
    writeFileSync(join(root, 'base.tar.zst'), 'an earlier dist')
    symlinkSync('.', join(root, 'here'))
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(join(root, 'socket'), resolve))
    try {
      const { status, stderr } = await runCommand(cut, [root, '-o', join(root, 'here/base.tar.zst'), ...words])
      assert.deepEqual([status, stderr], [0, ['socket: a socket, left out']])
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
    const { manifest } = await described(readFileSync(join(root, 'base.tar.zst')))
    const paths = manifest.entries.map(({ path }) => path)
    assert.deepEqual(
      paths.filter((path) => /bindery|socket|base/.test(path)),
      [],
    )
    assert.ok(paths.includes(relPath('var/db')) && paths.includes(relPath('here')))
  })
})

test('wrong command lines are told before anything is written', async () => {
  await withTree(async (folder, root) => {
    const usage = async (...more: readonly string[]): Promise<void> => {
      const outcome = await runCommand(cut, [root, '-o', join(folder, 'o'), ...more])
      assert.deepEqual([outcome.status, outcome.code], [2, 'usage'], more.join(' '))
    }
    await usage('--revision', '1')
    await usage('--product', 'base')
    await usage('--product', 'base', '--revision', '1-2')
    await usage('--product', 'b/se', '--revision', '1')
    await usage('--product', 'base', '--revision', '1', '--arch', 'a-b')
    for (const date of ['2026', '20261301', '20260230', 'today', '2026-01-01'])
      await usage('--product', 'base', '--revision', '1', '--date', date)
    await usage(...words, '--format', 'xz')
    await usage(...words, '--level', '23')
    await usage(...words, '--level', '0')
    await usage(...words, '--level', 'best')
    await usage(...words, '--format', 'gzip', '--level', '10')
    await usage(...words, '--format', 'none', '--level', '1')
    assert.deepEqual(readdirSync(folder), ['root'])
  })
})

test('a root that is not there or no directory', async () => {
  await withTree(async (folder, root) => {
    assert.equal((await runCommand(cut, [join(folder, 'missing'), '-o', join(folder, 'o'), ...words])).code, 'not-found')
    assert.equal((await runCommand(cut, [join(root, 'bin/su'), '-o', join(folder, 'o'), ...words])).code, 'wrong-type')
    assert.equal((await runCommand(cut, [root, '-o', join(folder, 'no/such/o'), ...words])).code, 'not-found')
  })
})

for (const [what, change] of [
  ['grows', (root: string) => writeFileSync(join(root, 'b'), 'longer than before')],
  ['shrinks', (root: string) => writeFileSync(join(root, 'b'), '')],
  ['is rewritten', (root: string) => utimesSync(join(root, 'b'), 1, 1)],
  ['vanishes', (root: string) => rmSync(join(root, 'b'))],
] as const) {
  test(`a file that ${what} while the tree is cut is named, and no dist is left`, async () => {
    await inTemporary(async (folder) => {
      const root = join(folder, 'root')
      mkdirSync(root)
      await plant(hostDisk(root), { a: 'first', b: 'second' })
      const plan = await planCut(hostDisk(root), name)
      change(root)
      await assert.rejects(
        describeDist(cutTree(plan, room)),
        (error) => isBinderyError(error) && ['io', 'not-found'].includes(error.code) && error.subject === 'b',
      )
    })
  })
}

test('a stop leaves nothing behind, and the old dist as it was', async () => {
  await withTree(async (folder, root) => {
    writeFileSync(join(folder, 'o'), 'old')
    const controller = new AbortController()
    const progress = { start: () => ({ advance: () => controller.abort(new Error('stopped')), end: () => {} }) }
    await assert.rejects(runCommand(cut, [root, '-o', join(folder, 'o'), ...words], { progress, signal: controller.signal }), /stopped/)
    assert.deepEqual(readdirSync(folder), ['o', 'root'])
    assert.equal(readFileSync(join(folder, 'o'), 'utf8'), 'old')
  })
})

test('holes are content like any other: a sparse tree and a full one make the same dist', needsRoot(), async () => {
  await inTemporary(async (folder) => {
    const digests: string[] = []
    for (const script of ['truncate -s 3M f', 'head -c 3145728 /dev/zero > f']) {
      const root = join(folder, 'root')
      rmSync(root, { recursive: true, force: true })
      mkdirSync(root)
      execFileSync('sh', ['-c', `${script} && touch -d @1700000000 f .`], { cwd: root })
      assert.deepEqual(await runCommand(cut, [root, '-o', join(folder, 'o'), '--format', 'none', ...words]), silence)
      digests.push(sha256(readFileSync(join(folder, 'o'))))
    }
    assert.equal(digests[0], digests[1])
  })
})
