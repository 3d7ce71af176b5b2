import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { findLibraryUsers, readLinks } from '../src/engine/client/apply/library-users.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { elfFile } from './helpers/elf-file.ts'
import { fifo, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { RelPath } from '../src/base/path.ts'
import type { UserSearch } from '../src/engine/client/apply/library-users.ts'
import type { Disk } from '../src/port/disk.ts'
import type { ElfFile } from './helpers/elf-file.ts'
import type { Literal, Plant } from './helpers/plant.ts'

/** Which files of a machine are looked at for what they need, and how much of each. */

const elf = (of: ElfFile, mode = 0o755): Plant => file(elfFile(of), { mode })
const program = elf({ needed: ['libc.so.7'], interpreter: '/libexec/ld-elf.so.1' })
const links = { needed: ['libc.so.7'], interpreter: '/libexec/ld-elf.so.1' }

async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return disk
}

async function usersOn(disk: Disk, more: Partial<UserSearch> = {}): Promise<string> {
  const { users, isComplete } = await findLibraryUsers({ disk, folders: [], isOurs: () => false, ...more })
  assert.equal(isComplete, true)
  const paths = users.map(({ path }) => path).sort()
  for (const user of users) assert.deepEqual(user.links, links)
  return paths.join(' ')
}

const users = async (literal: Literal, more: Partial<UserSearch> = {}): Promise<string> => await usersOn(await on(literal), more)

/** A program in each of these folders. */
const programsIn = (folders: string): Literal => Object.fromEntries(folders.split(' ').map((folder) => [`${folder}/x`, program]))

test('programs are looked for where systems keep them, however deep, and where somebody says', async () => {
  const usual = 'bin lib lib32 lib64 libexec libx32 opt opt/a/b/c sbin usr usr/bin usr/local/bin'
  const others = 'etc home lib128 srv srv/app var'
  const found = usual.split(' ').map((folder) => `${folder}/x`)
  assert.equal(await users({ ...programsIn(usual), ...programsIn(others) }), found.sort().join(' '))
  assert.equal(await users(programsIn(others), { folders: [relPath('srv'), relPath('home')] }), 'home/x srv/app/x srv/x')
})

test('folders that are large and hold no program of this machine are left out; of their names elsewhere nothing is', async () => {
  const usr = 'include share src obj ports xenocara xobj pkgsrc lib/modules lib/firmware'
  const skipped = [...usr.split(' ').map((name) => `usr/${name}`), 'lib/modules', 'lib/firmware'].join(' ')
  assert.equal(await users(programsIn(skipped)), '')
  assert.equal(
    await users(programsIn('usr/local/share usr/local/src usr/lib/x/modules')),
    'usr/lib/x/modules/x usr/local/share/x usr/local/src/x',
  )
})

test('what is executable by anybody is looked at, and what is named as a library', async () => {
  const library = (mode = 0o644): Plant => elf(links, mode)
  assert.equal(await users({ 'bin/a': library(0o100), 'bin/b': library(0o010), 'bin/c': library(0o001) }), 'bin/a bin/b bin/c')
  const named = 'a.so a.so. a.so.1 a.so.1.2 liba.so.1'
  const unnamed = 'a aso a.solid a.so1 a.so.d/x a.o'
  const all = Object.fromEntries(`${named} ${unnamed}`.split(' ').map((name) => [`lib/${name}`, library()]))
  assert.equal(
    await users(all),
    named
      .split(' ')
      .map((name) => `lib/${name}`)
      .join(' '),
  )
})

test('a link, a pipe, an empty file and a script need nothing, and none but the script is read', async () => {
  const disk = await on({
    'bin/link': symlink('/etc/x'),
    'bin/pipe': fifo({ mode: 0o755 }),
    'bin/empty': file('', { mode: 0o755 }),
    'bin/script': file('#!/bin/sh\n'.repeat(100), { mode: 0o755 }),
    'etc/x': program,
    sbin: symlink('/etc'),
    'srv/real/x': program,
    'srv/link': symlink('real'),
  })
  const read: RelPath[] = []
  const watched: Disk = { ...disk, read: (path, options) => (read.push(path), disk.read(path, options)) }
  assert.equal(await usersOn(watched, { folders: [relPath('srv/link')] }), '')
  assert.deepEqual(read, ['bin/script'])
})

test('what is ours is not read, and who decides sees what lies there', async () => {
  const disk = await on({ 'bin/ours': program, 'bin/theirs': program, 'bin/text': 'text' })
  const asked: string[] = []
  const read: RelPath[] = []
  const watched: Disk = { ...disk, read: (path, options) => (read.push(path), disk.read(path, options)) }
  const isOurs: UserSearch['isOurs'] = (path, { size, mode }) => {
    asked.push(`${path} ${size} ${mode.toString(8)}`)
    return path === 'bin/ours'
  }
  assert.equal(await usersOn(watched, { isOurs }), 'bin/theirs')
  assert.deepEqual([asked.sort(), [...new Set(read)]], [['bin/ours 8192 755', 'bin/theirs 8192 755'], ['bin/theirs']])
})

test('a folder that is named twice, or lies in another, is looked through once', async () => {
  const disk = await on({ ...programsIn('usr/bin srv/app') })
  const listed: RelPath[] = []
  const watched: Disk = { ...disk, readdir: async (path) => (listed.push(path), await disk.readdir(path)) }
  const folders = ['srv', 'srv/app', 'usr/bin', 'srv'].map(relPath)
  assert.equal(await usersOn(watched, { folders }), 'srv/app/x usr/bin/x')
  assert.deepEqual(listed.sort(), ['srv', 'srv/app', 'usr', 'usr/bin'])
})

test('what is no folder is looked at once', async () => {
  const disk = await on({ 'bin/a': program, 'bin/b': 'text', 'bin/c': symlink('a') })
  const looked: RelPath[] = []
  const watched: Disk = { ...disk, lstat: async (path) => (looked.push(path), await disk.lstat(path)) }
  assert.equal(await usersOn(watched), 'bin/a')
  assert.deepEqual(looked.filter((path) => path.startsWith('bin/')).sort(), ['bin/a', 'bin/b', 'bin/c'])
})

test('a tree with more than a million names is not looked through to its end, and that is said', async () => {
  const disk = await on({ ...programsIn('srv'), 'srv/sub/y': program })
  // Two in `srv` itself. Names that nobody comes to look at cost nothing as holes.
  const large: Disk = { ...disk, readdir: async (path) => (path === 'srv/sub' ? Array<string>((1 << 20) - 1) : await disk.readdir(path)) }
  const { users: found, isComplete } = await findLibraryUsers({ disk: large, folders: [relPath('srv')], isOurs: () => false })
  assert.deepEqual([found.map(({ path }) => path), isComplete], [['srv/x'], false])
})

test('whoever asked may end it, at each folder', async () => {
  const disk = await on(programsIn('usr/a usr/b'))
  const controller = new AbortController()
  const search = (signal: AbortSignal): Promise<unknown> => findLibraryUsers({ disk: watched, folders: [], isOurs: () => false, signal })
  const listed: RelPath[] = []
  const watched: Disk = {
    ...disk,
    readdir: async (path) => {
      listed.push(path)
      controller.abort()
      return await disk.readdir(path)
    },
  }
  await assert.rejects(search(controller.signal), { name: 'AbortError' })
  assert.deepEqual(listed, ['usr'])
})

const failing = (code: ErrorCode, path: string): never => {
  throw new BinderyError(code, 'a fault of the test', { subject: path })
}

test('what goes away meanwhile or is shown to nobody needs nothing; a disk that fails ends the search', async () => {
  const disk = await on(programsIn('bin usr'))
  const ways: readonly (readonly [ErrorCode, boolean])[] = [
    ['not-found', true],
    ['permission', true],
    ['hostile', true],
    ['io', false],
  ]
  for (const [code, isNothing] of ways) {
    const disks: readonly Disk[] = [
      { ...disk, read: (path, options) => (path === 'bin/x' ? failing(code, path) : disk.read(path, options)) },
      { ...disk, readdir: async (path) => (path === 'bin' ? failing(code, path) : await disk.readdir(path)) },
      { ...disk, lstat: async (path) => (path === 'bin' ? failing(code, path) : await disk.lstat(path)) },
      { ...disk, lstat: async (path) => (path === 'bin/x' ? failing(code, path) : await disk.lstat(path)) },
    ]
    for (const one of disks) {
      if (isNothing) assert.equal(await usersOn(one), 'usr/x', code)
      else assert.equal((await refused(usersOn(one)))[0], code)
    }
  }
  const bug: Disk = { ...disk, read: () => assert.fail('a bug') }
  await assert.rejects(usersOn(bug), { message: 'a bug' })
})

test('a name that is gone by the time it is looked at is none', async () => {
  const disk = await on(programsIn('bin usr'))
  assert.equal(await usersOn({ ...disk, lstat: async (path) => (path === 'bin/x' ? undefined : await disk.lstat(path)) }), 'usr/x')
})

test('of a file those ranges alone are read that say what it needs', async () => {
  const disk = await on({ 'bin/x': program, 'bin/text': 'text', 'bin/short': file(elfFile(links).subarray(0, 4096)) })
  const ranges: string[] = []
  const watched: Disk = {
    ...disk,
    read: (path, options) => (ranges.push(`${options?.start ?? 0}-${options?.end ?? ''}`), disk.read(path, options)),
  }
  assert.deepEqual(await readLinks(watched, relPath('bin/x')), links)
  assert.deepEqual([ranges[0], ranges.includes('0-')], ['0-4096', false])
  assert.equal(await readLinks(disk, relPath('bin/text')), undefined)
  assert.equal(await readLinks(disk, relPath('bin/none')), undefined)
  assert.deepEqual(await readLinks(disk, relPath('bin/short')), { needed: [] })
})
