import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, equalBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { listMembers } from '../src/format/tar-members.ts'
import { hostDisk } from '../src/host/disk.ts'
import { noise } from './helpers/noise.ts'
import { file as planted, fifo, hardlink as linked, plant, symlink as pointing } from './helpers/plant.ts'
import { needs } from './helpers/programs.ts'
import { directory, dist, end, extension, file, hardlink, header, member, pax, symlink } from './helpers/tar-builder.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { RandomAccess, TarMember } from '../src/format/tar-members.ts'

function sourceOf(bytes: Uint8Array): RandomAccess {
  return {
    size: bytes.length,
    read: async (from, to) => {
      assert.ok(from >= 0 && from <= to && to <= bytes.length, `read ${from} to ${to} of ${bytes.length}`)
      return bytes.slice(from, to)
    },
  }
}

const list = (bytes: Uint8Array): Promise<readonly TarMember[]> => listMembers(sourceOf(bytes))

/** Path, type and content of each member. */
async function seen(bytes: Uint8Array): Promise<readonly string[]> {
  return (await list(bytes)).map(({ path, type, contentStart, contentSize }) =>
    `${type} ${path} ${latin1(bytes.subarray(contentStart, contentStart + contentSize))}`.trimEnd(),
  )
}

test('members follow each other without gaps', async () => {
  const tar = dist(directory('d'), file('d/a', 'x'), file('d/b', 'y'.repeat(513)), symlink('l', 'd'))
  assert.deepEqual(await list(tar), [
    { headerStart: 0, contentStart: 1536, contentSize: 0, end: 1536, path: './', type: '5' },
    { headerStart: 1536, contentStart: 2048, contentSize: 0, end: 2048, path: 'd/', type: '5' },
    { headerStart: 2048, contentStart: 2560, contentSize: 1, end: 3072, path: 'd/a', type: '0' },
    { headerStart: 3072, contentStart: 3584, contentSize: 513, end: 4608, path: 'd/b', type: '0' },
    { headerStart: 4608, contentStart: 5120, contentSize: 0, end: 5120, path: 'l', type: '2' },
  ])
})

test('long names and sizes come from L members and pax headers', async () => {
  const tar = concatBytes([
    extension('L', `${'long/'.repeat(50)}a\0`),
    file('shortened', 'one'),
    pax({ path: 'from/pax', size: '5' }),
    member({ name: 'a', size: 0 }, 'three'),
    file('b', 'two', { prefix: 'pre/fix' }),
    file('c', '', { prefix: '12345', magic: 'ustar  \0' }),
    file('v7', 'old', { magic: '', type: '\0' }),
    end,
  ])
  assert.deepEqual(await seen(tar), [`0 ${'long/'.repeat(50)}a one`, '0 from/pax three', '0 pre/fix/b two', '0 c', '0 v7 old'])
})

test('hard links have content only where it is there', async () => {
  const lying = concatBytes([file('a', 'x'), hardlink('b', 'a', { size: 1 }), file('c', 'z'), end])
  assert.deepEqual(await seen(lying), ['0 a x', '1 b', '0 c z'])
  const linkdata = concatBytes([file('a', 'x'), member({ name: 'b', type: '1', link: 'a' }, 'x'), file('c', 'z'), end])
  assert.deepEqual(await seen(linkdata), ['0 a x', '1 b x', '0 c z'])
})

test('what is not understood ends the list, and nothing is thrown', async () => {
  const good = file('a', 'x')
  const paths = async (...parts: readonly Uint8Array[]): Promise<readonly string[]> =>
    (await list(concatBytes(parts))).map(({ path }) => path)
  assert.deepEqual(await paths(), [])
  assert.deepEqual(await paths(utf8('no tar at all')), [])
  assert.deepEqual(await paths(noise(5000, 3).content), [])
  assert.deepEqual(await paths(good, noise(5000, 3).content), ['a'])
  assert.deepEqual(await paths(good, end, good), ['a'])
  assert.deepEqual(await paths(good, file('b', 'y').subarray(0, 700)), ['a', 'b'], 'a last padding may be missing')
  assert.deepEqual(await paths(good, file('b', 'y').subarray(0, 512)), ['a'])
  assert.deepEqual(await paths(good, header({ name: 'b', size: 1e12 })), ['a'])
  assert.deepEqual(await paths(good, header({ name: 'b', size: '\xff'.repeat(12) }), good), ['a'])
  assert.deepEqual(await paths(good, file('b', '', { checksum: '000000\0 ' })), ['a'])
  assert.deepEqual(await paths(good, extension('x', '99 path=b\n'), file('c')), ['a', 'c'])
  assert.deepEqual(await paths(good, pax({ path: 'b' })), ['a'])
  assert.deepEqual(await paths(good, header({ name: 'x', type: 'x', size: 1 << 30 }), good), ['a'])
})

test('any bytes give a list that lies within them', async () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc.constantFrom(
      file('a', 'x'),
      directory('d'),
      hardlink('h', 'a', { size: 9 }),
      pax({ size: '999' }),
      extension('L', 'n\0'),
      end,
      header({ name: 's', type: 'S', size: 700 }),
    ),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const bytes = concatBytes([new Uint8Array(0), ...pieces])
      let last = 0
      for (const { headerStart, contentStart, contentSize, end: next } of await list(bytes)) {
        assert.equal(headerStart, last)
        assert.ok(contentStart >= headerStart + 512 && contentStart + contentSize <= next && next <= bytes.length)
        last = next
      }
    }),
  )
})

for (const [tool, formats] of [
  ['tar', ['v7', 'oldgnu', 'gnu', 'ustar', 'posix']],
  ['bsdtar', ['v7', 'gnutar', 'ustar', 'pax']],
] as const) {
  test(`archives of ${tool}, in every format`, needs(tool), async () => {
    await inTemporary(async (folder) => {
      const content = noise(20_000, 5).content
      await plant(hostDisk(folder), {
        'in/a': planted(content),
        'in/empty': '',
        'in/hard': linked('in/a'),
        'in/l': pointing('a'),
        'in/p': fifo(),
        [`in/${'n'.repeat(90)}`]: planted('name'),
        'in/z/z': planted(content.subarray(0, 513)),
      })
      for (const format of formats) {
        // v7 has no FIFOs, and its tools complain.
        const tar = new Uint8Array(spawnSync(tool, [`--format=${format}`, '-cf', '-', 'in'], { cwd: folder }).stdout)
        const members = await list(tar)
        const names = members.map(({ path }) => path).sort()
        const expected = ['in/', 'in/a', 'in/empty', 'in/hard', 'in/l', `in/${'n'.repeat(90)}`, 'in/p', 'in/z/', 'in/z/z']
        assert.deepEqual(
          names.filter((name) => name !== 'in/p'),
          expected.filter((name) => name !== 'in/p'),
          format,
        )
        const big = members.find(({ contentSize }) => contentSize === content.length)
        assert.ok(big !== undefined && equalBytes(tar.subarray(big.contentStart, big.contentStart + big.contentSize), content), format)
      }
    })
  })
}

test('sparse files of GNU tar are members like others', needs('tar', 'truncate'), async () => {
  await inTemporary(async (folder) => {
    execFileSync(
      'sh',
      [
        '-c',
        'truncate -s 8M sparse; for i in $(seq 1 60); do printf x | dd of=sparse bs=1 seek=$((i * 100000)) conv=notrunc status=none; done; printf end > z',
      ],
      { cwd: folder },
    )
    for (const format of ['gnu', 'posix']) {
      const tar = new Uint8Array(execFileSync('tar', [`--format=${format}`, '-Scf', '-', 'sparse', 'z'], { cwd: folder }))
      const members = await list(tar)
      assert.deepEqual(
        members.map(({ path }) => path),
        ['sparse', 'z'],
      )
      const last = members[1] as TarMember
      assert.equal(latin1(tar.subarray(last.contentStart, last.contentStart + last.contentSize)), 'end')
    }
  })
})
