import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deskRoutes } from '../../../src/command/farm-desk.ts'
import { farmKey } from '../../../src/command/farm-key.ts'
import { openLink } from '../../../src/engine/farm/remote/link.ts'
import { decodePublicKey, publicKeyLine } from '../../../src/format/signify.ts'
import { systemClock, systemRandom, systemWait } from '../../../src/host/ambient.ts'
import { hostFarmPost } from '../../../src/host/farm-post.ts'
import { startWebServer } from '../../../src/web/server.ts'
import { memoryQueue } from './memory-queue.ts'
import type { Link } from '../../../src/engine/farm/remote/link.ts'
import type { Signer } from '../../../src/engine/repo/key-file.ts'
import type { SignifyPublicKey } from '../../../src/format/signify.ts'
import type { Clock } from '../../../src/port/ambient.ts'
import type { FarmPost } from '../../../src/port/farm-post.ts'
import type { RunningWebServer } from '../../../src/web/server.ts'
import type { MemoryQueue } from './memory-queue.ts'

/** A controller on a loopback address, with a queue in memory. */
export type TestController = {
  readonly folder: string
  readonly queue: MemoryQueue
  readonly told: string[]
  url(): string
  key(): SignifyPublicKey
  stop(): Promise<void>
  /** On the same port, with the same queue and folder. */
  start(): Promise<void>
  /** A builder that it knows; its key files lie in the folder above. */
  enroll(name: string, arch?: string): Promise<{ readonly signer: Signer; readonly secret: string }>
}

export type ControllerOptions = {
  /** Whole seconds. */
  readonly leaseMs?: number
  readonly clock?: Clock
  /** Removed afterwards. */
  readonly folder?: string
}

export async function withController(options: ControllerOptions, use: (controller: TestController) => Promise<void>): Promise<void> {
  const top = mkdtempSync(join(tmpdir(), 'bindery-test-'))
  const folder = options.folder ?? join(top, 'farm')
  mkdirSync(folder, { recursive: true })
  const { leaseMs = 60_000, clock = systemClock } = options
  const queue = memoryQueue({ leaseMs })
  const told: string[] = []
  let server: RunningWebServer | undefined
  let port = 0
  const start = async (): Promise<void> => {
    const desk = { folder, queue, catalog: queue, clock, random: systemRandom, leaseSeconds: leaseMs / 1000 }
    const routes = await deskRoutes({ ...desk, tell: (line) => void told.push(line) })
    server = await startWebServer({ host: '127.0.0.1', port, modules: [routes] })
    port = Number(new URL(server.url).port)
  }
  const stop = async (): Promise<void> => {
    await server?.close(0)
    server = undefined
  }
  await start()
  try {
    await use({
      folder,
      queue,
      told,
      url: () => `http://127.0.0.1:${port}/`,
      key: () => decodePublicKey(new Uint8Array(readFileSync(join(folder, 'controller.pub')))),
      start,
      stop,
      enroll: async (name, arch = 'amd64') => {
        const secret = join(top, `${name}.sec`)
        const signer = await farmKey(systemRandom, { secret, public: join(top, `${name}.pub`), comment: name })
        await queue.putBuilder({ name, publicKey: publicKeyLine(signer), arch, releases: [], tags: [], jobs: 1 }, 'test')
        return { signer, secret }
      },
    })
  } finally {
    await stop()
    for (const one of [top, folder]) rmSync(one, { recursive: true, force: true })
  }
}

export type LinkOptions = {
  readonly signer: Signer
  readonly clock?: Clock
  readonly post?: (inner: FarmPost) => FarmPost
  /** Of a relay before the controller. */
  readonly url?: string
  readonly tell?: (line: string) => void
}

export function linkTo(controller: TestController, { signer, clock = systemClock, post, url, tell = () => {} }: LinkOptions): Link {
  const inner = hostFarmPost(url ?? controller.url(), {})
  const world = { signer, controller: controller.key(), clock, random: systemRandom, wait: systemWait, tell }
  return openLink({ ...world, post: post === undefined ? inner : post(inner) })
}
