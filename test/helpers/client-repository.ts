import { sha256 } from '../../src/base/digest.ts'
import { installIncoming } from '../../src/engine/client/apply/install.ts'
import { enrollChannels } from '../../src/engine/client/fetch/enroll.ts'
import { withIncoming } from '../../src/engine/client/fetch/fetch.ts'
import { findOffers } from '../../src/engine/client/fetch/offer.ts'
import { readInstalledManifest } from '../../src/engine/client/installed.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { memoryHttp } from '../../src/host/memory-http.ts'
import { makeDist, openWorkshop, releaseName } from './repository.ts'
import { noise } from './noise.ts'
import { plant } from './plant.ts'
import { testSession } from './client.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Enrollment, EnrollInput } from '../../src/engine/client/fetch/enroll.ts'
import type { Session } from '../../src/engine/client/fetch/session.ts'
import type { MemoryHttp, Page } from '../../src/host/memory-http.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { Literal } from './plant.ts'
import type { TestSession } from './client.ts'

/** A repository in memory, served in memory, and clients of it. */

export const channel = { product: 'base', arch: 'amd64' }
export const base = 'http://updates.test/'

export type Validators = 'etag' | 'date' | 'none'

export type Online = {
  readonly http: MemoryHttp
  readonly workshop: Awaited<ReturnType<typeof openWorkshop>>
  /** Publishes trees as releases 1, 2..., and serves what is then in the store. */
  release(...trees: readonly Literal[]): Promise<void>
  /** Serves what is in the store at this address, all pages changed by `change`. */
  serve(at?: string, change?: (key: string, page: Page) => Page): Promise<void>
  client(literal: Literal, change?: Partial<Session>): Promise<TestSession>
  enroll(session: Session, change?: Partial<EnrollInput>): Promise<readonly Enrollment[]>
}

export async function openRepositoryOnline(validators: Validators = 'etag'): Promise<Online> {
  const workshop = await openWorkshop()
  const http = memoryHttp()
  let revision = 0
  const serve: Online['serve'] = async (at = base, change = (_, page) => page) => {
    for (const key of await workshop.store.list('')) {
      const bytes = (await workshop.store.get(key)) as Uint8Array
      http.pages.set(at + key, change(key, { bytes, ...validatorsOf(validators, bytes) }))
    }
  }
  return {
    http,
    workshop,
    serve,
    release: async (...trees) => {
      for (const literal of trees) {
        workshop.pass(1)
        await workshop.publish(await makeDist(releaseName(String(++revision)), literal))
      }
      await serve()
    },
    client: async (literal, change = {}) => {
      const disk = memoryDisk()
      await plant(disk, literal)
      return await testSession({ disk, http, clock: workshop.clock, ...change })
    },
    enroll: async (session, change = {}) => {
      const root = (await workshop.store.get('metadata/1.root.json')) as Uint8Array
      return await enrollChannels(session, { urls: [base], root, channels: [channel], basis: 'tar', force: false, ...change })
    },
  }
}

function validatorsOf(validators: Validators, bytes: Uint8Array): Partial<Page> {
  if (validators === 'etag') return { etag: `"${sha256(bytes).slice(0, 16)}"` }
  // Changed content has another second.
  return validators === 'date' ? { lastModified: new Date(parseInt(sha256(bytes).slice(0, 8), 16) * 300).toUTCString() } : {}
}

/** Paths and bytes of what was asked since the last call. */
export function takeRequests(http: MemoryHttp): readonly { readonly path: string; readonly headers: Readonly<Record<string, string>> }[] {
  return http.requests.splice(0).map(({ url, headers = {} }) => ({ path: new URL(url).pathname, headers }))
}

export async function readText(disk: Disk, path: string): Promise<string> {
  const parts: string[] = []
  for await (const bytes of disk.read(path as Parameters<Disk['read']>[0])) parts.push(Buffer.from(bytes).toString('latin1'))
  return parts.join('')
}

/** A tree with 600 kB that nothing compresses, and small files that change with each release. */
export function tree(revision: number, more: Literal = {}): Literal {
  return {
    'bin/sh': noise(300_000, 1),
    'lib/libc.so.1': noise(300_000, 2),
    'etc/version': `release ${revision}\n`,
    [`doc/${revision}`]: `${revision}`,
    var: { kind: 'dir' },
    ...more,
  }
}

/** Several frames of a dist (4 MiB each). */
export const many: Literal = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`share/${i}`, noise(1_500_000, 10 + i)]))

/** The files of the channel's state. */
export async function stateNames(session: Session): Promise<readonly string[]> {
  return [...(await session.disk.readdir('var/db/bindery/channel/base-amd64' as RelPath))].sort()
}

/** What `bindery install` does, of the one channel. */
export async function installNewest(session: TestSession): Promise<void> {
  const [offer] = await findOffers(session)
  const { disk, config, clock, recovery } = session
  await withIncoming(session, offer as never, async (incoming) => {
    const installed = await readInstalledManifest(disk, channel, incoming.installed)
    return await installIncoming({ disk, incoming, installed, config, clock, recovery })
  })
}
