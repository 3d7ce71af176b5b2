import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { withIncoming } from '../src/engine/client/fetch/fetch.ts'
import { findOffers } from '../src/engine/client/fetch/offer.ts'
import { readInstalledManifest } from '../src/engine/client/installed.ts'
import { readReleaseState, statePaths } from '../src/engine/client/state.ts'
import { channel, many, openRepositoryOnline, takeRequests, tree } from './helpers/client-repository.ts'
import type { FileEntry } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Online } from './helpers/client-repository.ts'
import type { TestSession } from './helpers/client.ts'
import type { Basis } from '../src/format/enrolled.ts'

/** Where the old content of a file comes from that was modified here. */

const path = 'etc/version' as RelPath

/** A client of release 1 whose file was modified, when there is release 2. */
async function modifiedClient(basis: Basis): Promise<{ readonly online: Online; readonly session: TestSession }> {
  const online = await openRepositoryOnline()
  await online.release(tree(1, many))
  const session = await online.client(tree(1, many))
  await online.enroll(session, { basis })
  await session.disk.unlink(path)
  await session.disk.create(path, oneChunk(utf8('mine\n')))
  await online.release(tree(2, many))
  return { online, session }
}

/** Asks for it as a merge does; `before` happens when all else has been fetched. */
async function oldContent(
  session: TestSession,
  before: (incoming: Incoming) => Promise<void> = async () => {},
): Promise<string | undefined> {
  const manifest = await readInstalledManifest(session.disk, channel, await readReleaseState(session.disk, channel))
  const entry = manifest.entries.find((one): one is FileEntry => one.path === path && one.kind === 'file') as FileEntry
  const [offer] = await findOffers(session)
  assert.ok(offer !== undefined)
  const used = await withIncoming(session, offer, async (incoming) => {
    await before(incoming)
    const bytes = (await incoming.oldContents([entry])).get(entry.sha256)
    return bytes === undefined ? undefined : Buffer.from(bytes).toString()
  })
  return used?.result
}

async function emptyCache({ disk }: TestSession): Promise<void> {
  for (const name of await disk.readdir(statePaths.cache)) await disk.unlink(`${statePaths.cache}/${name}` as RelPath)
}

test('with basis tar it comes out of the kept base, without the network', async () => {
  const { online, session } = await modifiedClient('tar')
  const text = await oldContent(session, async () => void takeRequests(online.http))
  assert.equal(text, 'release 1\n')
  assert.deepEqual(takeRequests(online.http), [])
})

test('with basis installed it was fetched for the delta already', async () => {
  const { online, session } = await modifiedClient('installed')
  const text = await oldContent(session, async () => void takeRequests(online.http))
  assert.equal(text, 'release 1\n')
  assert.deepEqual(takeRequests(online.http), [])
})

test('otherwise the parts of the old dist that hold it are fetched', async () => {
  const { online, session } = await modifiedClient('installed')
  const text = await oldContent(session, async () => {
    await emptyCache(session)
    takeRequests(online.http)
  })
  assert.equal(text, 'release 1\n')
  assert.ok(takeRequests(online.http).some(({ headers }) => headers['range'] !== undefined))
})

test('where it is nowhere, that is said, and nothing fails', async () => {
  const { online, session } = await modifiedClient('installed')
  const text = await oldContent(session, async () => {
    await emptyCache(session)
    for (const url of online.http.pages.keys()) if (url.includes('.tar.zst')) online.http.pages.delete(url)
  })
  assert.equal(text, undefined)
  assert.match(session.said.join('\n'), /^\/etc\/version: not merged, since the old version cannot be had: /m)
})

test('where the disk here fails, the run fails: a merge is not given up for that', async () => {
  for (const code of ['io', 'no-space', 'read-only', 'permission'] as const) {
    const { session } = await modifiedClient('installed')
    const append = async (path: RelPath): Promise<never> => await Promise.reject(new BinderyError(code, 'it does', { subject: path }))
    const text = oldContent(session, async () => {
      await emptyCache(session)
      Object.assign(session.disk, { append, create: append })
    })
    await assert.rejects(text, (error) => isBinderyError(error, code))
    assert.doesNotMatch(session.said.join('\n'), /not merged/)
  }
})
