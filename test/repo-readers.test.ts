import assert from 'node:assert/strict'
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Updater } from 'tuf-js'
import { sha256 } from '../src/base/digest.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { establishTrust, refreshTrust } from '../src/engine/repo/trust.ts'
import { decodeUpdate } from '../src/format/update.ts'
import { folderStore } from '../src/host/folder-store.ts'
import { serveFolder } from '../src/host/http-server.ts'
import { openWorkshop, releaseName, smallDist } from './helpers/repository.ts'
import type { MetadataSource, TrustStore } from '../src/engine/repo/trust.ts'
import type { Store } from '../src/port/store.ts'

const scratch = await mkdtemp(join(tmpdir(), 'bindery-readers-'))
after(() => rm(scratch, { recursive: true, force: true }))

function memoryTrust(): TrustStore {
  const files = new Map<string, Uint8Array>()
  return {
    load: async (file) => files.get(file),
    save: async (file, bytes) => void files.set(file, bytes),
    remove: async (file) => void files.delete(file),
  }
}

function sourceOf(store: Store): MetadataSource {
  return {
    fetch: async (file) => {
      const bytes = await store.get(`metadata/${decodeURIComponent(file)}`)
      return bytes === undefined ? { kind: 'absent' } : { kind: 'bytes', bytes }
    },
  }
}

test('our own client follows from the first root to every release', async () => {
  const { store, publish, clock } = await openWorkshop()
  const trusted = memoryTrust()
  await establishTrust(trusted, (await store.get('metadata/1.root.json')) as Uint8Array)
  await publish(await smallDist('1.0', { product: 'kernel+GENERIC.MP' }))
  for (const revision of ['1.0', '1.1']) {
    await publish(await smallDist(revision))
    const trust = await refreshTrust({ store: trusted, source: sourceOf(store), clock })
    const record = await trust.target(releaseTargets(releaseName(revision)).update)
    assert.equal(record?.value.custom?.['sequence'], revision === '1.0' ? 1 : 2)
    const listed = await trust.targetsOf('base-amd64')
    assert.equal(listed.value.length, revision === '1.0' ? 4 : 11)
  }
  const trust = await refreshTrust({ store: trusted, source: sourceOf(store), clock })
  assert.equal((await trust.targetsOf('kernel+GENERIC.MP-amd64')).value.length, 4)
})

test('tuf-js reads it over our server: metadata, record, dist, delta', async () => {
  const repo = join(scratch, 'repo')
  const { publish } = await openWorkshop(folderStore(repo), Date.now())
  const dists = [await smallDist('1.0'), await smallDist('1.1')]
  for (const dist of dists) await publish(dist)
  const server = await serveFolder({ folder: repo, host: '127.0.0.1', port: 0 })
  try {
    const metadataDir = join(scratch, 'metadata')
    const targetDir = join(scratch, 'targets')
    await mkdir(metadataDir)
    await mkdir(targetDir)
    await writeFile(join(metadataDir, 'root.json'), await readFile(join(repo, 'metadata/1.root.json')))
    const updater = new Updater({ metadataDir, targetDir, metadataBaseUrl: `${server.url}metadata`, targetBaseUrl: `${server.url}blobs` })
    await updater.refresh()
    const fetchTarget = async (path: string): Promise<Uint8Array> => {
      const info = await updater.getTargetInfo(path)
      assert.ok(info, path)
      return new Uint8Array(await readFile(await updater.downloadTarget(info, join(targetDir, sha256(Buffer.from(path))))))
    }
    const update = decodeUpdate(await fetchTarget(releaseTargets(releaseName('1.1')).update))
    assert.equal(update.release.tar.sha256, sha256(dists[1] as Uint8Array))
    const manifests = [update.manifest, ...update.deltas.flatMap(({ manifest }) => (manifest === undefined ? [] : [manifest]))]
    assert.equal(manifests.length, 2)
    for (const { target, size } of [...update.full, ...update.deltas, ...manifests]) assert.equal((await fetchTarget(target)).length, size)
    assert.equal(await updater.getTargetInfo('base/amd64/nothing'), undefined)
  } finally {
    await server.close(0)
  }
})
