import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { audit, explainMerged } from '../src/engine/client/apply/audit.ts'
import { mergedBefore } from '../src/engine/client/apply/merged-before.ts'
import { mergeText } from '../src/engine/client/apply/merge-text.ts'
import { planInstall } from '../src/engine/client/apply/install.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { decodeConf, defaultConfig, pathPattern } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { incoming, install, installInput, leftovers, machine, picture, release, text } from './helpers/client-world.ts'
import { dir, file, hardlink } from './helpers/plant.ts'
import { cases } from './helpers/whole-suite.ts'
import { recovery } from './helpers/recovery.ts'
import type { RelPath } from '../src/base/path.ts'
import type { ClientConfig } from '../src/format/conf.ts'
import type { Kept } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

const at = (path: string): RelPath => path as RelPath
const clock = { now: () => 1_700_000_100_000 }
const back = async (disk: Disk): Promise<readonly Kept[]> =>
  (await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock })).kept

/** Ten lines, with some of them changed. */
function lines(changes: Readonly<Record<number, string>> = {}): string {
  return Array.from({ length: 10 }, (_, i) => `${changes[i] ?? `line ${i}`}\n`).join('')
}

const ours = lines({ 1: 'mine' })
const theirs = lines({ 8: 'new' })
const both = lines({ 1: 'mine', 8: 'new' })

type Edited = { readonly disk: Disk; readonly old: Release; readonly next: Release }

/** A machine with the old release, on which somebody has written files. */
async function edited(before: Literal, after: Literal, edits: Readonly<Record<string, string | Uint8Array>>): Promise<Edited> {
  const [old, next] = [await release('1.0', before), await release('1.1', after)]
  const disk = await machine(memoryDisk(), before)
  for (const [path, content] of Object.entries(edits)) await write(disk, path, content)
  return { disk, old, next }
}

async function write(disk: Disk, path: string, content: string | Uint8Array): Promise<void> {
  const before = await disk.lstat(at(path))
  if (before !== undefined) await disk.unlink(at(path))
  await disk.create(at(path), oneChunk(typeof content === 'string' ? utf8(content) : content))
  await disk.setTimes([{ path: at(path), mtime: { sec: 1_690_000_000, nsec: 0 } }])
  if (before !== undefined) await disk.chmod(at(path), before.mode)
}

const withConfig = (change: Partial<ClientConfig>): { config: ClientConfig } => ({ config: { ...defaultConfig, ...change } })
const modified = (path: string): Kept => ({ path: at(path), reason: 'modified', beside: at(`${path}.new`) })
const merged = (path: string): Kept => ({ path: at(path), reason: 'merged' })

/** What an install of the new release keeps of a file that both sides changed. */
async function keptOf(path: string, change: Partial<ClientConfig> = {}): Promise<readonly Kept[]> {
  const { disk, old, next } = await edited({ [path]: lines() }, { [path]: theirs }, { [path]: ours })
  return (await install(disk, old, next, withConfig(change))).kept
}

describe('a file of configuration that was changed here and in the release', () => {
  test('holds both changes afterwards, and a rollback brings back exactly what was here', async () => {
    const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': theirs }, { 'etc/rc.conf': ours })
    const before = await picture(disk)
    assert.deepEqual((await install(disk, old, next)).kept, [merged('etc/rc.conf')])
    assert.equal(await text(disk, 'etc/rc.conf'), both)
    assert.equal(await disk.lstat(at('etc/rc.conf.new')), undefined)
    assert.deepEqual(await back(disk), [])
    assert.equal(await picture(disk), before)
    assert.deepEqual(await leftovers(disk), [])
  })

  test('is as old as the merge: programs that look at the time read it anew', async () => {
    const { disk, old, next } = await edited({ 'etc/crontab': lines() }, { 'etc/crontab': theirs }, { 'etc/crontab': ours })
    await install(disk, old, next)
    assert.deepEqual((await disk.lstat(at('etc/crontab')))?.mtime, { sec: 1_700_000_000, nsec: 0 })
  })

  test('stays as it is where the changes touch each other, and the new one comes to lie beside', async () => {
    const before = { 'etc/rc.conf': lines() }
    const { disk, old, next } = await edited(before, { 'etc/rc.conf': lines({ 2: 'new' }) }, { 'etc/rc.conf': ours })
    assert.deepEqual((await install(disk, old, next)).kept, [modified('etc/rc.conf')])
    assert.equal(await text(disk, 'etc/rc.conf'), ours)
    assert.equal(await text(disk, 'etc/rc.conf.new'), lines({ 2: 'new' }))
  })

  test('is merged again by the next release, from what this one has', async () => {
    const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': theirs }, { 'etc/rc.conf': ours })
    const third = await release('1.2', { 'etc/rc.conf': lines({ 5: 'newer', 8: 'newer' }) })
    await install(disk, old, next)
    assert.deepEqual((await install(disk, next, third)).kept, [merged('etc/rc.conf')])
    assert.equal(await text(disk, 'etc/rc.conf'), lines({ 1: 'mine', 5: 'newer', 8: 'newer' }))
    await back(disk)
    assert.equal(await text(disk, 'etc/rc.conf'), both)
    await back(disk)
    assert.equal(await text(disk, 'etc/rc.conf'), ours)
  })

  test('is merged the same after a rollback, and not touched by an install of the same release', async () => {
    const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': theirs }, { 'etc/rc.conf': ours })
    await install(disk, old, next)
    const once = await picture(disk)
    assert.deepEqual((await install(disk, next, next)).kept, [])
    assert.equal(await picture(disk), once)
    await back(disk)
    await back(disk)
    await install(disk, old, next)
    assert.equal(await picture(disk), once)
  })

  test('that was edited again after the merge stays on a rollback, with the older one beside', async () => {
    const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': theirs }, { 'etc/rc.conf': ours })
    await install(disk, old, next)
    await write(disk, 'etc/rc.conf', 'since then')
    assert.deepEqual(await back(disk), [{ path: 'etc/rc.conf', reason: 'modified', beside: 'etc/rc.conf.old' }])
    assert.deepEqual([await text(disk, 'etc/rc.conf'), await text(disk, 'etc/rc.conf.old')], ['since then', ours])
  })

  test('keeps its own mode and owner where they were changed here, and takes new ones of the release', async () => {
    const { disk, old, next } = await edited(
      { 'etc/a': file(lines(), { mode: 0o644 }), 'etc/b': file(lines(), { mode: 0o644 }), 'etc/c': file(lines(), { mode: 0o644 }) },
      { 'etc/a': file(theirs, { mode: 0o600 }), 'etc/b': file(theirs, { mode: 0o644 }), 'etc/c': file(theirs, { mode: 0o600 }) },
      { 'etc/a': ours, 'etc/b': ours, 'etc/c': ours },
    )
    for (const path of ['etc/b', 'etc/c']) await disk.chmod(at(path), 0o640)
    const { kept } = await install(disk, old, next)
    assert.deepEqual(kept, [{ path: 'etc/c', reason: 'attributes' }, merged('etc/a'), merged('etc/b'), merged('etc/c')])
    assert.deepEqual(
      await Promise.all(['etc/a', 'etc/b', 'etc/c'].map(async (path) => (await disk.lstat(at(path)))?.mode)),
      [0o600, 0o640, 0o640],
    )
  })

  test('that has the change of the release already keeps its content and its time', async () => {
    const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': theirs }, { 'etc/rc.conf': both })
    const before = await disk.lstat(at('etc/rc.conf'))
    assert.deepEqual((await install(disk, old, next)).kept, [merged('etc/rc.conf')])
    assert.deepEqual(await disk.lstat(at('etc/rc.conf')), before)
  })

  test('whose change the release took up becomes that of the release, its time too', async () => {
    const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': both }, { 'etc/rc.conf': ours })
    assert.deepEqual((await install(disk, old, next)).kept, [merged('etc/rc.conf')])
    assert.equal(await picture(disk), await picture(next.disk))
  })

  test('keeps every byte, also such as are no UTF-8, and a last line without an end', async () => {
    const bytes = (...parts: readonly string[]): Uint8Array => Buffer.from(parts.join('\n'), 'latin1')
    const { disk, old, next } = await edited(
      { 'etc/motd': file(bytes('\u00e4', 'b', 'c', '\u00ff')) },
      { 'etc/motd': file(bytes('\u00e4', 'b', 'c', '\u00fe')) },
      { 'etc/motd': bytes('\u00eb\r', 'b', 'c', '\u00ff') },
    )
    assert.deepEqual((await install(disk, old, next)).kept, [merged('etc/motd')])
    assert.equal((await disk.digest(at('etc/motd'))).size, 8)
    const parts = []
    for await (const part of disk.read(at('etc/motd'))) parts.push(part)
    assert.deepEqual(Buffer.concat(parts), Buffer.from('\u00eb\r\nb\nc\n\u00fe', 'latin1'))
  })
})

describe('what is not merged', () => {
  test('files elsewhere, unless they are named; files that programs make, and accounts', async () => {
    assert.deepEqual(await keptOf('usr/local/etc/app/app.conf'), [merged('usr/local/etc/app/app.conf')])
    for (const path of ['srv/app.conf', 'etc/pwd.db', 'etc/ld.so.cache', 'etc/ssl/cert.pem', 'etc/master.passwd'])
      assert.deepEqual(await keptOf(path), [modified(path)])
    const named = { configProtect: ['/srv', '/etc/master.passwd'].map(pathPattern) }
    for (const path of ['srv/app.conf', 'etc/master.passwd']) assert.deepEqual(await keptOf(path, named), [merged(path)])
  })

  test('what bindery.conf protects or ignores, and everything where it says so', async () => {
    const everything = { configProtect: [pathPattern('/etc')] }
    assert.deepEqual(await keptOf('etc/rc.conf', { ...everything, protect: [pathPattern('/etc')] }), [modified('etc/rc.conf')])
    assert.deepEqual(await keptOf('etc/rc.conf', { ...everything, ignore: [pathPattern('/etc')] }), [])
    assert.deepEqual(await keptOf('etc/rc.conf', { ...everything, merge: false }), [modified('etc/rc.conf')])
  })

  test('binary files and large ones', async () => {
    for (const more of ['\0\n', `${'x'.repeat(1 << 20)}\n`]) {
      const { disk, old, next } = await edited({ 'etc/f': lines() + more }, { 'etc/f': theirs + more }, { 'etc/f': ours + more })
      assert.deepEqual((await install(disk, old, next)).kept, [modified('etc/f')])
      assert.equal(await text(disk, 'etc/f'), ours + more)
    }
  })

  test('a file that takes too long to compare', async () => {
    const same = 'the same\n'.repeat(5000)
    const [a, b] = [`mine\n${same}mine\n`, `new\n${same}new\n`]
    const { disk, old, next } = await edited({ 'etc/f': `old\n${same}` }, { 'etc/f': b }, { 'etc/f': a })
    assert.deepEqual((await install(disk, old, next)).kept, [modified('etc/f')])
  })

  test('files with several names, and what is no file any more', async () => {
    const group = (content: string): Literal => ({ 'etc/a': file(content), 'etc/b': hardlink('etc/a') })
    const { disk, old, next } = await edited(group(lines()), group(theirs), { 'etc/a': ours })
    assert.deepEqual(
      (await install(disk, old, next)).kept.map(({ path, reason }) => [path, reason]),
      [['etc/a', 'modified']],
    )
    const other = await edited({ 'etc/a': lines() }, { 'etc/a': theirs }, {})
    await other.disk.unlink(at('etc/a'))
    await other.disk.symlink(at('etc/a'), 'b')
    assert.deepEqual((await install(other.disk, other.old, other.next)).kept, [modified('etc/a')])
  })

  test('a file of which the old content cannot be had', async () => {
    const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': theirs }, { 'etc/rc.conf': ours })
    const without = incoming(old, next, { oldContents: async () => new Map() })
    assert.deepEqual((await install(disk, old, next, { incoming: without })).kept, [modified('etc/rc.conf')])
  })

  test('a file whose last conflict is open: its .new would look like a wish to undo that release', async () => {
    const [a, b, c] = [
      await release('1', { 'etc/f': lines() }),
      await release('2', { 'etc/f': lines({ 1: 'new', 4: 'new' }) }),
      await release('3', { 'etc/f': lines({ 1: 'new', 4: 'new', 8: 'newer' }) }),
    ]
    const disk = await machine(memoryDisk(), { 'etc/f': lines() })
    await write(disk, 'etc/f', ours)
    await install(disk, a, b)
    assert.deepEqual((await install(disk, b, c)).kept, [modified('etc/f')])
    assert.equal(await text(disk, 'etc/f'), ours)
    assert.equal(await text(disk, 'etc/f.new'), lines({ 1: 'new', 4: 'new', 8: 'newer' }))
  })

  test('nor where the .new of that conflict lies under the next name, since its own was taken', async () => {
    const [a, b, c] = [
      await release('1', { 'etc/f': lines() }),
      await release('2', { 'etc/f': lines({ 1: 'new', 4: 'new' }) }),
      await release('3', { 'etc/f': lines({ 1: 'new', 4: 'new', 8: 'newer' }) }),
    ]
    for (const isTidied of [false, true]) {
      const disk = await machine(memoryDisk(), { 'etc/f': lines() })
      await write(disk, 'etc/f', ours)
      await write(disk, 'etc/f.new', 'of my own')
      await install(disk, a, b)
      assert.equal(await text(disk, 'etc/f.new.1'), lines({ 1: 'new', 4: 'new' }))
      if (isTidied) await disk.unlink(at('etc/f.new'))
      const { kept } = await install(disk, b, c)
      assert.deepEqual(kept, [{ ...modified('etc/f'), beside: isTidied ? 'etc/f.new' : 'etc/f.new.1' }])
      assert.equal(await text(disk, 'etc/f'), ours)
    }
  })

  test('a file that has become huge is not read for it', async () => {
    const { disk, old, next } = await edited({ 'etc/f': lines() }, { 'etc/f': theirs }, { 'etc/f': 'x'.repeat(3 << 20) })
    const asked: string[] = []
    const watched: Disk = { ...disk, digest: async (path) => (asked.push(path), await disk.digest(path)) }
    assert.deepEqual((await install(watched, old, next)).kept, [modified('etc/f')])
    assert.ok(!asked.includes('etc/f'))
  })

  test('what has become a folder, or a link that leads elsewhere', async () => {
    const { disk, old, next } = await edited({ 'etc/f': lines() }, { 'etc/f': theirs }, {})
    await disk.unlink(at('etc/f'))
    await disk.mkdir(at('etc/f'), 0o755)
    await write(disk, 'etc/f/own', ours)
    assert.deepEqual((await install(disk, old, next)).kept, [modified('etc/f')])
    assert.equal(await text(disk, 'etc/f/own'), ours)
    const linked = await edited({ 'etc/d/f': lines() }, { 'etc/d/f': theirs }, { 'etc/elsewhere': ours })
    await linked.disk.unlink(at('etc/d/f'))
    await linked.disk.rmdir(at('etc/d'))
    await linked.disk.mkdir(at('other'), 0o755)
    await write(linked.disk, 'other/f', ours)
    await linked.disk.symlink(at('etc/d'), '/other')
    await install(linked.disk, linked.old, linked.next).catch(() => undefined)
    assert.equal(await text(linked.disk, 'other/f'), ours)
  })

  test('the old contents are asked for only where there is something to merge', async () => {
    const { disk, old, next } = await edited(
      { 'etc/a': lines(), 'srv/b': lines() },
      { 'etc/a': theirs, 'srv/b': theirs },
      { 'srv/b': ours },
    )
    const asked: number[] = []
    const counting = incoming(old, next, { oldContents: async (files) => (asked.push(files.length), new Map()) })
    await install(disk, old, next, { incoming: counting })
    assert.deepEqual(asked, [])
  })

  test('and of those files alone', async () => {
    const { disk, old, next } = await edited(
      { 'etc/a': lines(), 'etc/b': lines() },
      { 'etc/a': theirs, 'etc/b': lines() },
      { 'etc/a': ours },
    )
    const asked: string[] = []
    const watching = incoming(old, next, { oldContents: async (files) => (asked.push(...files.map(({ path }) => path)), new Map()) })
    await install(disk, old, next, { incoming: watching })
    assert.deepEqual(asked, ['etc/a'])
  })
})

test('whatever the changes, the file is its local version or the merged one, and a rollback brings back the local one', async () => {
  const texts = fc
    .array(fc.constantFrom('a\n', 'b\n', 'c\n', '\n', '<<<<<<< mine\n', 'no end'), { maxLength: 6 })
    .map((list) => list.join(''))
  await fc.assert(
    fc.asyncProperty(texts, texts, texts, async (base, mine, news) => {
      const { disk, old, next } = await edited({ 'etc/f': base }, { 'etc/f': news }, { 'etc/f': mine })
      const before = await picture(disk)
      const { kept } = await install(disk, old, next)
      const wanted = mergeText({ base: utf8(base), ours: utf8(mine), theirs: utf8(news) })
      assert.equal(await text(disk, 'etc/f'), wanted === undefined ? mine : Buffer.from(wanted).toString())
      if (wanted === undefined) assert.deepEqual([kept, await text(disk, 'etc/f.new')], [[modified('etc/f')], news])
      await back(disk)
      assert.equal(await picture(disk), before)
      assert.deepEqual(await leftovers(disk), [])
    }),
    { numRuns: cases(200) },
  )
})

test('a plan says what will be merged before anything is touched', async () => {
  const { disk, old, next } = await edited({ 'etc/rc.conf': lines() }, { 'etc/rc.conf': theirs }, { 'etc/rc.conf': ours })
  const before = await picture(disk)
  const { journal } = await planInstall(installInput(disk, old, next))
  assert.deepEqual(journal.kept, [merged('etc/rc.conf')])
  assert.deepEqual(
    journal.actions.filter(({ path }) => path === 'etc/rc.conf').map(({ kind }) => kind),
    ['swap'],
  )
  assert.equal(await picture(disk), before)
})

test('an audit finds a merged file changed, and says why while a receipt knows it', async () => {
  const tree = { 'etc/a': lines(), 'etc/b': 'b', etc: dir() }
  const { disk, old, next } = await edited(tree, { ...tree, 'etc/a': theirs }, { 'etc/a': ours, 'etc/b': 'mine' })
  await install(disk, old, next)
  const findings = async (): Promise<unknown> => {
    const found = await audit({ disk, manifest: next.manifest, config: defaultConfig })
    return (await explainMerged(disk, found.findings)).map(({ path, kind, isMerged }) => [path, kind, isMerged])
  }
  assert.deepEqual(await findings(), [
    ['etc/a', 'changed', true],
    ['etc/b', 'changed', undefined],
  ])
  await write(disk, 'etc/a', 'edited since')
  assert.deepEqual(await findings(), [
    ['etc/a', 'changed', undefined],
    ['etc/b', 'changed', undefined],
  ])
})

test('receipts tell what was merged, not what else was kept, and a damaged one hides nothing of the others', async () => {
  const { disk, old, next } = await edited(
    { 'etc/a': lines(), 'bin/b': file('old', { mode: 0o755 }) },
    { 'etc/a': theirs, 'bin/b': file('new', { mode: 0o750 }) },
    { 'etc/a': ours },
  )
  await disk.chmod(at('bin/b'), 0o700)
  const { kept } = await install(disk, old, next)
  assert.deepEqual(kept, [{ path: 'bin/b', reason: 'attributes' }, merged('etc/a')])
  const wanted = new Map([['etc/a', new Set([sha256(utf8(both))])]])
  assert.deepEqual(await mergedBefore(disk), wanted)
  await disk.create(at('var/db/bindery/receipt/2'), oneChunk(utf8('nonsense')))
  assert.deepEqual(await mergedBefore(disk), wanted)
  const failing: Disk = { ...disk, read: () => assert.fail('no error of ours') }
  await assert.rejects(mergedBefore(failing), assert.AssertionError)
  assert.deepEqual(await mergedBefore(memoryDisk()), new Map())
})

test('where the local file held the changes of the release already, the install has made no contents, whatever else it sets', async () => {
  const { disk, old, next } = await edited({ 'etc/a': lines() }, { 'etc/a': file(theirs, { mode: 0o600 }) }, { 'etc/a': both })
  const { kept, receipt } = await install(disk, old, next)
  assert.deepEqual(kept, [merged('etc/a')])
  assert.deepEqual(
    receipt.actions.filter(({ path }) => path === 'etc/a').map(({ kind }) => kind),
    ['attr'],
  )
  assert.deepEqual(await mergedBefore(disk), new Map())
})

test('bindery.conf names more configuration, and switches merging off', () => {
  const config = decodeConf(utf8('config-protect /srv/app\nconfig-protect /opt/*/etc\nmerge no\n'))
  assert.deepEqual(
    config.configProtect.map((pattern) => pattern.text),
    ['/srv/app', '/opt/*/etc'],
  )
  assert.equal(config.merge, false)
  assert.equal(defaultConfig.merge, true)
  assert.throws(() => decodeConf(utf8('merge perhaps\n')), /line 1: 'yes' or 'no', not 'perhaps'/)
})
