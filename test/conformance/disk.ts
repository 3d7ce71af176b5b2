import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, latin1, utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { rootPath } from '../../src/base/path.ts'
import { char, dir, fifo, file, hardlink, plant, relPath, symlink } from '../helpers/plant.ts'
import type { TestContext } from 'node:test'
import type { ByteStream } from '../../src/base/bytes.ts'
import type { ErrorCode } from '../../src/base/error.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Disk, DiskCapabilities, ReadOptions, Stat } from '../../src/port/disk.ts'

/** An empty disk for each test. */
export type DiskMaker = () => Promise<{ readonly disk: Disk; close(): Promise<void> }>

const missing = { privileged: 'needs root', xattrs: 'not installed: getfattr setfattr', flags: 'this system has no file flags' } as const

/** The contract of port/disk.ts. `holes`: whether the adapter says how little a sparse file takes. */
export function diskConformance(name: string, maker: DiskMaker, { holes }: { readonly holes: boolean }): void {
  const on = (title: string, use: (disk: Disk, t: TestContext) => Promise<void>, needs?: keyof DiskCapabilities): void => {
    test(`${name}: ${title}`, async (t) => {
      const { disk, close } = await maker()
      try {
        if (needs !== undefined && !(await disk.capabilities())[needs]) t.skip(missing[needs])
        else await use(disk, t)
      } finally {
        await close()
      }
    })
  }

  on('a file is made with mode 0600 and holds what it was given', async (disk) => {
    assert.equal(await disk.create(relPath('f'), chunks('hello ', 'world')), 11)
    const stat = await disk.lstat(relPath('f'))
    assert.deepEqual([stat?.kind, stat?.mode, stat?.size, stat?.nlink], ['file', 0o600, 11, 1])
    assert.equal(await read(disk, 'f'), 'hello world')
    assert.deepEqual(await disk.digest(relPath('f')), { size: 11, sha256: sha256(utf8('hello world')) })
    await disk.create(relPath('empty'), chunks())
    assert.deepEqual(await disk.digest(relPath('empty')), { size: 0, sha256: sha256(new Uint8Array(0)) })
  })

  on('a clone is a file of its own with the same content', async (disk) => {
    await plant(disk, { f: file('one'), l: symlink('f'), d: dir({}) })
    await disk.chmod(relPath('f'), 0o4755)
    await disk.clone(relPath('g'), relPath('f'))
    const [f, g] = [await disk.lstat(relPath('f')), await disk.lstat(relPath('g'))]
    assert.deepEqual([g?.kind, g?.mode, g?.nlink, f?.nlink, g?.inode === f?.inode], ['file', 0o600, 1, 1, false])
    await disk.append(relPath('g'), chunks(' and two'))
    assert.deepEqual([await read(disk, 'f'), await read(disk, 'g')], ['one', 'one and two'])
    await refuses('exists', disk.clone(relPath('g'), relPath('f')))
    await refuses('not-found', disk.clone(relPath('h'), relPath('none')))
    for (const path of ['l', 'd']) await refuses('wrong-type', disk.clone(relPath('h'), relPath(path)))
    const rights = (await disk.lstat(relPath('f'))) as Stat
    await refuses('conflict', disk.clone(relPath('h'), relPath('f'), { ...rights, mode: 0o644 }))
    await refuses('conflict', disk.clone(relPath('h'), relPath('f'), { ...rights, uid: rights.uid + 1 }))
    assert.equal(await disk.lstat(relPath('h')), undefined)
    await disk.clone(relPath('h'), relPath('f'), rights)
    assert.equal(await read(disk, 'h'), 'one')
  })

  on('a range of a file is read, and a reader may leave early', async (disk) => {
    await disk.create(relPath('f'), chunks('0123456789'))
    assert.equal(await read(disk, 'f', { start: 3, end: 7 }), '3456')
    assert.equal(await read(disk, 'f', { start: 8 }), '89')
    assert.equal(await read(disk, 'f', { start: 8, end: 99 }), '89')
    assert.equal(await read(disk, 'f', { start: 4, end: 4 }), '')
    for await (const bytes of disk.read(relPath('f'))) if (bytes.length > 0) break
  })

  on('a file that changed since it was seen is told at its end', async (disk) => {
    await disk.create(relPath('f'), chunks('0123456789'))
    const { size, mtime } = (await disk.lstat(relPath('f'))) as Stat
    assert.equal(await read(disk, 'f', { seen: { size, mtime } }), '0123456789')
    await refuses('io', read(disk, 'f', { seen: { size, mtime: { ...mtime, sec: mtime.sec + 1 } } }))
    await refuses('io', read(disk, 'f', { seen: { size: 9, mtime } }))
    let text = ''
    for await (const bytes of disk.read(relPath('f'), { room: () => new Uint8Array(3) })) text += latin1(bytes)
    assert.equal(text, '0123456789')
  })

  on('a large file is read and digested whole', async (disk) => {
    const bytes = new Uint8Array(5_000_001).map((_, i) => (i * 7919) >> 5)
    await disk.create(relPath('f'), pieces(bytes, 300_000))
    assert.deepEqual(await disk.digest(relPath('f')), { size: bytes.length, sha256: sha256(bytes) })
    assert.deepEqual(await collectBytes(disk.read(relPath('f')), 1 << 30), bytes)
  })

  on('runs of zeros are holes, and still zeros', async (disk) => {
    const bytes = new Uint8Array(3_000_123)
    bytes.set(utf8('head'), 0)
    bytes.set(utf8('not aligned'), 1_000_001)
    bytes.set(utf8('short gap'), 1_040_000)
    for (const [i, piece] of [1000, 65_536, 3_000_123].entries()) {
      await disk.create(relPath(`f${i}`), pieces(bytes, piece))
      assert.deepEqual(await collectBytes(disk.read(relPath(`f${i}`)), 1 << 30), bytes)
      const stat = await disk.lstat(relPath(`f${i}`))
      assert.equal(stat?.size, bytes.length)
      if (holes) assert.ok((stat?.allocated ?? 0) < 200_000, `${stat?.allocated} bytes allocated`)
    }
    assert.equal(await disk.create(relPath('zeros'), pieces(new Uint8Array(200_000), 7)), 200_000)
    assert.deepEqual(await disk.digest(relPath('zeros')), { size: 200_000, sha256: sha256(new Uint8Array(200_000)) })
  })

  on('a name of 255 bytes is one, and a longer one is refused', async (disk) => {
    const [longest, longer] = [relPath('n'.repeat(255)), 'n'.repeat(256) as RelPath]
    await disk.create(longest, chunks('1'))
    await disk.link(relPath('f'), longest)
    await refuses('io', disk.lstat(longer))
    await refuses('io', disk.create(longer, chunks('2')))
    await refuses('io', disk.rename(relPath('f'), longer))
    await refuses('io', disk.link(longer, longest))
    assert.deepEqual([...(await disk.readdir(rootPath))].sort(), ['f', longest])
  })

  on('a file whose content fails half-way is not left behind', async (disk) => {
    const broken = async function* (): ByteStream {
      yield utf8('half')
      throw new Error('cut')
    }
    await assert.rejects(disk.create(relPath('f'), broken()), /cut/)
    assert.equal(await disk.lstat(relPath('f')), undefined)
  })

  on('append adds to a file or makes it, truncate cuts and extends', async (disk) => {
    assert.equal(await disk.append(relPath('log'), chunks('one')), 3)
    assert.equal(await disk.append(relPath('log'), chunks('two', 'three')), 8)
    assert.equal(await read(disk, 'log'), 'onetwothree')
    assert.equal((await disk.lstat(relPath('log')))?.mode, 0o600)
    await disk.truncate(relPath('log'), 3)
    assert.equal(await read(disk, 'log'), 'one')
    await disk.truncate(relPath('log'), 5)
    assert.equal(await read(disk, 'log'), 'one\0\0')
    await refuses('not-found', disk.truncate(relPath('missing'), 0))
  })

  on('names and link targets are any bytes', async (disk) => {
    const names = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).filter((byte) => byte !== '/' && byte !== '.')
    for (const byte of names) await disk.create(relPath(byte), chunks(byte.charCodeAt(0).toString()))
    await disk.mkdir(relPath('\xff\xfe'), 0o755)
    await disk.symlink(relPath('\xff\xfe/\n'), '/\x80\n target')
    assert.deepEqual([...(await disk.readdir(rootPath))].sort(), [...names, '\xff\xfe'].sort())
    for (const byte of names) assert.equal(await read(disk, byte), byte.charCodeAt(0).toString())
    assert.equal(await disk.readlink(relPath('\xff\xfe/\n')), '/\x80\n target')
    await disk.rename(relPath('\xff\xfe/\n'), relPath('\xff\xfe/\xe9'))
    assert.deepEqual(await disk.readdir(relPath('\xff\xfe')), ['\xe9'])
    await disk.create(relPath('x'.repeat(255)), chunks('long'))
    assert.equal(await read(disk, 'x'.repeat(255)), 'long')
  })

  on('lstat tells every kind, and undefined where there is nothing', async (disk) => {
    await plant(disk, { d: dir({ mode: 0o1777 }), 'd/f': file('12', { mode: 0o6755 }), l: symlink('d/f'), p: fifo() })
    const kinds = await Promise.all(['.', 'd', 'd/f', 'l', 'p'].map(async (path) => (await disk.lstat(relPath(path)))?.kind))
    assert.deepEqual(kinds, ['dir', 'dir', 'file', 'symlink', 'fifo'])
    assert.deepEqual([(await disk.lstat(relPath('d')))?.mode, (await disk.lstat(relPath('d/f')))?.mode], [0o1777, 0o6755])
    for (const path of ['x', 'x/y/z', 'd/x']) assert.equal(await disk.lstat(relPath(path)), undefined)
    const here = await disk.lstat(rootPath)
    assert.equal((await disk.lstat(relPath('d')))?.device, here?.device)
  })

  on('a link in the last place is never followed', async (disk) => {
    await plant(disk, { f: 'kept', d: dir(), 'd/x': 'x', toFile: symlink('f'), toDir: symlink('d'), toNothing: symlink('nothing') })
    await refuses('wrong-type', read(disk, 'toFile'))
    await refuses('wrong-type', disk.digest(relPath('toFile')))
    await refuses('wrong-type', disk.append(relPath('toFile'), chunks('!')))
    await refuses('wrong-type', disk.truncate(relPath('toFile'), 0))
    await refuses('wrong-type', disk.readdir(relPath('toDir')))
    await refuses('wrong-type', disk.rmdir(relPath('toDir')))
    await refuses('not-supported', disk.chmod(relPath('toFile'), 0o777))
    await refuses('exists', disk.create(relPath('toNothing'), chunks('!')))
    await refuses('exists', disk.mkdir(relPath('toNothing'), 0o755))
    await refuses('wrong-type', disk.append(relPath('toNothing'), chunks('!')))
    assert.equal(await disk.lstat(relPath('nothing')), undefined)
    await disk.setTimes([{ path: relPath('toFile'), mtime: { sec: 5, nsec: 0 } }])
    assert.notEqual((await disk.lstat(relPath('f')))?.mtime.sec, 5)
    await disk.link(relPath('hard'), relPath('toFile'))
    assert.equal((await disk.lstat(relPath('hard')))?.kind, 'symlink')
    await disk.unlink(relPath('toDir'))
    assert.deepEqual([await read(disk, 'f'), await read(disk, 'd/x'), (await disk.lstat(relPath('f')))?.mode], ['kept', 'x', 0o644])
  })

  on('a path that leads through a link or a file is hostile, in every operation', async (disk) => {
    await plant(disk, { 'd/sub/f': 'kept', f: 'file', l: symlink('d'), 'd/up': symlink('../..') })
    for (const bad of ['l/sub/f', 'f/x', 'd/up/f', 'l/sub/new']) {
      const path = relPath(bad)
      const calls = [
        disk.lstat(path),
        disk.readdir(path),
        disk.readlink(path),
        read(disk, bad),
        disk.digest(path),
        disk.space(path),
        disk.create(path, chunks('!')),
        disk.append(path, chunks('!')),
        disk.truncate(path, 0),
        disk.mkdir(path, 0o755),
        disk.symlink(path, 'x'),
        disk.link(path, relPath('f')),
        disk.link(relPath('fresh'), path),
        disk.mknod(path, { kind: 'fifo' }),
        disk.rename(path, relPath('fresh')),
        disk.rename(relPath('f'), path),
        disk.unlink(path),
        disk.rmdir(path),
        disk.chmod(path, 0),
        disk.chown(path, 0, 0),
        disk.setTimes([{ path, mtime: { sec: 1, nsec: 0 } }]),
        disk.sync(path),
      ]
      for (const result of await Promise.allSettled(calls))
        assert.ok(result.status === 'rejected' && isBinderyError(result.reason, 'hostile'), `${bad}: ${JSON.stringify(result)}`)
    }
    assert.deepEqual([await read(disk, 'd/sub/f'), await read(disk, 'f'), await disk.lstat(relPath('fresh'))], ['kept', 'file', undefined])
  })

  on('a parent that becomes a link is noticed', async (disk) => {
    await plant(disk, { 'd/f': 'one', 'other/f': 'two' })
    assert.equal(await read(disk, 'd/f'), 'one')
    await disk.rename(relPath('d'), relPath('gone'))
    await disk.symlink(relPath('d'), 'other')
    await refuses('hostile', disk.append(relPath('d/f'), chunks('!')))
    await new Promise((resolve) => setTimeout(resolve, 20))
    await refuses('hostile', read(disk, 'd/f'))
    assert.equal(await read(disk, 'other/f'), 'two')
  })

  on('what makes a name refuses one that is taken', async (disk) => {
    await plant(disk, { d: dir(), f: 'kept', l: symlink('f') })
    for (const taken of ['d', 'f', 'l']) {
      const path = relPath(taken)
      await refuses('exists', disk.create(path, chunks('!')))
      await refuses('exists', disk.mkdir(path, 0o755))
      await refuses('exists', disk.symlink(path, 'x'))
      await refuses('exists', disk.link(path, relPath('f')))
      await refuses('exists', disk.mknod(path, { kind: 'fifo' }))
    }
    await refuses('not-found', disk.create(relPath('no/f'), chunks('!')))
    await refuses('not-found', disk.mkdir(relPath('no/d'), 0o755))
    await refuses('not-found', disk.mknod(relPath('no/p'), { kind: 'fifo' }))
    assert.equal(await read(disk, 'f'), 'kept')
  })

  on('rename replaces files and links, moves directories, and nothing else', async (disk) => {
    await plant(disk, { a: 'a', b: 'b', l: symlink('b'), 'd/x': 'x', e: dir() })
    await disk.rename(relPath('a'), relPath('l'))
    assert.deepEqual([await read(disk, 'l'), await read(disk, 'b'), await disk.lstat(relPath('a'))], ['a', 'b', undefined])
    await disk.rename(relPath('l'), relPath('d/x'))
    assert.equal(await read(disk, 'd/x'), 'a')
    await disk.rename(relPath('d'), relPath('e/moved'))
    assert.equal(await read(disk, 'e/moved/x'), 'a')
    await refuses('wrong-type', disk.rename(relPath('b'), relPath('e')))
    await refuses('wrong-type', disk.rename(relPath('e'), relPath('b')))
    await refuses('not-found', disk.rename(relPath('missing'), relPath('b')))
    await refuses('not-found', disk.rename(relPath('b'), relPath('no/b')))
  })

  on('a path of a directory that was moved or removed leads to the next one there', async (disk) => {
    await plant(disk, { 'd/e/x': 'x' })
    await disk.symlink(relPath('d/e/before'), 'x')
    await disk.rename(relPath('d'), relPath('moved'))
    for (const path of ['d', 'd/e']) await disk.mkdir(relPath(path), 0o755)
    await disk.symlink(relPath('d/e/behind'), 'x')
    assert.deepEqual(
      [(await disk.readdir(relPath('moved/e'))).toSorted(), await disk.readdir(relPath('d/e'))],
      [['before', 'x'], ['behind']],
    )
    await disk.unlink(relPath('d/e/behind'))
    await disk.rmdir(relPath('d/e'))
    await disk.mkdir(relPath('d/e'), 0o755)
    await disk.symlink(relPath('d/e/again'), 'x')
    assert.deepEqual(await disk.readdir(relPath('d/e')), ['again'])
  })

  on('unlink is for files, rmdir for empty directories', async (disk) => {
    await plant(disk, { f: 'f', 'd/x': 'x', e: dir() })
    await refuses('wrong-type', disk.unlink(relPath('e')))
    await refuses('wrong-type', disk.rmdir(relPath('f')))
    await refuses('wrong-type', disk.rmdir(relPath('d')))
    await refuses('not-found', disk.unlink(relPath('missing')))
    await refuses('not-found', disk.rmdir(relPath('missing')))
    await disk.unlink(relPath('f'))
    await disk.rmdir(relPath('e'))
    assert.deepEqual(await disk.readdir(rootPath), ['d'])
  })

  on('what asks for a file, a directory or a link refuses others', async (disk) => {
    await plant(disk, { f: 'f', d: dir(), p: fifo() })
    await refuses('wrong-type', disk.readdir(relPath('f')))
    await refuses('wrong-type', disk.readlink(relPath('f')))
    await refuses('wrong-type', read(disk, 'd'))
    await refuses('wrong-type', disk.digest(relPath('p')))
    await refuses('wrong-type', read(disk, 'p'))
    for (const call of [disk.readdir, disk.readlink, disk.digest, disk.sync, disk.space])
      await refuses('not-found', call(relPath('missing')))
    await refuses('not-found', read(disk, 'missing'))
    await refuses('not-found', disk.chmod(relPath('missing'), 0))
    await refuses('not-found', disk.chown(relPath('missing'), 0, 0))
    await refuses('not-found', disk.setTimes([{ path: relPath('missing'), mtime: { sec: 0, nsec: 0 } }]))
  })

  on('a directory gets exactly its mode, chmod sets all twelve bits', async (disk) => {
    for (const mode of [0o755, 0o1777, 0o2775, 0o000]) {
      await disk.mkdir(relPath(`d${mode}`), mode)
      assert.equal((await disk.lstat(relPath(`d${mode}`)))?.mode, mode)
    }
    await disk.create(relPath('f'), chunks())
    for (const mode of [0o4755, 0o6711, 0o1644, 0]) {
      await disk.chmod(relPath('f'), mode)
      assert.equal((await disk.lstat(relPath('f')))?.mode, mode)
    }
  })

  on('owner and mode are set of the file that was seen, and of no other', async (disk) => {
    await plant(disk, { f: 'f', g: 'g' })
    const seen = await disk.lstat(relPath('f'))
    await disk.chown(relPath('f'), seen?.uid ?? 0, seen?.gid ?? 0, seen)
    await disk.chmod(relPath('f'), 0o640, seen)
    assert.equal((await disk.lstat(relPath('f')))?.mode, 0o640)
    await disk.rename(relPath('g'), relPath('f'))
    const other = await disk.lstat(relPath('f'))
    await refuses('hostile', disk.chmod(relPath('f'), 0o777, seen))
    await refuses('hostile', disk.chown(relPath('f'), other?.uid ?? 0, other?.gid ?? 0, seen))
    assert.deepEqual(await disk.lstat(relPath('f')), other)
  })

  on(
    'owners are set, of links too',
    async (disk) => {
      await plant(disk, { f: file('', { uid: 12_345, gid: 0 }), l: symlink('f', { uid: 4_000_000_000, gid: 7 }) })
      const owners = await Promise.all(['f', 'l'].map(async (path) => await disk.lstat(relPath(path))))
      assert.deepEqual(
        owners.map((stat) => [stat?.uid, stat?.gid]),
        [
          [12_345, 0],
          [4_000_000_000, 7],
        ],
      )
    },
    'privileged',
  )

  on('times are exact to the nanosecond', async (disk) => {
    await plant(disk, { f: 'f', d: dir(), l: symlink('nowhere'), "it's \n\xff$(x)": 'odd', p: fifo(), half: 'half', before: 'before' })
    const times = [
      { path: relPath('f'), mtime: { sec: 1_767_225_600, nsec: 123_456_789 } },
      { path: relPath('d'), mtime: { sec: 1_767_225_600, nsec: 1 } },
      { path: relPath('l'), mtime: { sec: 1_000_000_000, nsec: 999_999_999 } },
      { path: relPath("it's \n\xff$(x)"), mtime: { sec: 1_767_225_600, nsec: 123_456_789 } },
      { path: relPath('p'), mtime: { sec: 0, nsec: 7 } },
      { path: relPath('half'), mtime: { sec: 1_767_225_600, nsec: 500_000_000 } },
      { path: relPath('before'), mtime: { sec: -315_619_200, nsec: 250_000_001 } },
    ]
    await disk.setTimes(times)
    for (const { path, mtime } of times) assert.deepEqual((await disk.lstat(path))?.mtime, mtime, path)
    await disk.setTimes([])
  })

  on('hard links share an inode', async (disk) => {
    await plant(disk, { a: 'a', 'd/b': hardlink('a'), alone: 'x' })
    const [a, b, alone] = await Promise.all(['a', 'd/b', 'alone'].map(async (path) => await disk.lstat(relPath(path))))
    assert.equal(a?.inode, b?.inode)
    assert.notEqual(a?.inode, alone?.inode)
    assert.deepEqual([a?.nlink, b?.nlink, alone?.nlink], [2, 2, 1])
    await disk.append(relPath('d/b'), chunks('!'))
    assert.equal(await read(disk, 'a'), 'a!')
    await disk.unlink(relPath('a'))
    assert.equal((await disk.lstat(relPath('d/b')))?.nlink, 1)
    await refuses('not-found', disk.link(relPath('c'), relPath('missing')))
    await refuses('permission', disk.link(relPath('c'), relPath('d')))
  })

  on(
    'devices keep their numbers',
    async (disk) => {
      await plant(disk, { tty: char(5, 0), 'odd\xff name': char(300, 70_000) })
      await disk.mknod(relPath('disk'), { kind: 'block', major: 8, minor: 1 })
      const stats = await Promise.all(['tty', 'odd\xff name', 'disk'].map(async (path) => await disk.lstat(relPath(path))))
      assert.deepEqual(
        stats.map((stat) => [stat?.kind, stat?.major, stat?.minor]),
        [
          ['char', 5, 0],
          ['char', 300, 70_000],
          ['block', 8, 1],
        ],
      )
      assert.equal(stats[2]?.mode, 0o600)
    },
    'privileged',
  )

  on(
    'extended attributes are set, replaced, removed and found',
    async (disk) => {
      await plant(disk, { f: 'f', 'odd =\\\n\xff': 'x', d: dir(), plain: 'p' })
      const paths = ['f', 'odd =\\\n\xff', 'd', 'plain', 'missing'].map(relPath)
      const all = new Map(Array.from({ length: 256 }, (_, i) => [`user.${i}`, String.fromCharCode(i, i)]))
      await disk.setXattrs(
        relPath('f'),
        new Map([
          ['user.a', '1'],
          ['user.b c=d\\', '\0\xff\n'],
          ['user.empty', ''],
        ]),
      )
      await disk.setXattrs(relPath('odd =\\\n\xff'), new Map([['user.x', 'x'.repeat(3000)]]))
      await disk.setXattrs(relPath('d'), all.size > 8 ? new Map([...all].slice(0, 8)) : all)
      const found = await disk.xattrsOf(paths)
      assert.deepEqual([...found.keys()].sort(), ['d', 'f', 'odd =\\\n\xff'])
      assert.deepEqual(
        found.get(relPath('f')),
        new Map([
          ['user.a', '1'],
          ['user.b c=d\\', '\0\xff\n'],
          ['user.empty', ''],
        ]),
      )
      assert.equal(found.get(relPath('odd =\\\n\xff'))?.get('user.x')?.length, 3000)
      await disk.setXattrs(relPath('f'), new Map([['user.a', '2']]))
      assert.deepEqual(await disk.xattrsOf([relPath('f')]), new Map([[relPath('f'), new Map([['user.a', '2']])]]))
      await disk.setXattrs(relPath('f'), new Map())
      assert.deepEqual(await disk.xattrsOf(paths.slice(0, 1)), new Map())
      const odd = 'odd =\\\n\xff'
      for (const name of ['f', 'd', odd].map(relPath)) {
        const there = (await disk.lstat(name)) as Stat
        await disk.setXattrs(name, new Map([['user.seen', '\0\xff']]), { seen: there })
        await disk.setXattrs(name, new Map([['user.then', '\xff']]), { seen: there })
        assert.deepEqual([...((await disk.xattrsOf([name])).get(name) ?? [])], [['user.then', '\xff']])
      }
      const seen = (await disk.lstat(relPath('f'))) as Stat
      const stays = (name: string): boolean => name.startsWith('user.own')
      for (const how of [{ stays }, { stays, seen }]) {
        await disk.setXattrs(relPath('f'), new Map(['user.own', 'user.b'].map((name) => [name, 'before'])))
        await disk.setXattrs(relPath('f'), new Map(['user.own', 'user.own too', 'user.c'].map((name) => [name, 'now'])), how)
        const after = (await disk.xattrsOf([relPath('f')])).get(relPath('f')) ?? []
        assert.deepEqual(
          new Map(after),
          new Map([
            ['user.own', 'before'],
            ['user.c', 'now'],
          ]),
        )
      }
      await disk.setXattrs(relPath('f'), new Map(), { seen })
      await disk.rename(relPath('plain'), relPath('f'))
      await refuses('hostile', disk.setXattrs(relPath('f'), new Map([['user.seen', 'yes']]), { seen }))
      assert.deepEqual(await disk.xattrsOf([relPath('f')]), new Map())
      await refuses('not-found', disk.setXattrs(relPath('missing'), new Map([['user.a', '1']])))
      assert.deepEqual(await disk.xattrsOf([]), new Map())
    },
    'xattrs',
  )

  on('file flags are set, replaced and found, or refused where there are none', async (disk) => {
    await plant(disk, { f: 'f', d: dir() })
    if (!(await disk.capabilities()).flags) {
      assert.deepEqual(await disk.flagsOf([relPath('f')]), new Map())
      return await refuses('not-supported', disk.setFlags(relPath('f'), ['uchg']))
    }
    await disk.setFlags(relPath('f'), ['uchg', 'nodump'])
    assert.deepEqual(await disk.flagsOf([relPath('d'), relPath('f')]), new Map([[relPath('f'), ['nodump', 'uchg']]]))
    await disk.setFlags(relPath('f'), [])
    assert.deepEqual(await disk.flagsOf([relPath('f')]), new Map())
  })

  on('space is told, of any kind of path', async (disk) => {
    await plant(disk, { f: 'f', l: symlink('/nowhere'), p: fifo() })
    for (const path of ['.', 'f', 'l', 'p']) {
      const space = await disk.space(relPath(path))
      assert.ok(space.freeBytes > 0 && space.freeInodes > 0 && space.blockSize >= 512 && !space.readOnly)
    }
  })

  on('files and directories can be synced', async (disk) => {
    await plant(disk, { 'd/f': 'f' })
    for (const path of ['d/f', 'd', '.']) await disk.sync(relPath(path))
  })
}

async function* chunks(...texts: readonly string[]): ByteStream {
  for (const text of texts) yield utf8(text)
}

async function* pieces(bytes: Uint8Array, size: number): ByteStream {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(disk: Disk, path: string, options?: ReadOptions): Promise<string> {
  return latin1((await collectBytes(disk.read(relPath(path), options), 1 << 30)) as Uint8Array)
}

async function refuses(code: ErrorCode, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => isBinderyError(error, code) || assert.fail(`expected ${code}, got ${String(error)}`))
}

/** The directory `wide` is on the root's file system; `small` (64 KiB) and `frozen` (read-only, holding `f`) have their own. */
export function mountConformance(
  name: string,
  maker: () => Promise<{ readonly disk: Disk; close(): Promise<void> } | { readonly skip: string }>,
): void {
  test(`${name}: file systems of a tree are told apart, full and read-only ones refuse`, async (t) => {
    const made = await maker()
    if ('skip' in made) return t.skip(made.skip)
    const { disk, close } = made
    try {
      await disk.create(relPath('wide/f'), chunks('f'))
      const device = async (path: string): Promise<bigint | undefined> => (await disk.lstat(relPath(path)))?.device
      assert.equal(await device('wide'), await device('.'))
      assert.notEqual(await device('small'), await device('.'))
      assert.notEqual(await device('frozen'), await device('small'))
      await refuses('not-supported', disk.rename(relPath('wide/f'), relPath('small/f')))
      await refuses('not-supported', disk.link(relPath('small/f'), relPath('wide/f')))
      await refuses('no-space', disk.create(relPath('small/big'), pieces(new Uint8Array(1_000_000).fill(1), 50_000)))
      assert.equal(await disk.lstat(relPath('small/big')), undefined)
      assert.deepEqual(
        [(await disk.space(relPath('small'))).readOnly, (await disk.space(relPath('small'))).freeBytes <= 65_536],
        [false, true],
      )
      assert.deepEqual([(await disk.space(relPath('frozen'))).readOnly, (await disk.space(relPath('frozen/f'))).readOnly], [true, true])
      const paths = ['wide', 'wide/f', 'frozen', 'frozen/f'].map(relPath)
      const readOnly = new Map(['frozen', 'frozen/f'].map((path) => [relPath(path), 'read-only'] as const))
      assert.deepEqual(await disk.refusalsOf(paths), readOnly)
      assert.deepEqual([...(await disk.mountPointsAmong(paths))], ['frozen'])
      await refuses('read-only', disk.create(relPath('frozen/g'), chunks('!')))
      await refuses('read-only', disk.chmod(relPath('frozen/f'), 0o600))
      await refuses('read-only', disk.unlink(relPath('frozen/f')))
      await refuses('read-only', disk.mkdir(relPath('frozen/d'), 0o755))
    } finally {
      await close()
    }
  })
}
