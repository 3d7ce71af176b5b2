import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { readUpdates } from '../src/engine/repo/channel-draft.ts'
import { usualLifetimes } from '../src/engine/repo/commit.ts'
import { readObsoleteList } from '../src/engine/repo/obsolete-list.ts'
import { executePrune, planPrune } from '../src/engine/repo/prune.ts'
import { publish } from '../src/engine/repo/publish.ts'
import { loadRepository } from '../src/engine/repo/repository.ts'
import { parseUpgradeSlice } from '../src/engine/repo/upgrade-slice.ts'
import { installNewest, openRepositoryOnline, readText, stateNames, takeRequests } from './helpers/client-repository.ts'
import { hardlink, relPath, symlink } from './helpers/plant.ts'
import { makeDist, openWorkshop, releaseName } from './helpers/repository.ts'
import { noNotes } from '../src/engine/update/compose.ts'
import { stepsOfCommands, usualTerms } from '../src/format/post-step.ts'
import type { Update } from '../src/format/update.ts'
import type { Store } from '../src/port/store.ts'
import type { Literal } from './helpers/plant.ts'

/** The newest record, and its list as lines `LAST KIND PATH`. */
async function newest(store: Store): Promise<{ readonly update: Update; readonly lines: readonly string[] }> {
  const targets = (await loadRepository(store)).channels.get('base-amd64')?.signed.value.targets ?? new Map()
  const update = (await readUpdates(store, targets)).at(-1) as Update
  const { items } = await readObsoleteList(store, update, targets)
  return { update, lines: items.map(({ last, kind, path }) => `${last} ${kind} ${path}`) }
}

test('what any earlier release had and this one has not is listed with it, once for each content', async () => {
  const { store, publish: add, fsck } = await openWorkshop()
  const releases: readonly Literal[] = [
    { 'bin/sh': '1', 'bin/a': 'a1', 'bin/b': hardlink('bin/a'), 'lib/l': symlink('x') },
    { 'bin/sh': '2', 'bin/a': 'a2', 'bin/b': hardlink('bin/a') },
    { 'bin/sh': '3', 'bin/a': 'a2' },
    { 'bin/sh': '3' },
    { 'bin/sh': '4', 'bin/a': 'a3' },
    { 'bin/sh': '5' },
  ]
  const seen: (readonly string[])[] = []
  for (const [i, tree] of releases.entries()) {
    await add(await makeDist(releaseName(`1.${i}`), tree))
    seen.push((await newest(store)).lines)
  }
  assert.deepEqual(seen.slice(0, 3), [
    [],
    ['1 dir lib', '1 symlink lib/l'],
    ['1 file bin/b', '2 file bin/b', '1 dir lib', '1 symlink lib/l'],
  ])
  const all = ['1 file bin/a', '3 file bin/a', '1 file bin/b', '2 file bin/b', '1 dir lib', '1 symlink lib/l']
  assert.deepEqual(seen[3], all)
  assert.deepEqual(seen[4], all)
  assert.deepEqual(seen[5], [...all.slice(0, 2), '5 file bin/a', ...all.slice(2)])
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('the list outlives the releases that it is about', async () => {
  const { store, publish: add, clock, keyring, fsck } = await openWorkshop()
  for (const [i, tree] of [{ 'bin/a': '1' }, { 'bin/b': '1' }, { 'bin/b': '2' }].entries())
    await add(await makeDist(releaseName(`1.${i}`), tree))
  const input = { store, keep: 1, keyring, clock, lifetimes: usualLifetimes }
  await executePrune(input, await planPrune(input))
  await add(await makeDist(releaseName('1.3'), { 'bin/c': '1' }))
  assert.deepEqual((await newest(store)).lines, ['1 file bin/a', '3 file bin/b'])
  await executePrune(input, await planPrune(input))
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('a client asks for the list once after it was enrolled', async () => {
  const online = await openRepositoryOnline()
  await online.release({ 'bin/sh': '1', 'bin/uucp': 'uucp', var: { kind: 'dir' } }, { 'bin/sh': '2', var: { kind: 'dir' } })
  const session = await online.client({ 'bin/sh': '2', 'bin/uucp': 'uucp', 'bin/own': 'own', var: { kind: 'dir' } })
  await online.enroll(session)
  const asked = (): number => takeRequests(online.http).filter(({ path }) => path.includes('.obsolete.')).length
  assert.deepEqual([asked(), (await newest(online.workshop.store)).lines], [0, ['1 file bin/uucp']])

  await online.release({ 'bin/sh': '3', var: { kind: 'dir' } })
  await installNewest(session)
  assert.deepEqual([asked(), [...(await session.disk.readdir(relPath('bin')))].sort()], [1, ['own', 'sh']])
  assert.equal(await readText(session.disk, 'var/db/bindery/channel/base-amd64/obsolete'), 'bindery-obsolete 1\nthrough 3\n')

  await online.release({ 'bin/sh': '4', var: { kind: 'dir' } })
  await installNewest(session)
  assert.equal(asked(), 0)
  await online.enroll(session, { force: true })
  assert.ok(!(await stateNames(session)).includes('obsolete'))
})

test('an upgrade slice is the last step of the record, and must be in the dist', async () => {
  const { store, input, keyring } = await openWorkshop()
  const notes = { ...noNotes, postSteps: stepsOfCommands(['ldconfig']) }
  const upgrade = parseUpgradeSlice('/usr/share/upgrade/')
  const without = await makeDist(releaseName('1.0'), { 'usr/share/upgrade/README': '' })
  await assert.rejects(publish({ ...input([without], { notes, upgrade }), keyring }), (error) => isBinderyError(error, 'not-found'))
  const dist = await makeDist(releaseName('1.0'), { 'usr/share/upgrade/Makefile': 'upgrade:\n' })
  await publish({ ...input([dist], { notes, upgrade }), keyring })
  assert.deepEqual((await newest(store)).update.postSteps, [
    ...notes.postSteps,
    { kind: 'run', name: 'upgrade', command: 'make -C /usr/share/upgrade BINARY_UPGRADE=yes upgrade', ...usualTerms },
  ])
  for (const bad of ['', '/', '../x', '/a b', '/$(reboot)', '/a/../b'])
    assert.throws(
      () => parseUpgradeSlice(bad),
      (error) => isBinderyError(error, 'usage'),
    )
})
