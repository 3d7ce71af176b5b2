import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { runBuilder } from '../src/engine/farm/remote/builder.ts'
import { workOn } from '../src/engine/farm/remote/work.ts'
import { decodeBuilt } from '../src/format/built.ts'
import { systemWait } from '../src/host/ambient.ts'
import { folderInMemory } from './helpers/temporary.ts'
import { linkTo, withController } from './helpers/farm/controller.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { unsignedPackage } from './helpers/openbsd-mirror/package-file.ts'
import type { Made } from '../src/engine/farm/build/lease-work.ts'
import type { Work } from '../src/engine/farm/remote/work.ts'
import type { Lease } from '../src/format/farm-work.ts'
import type { TestController } from './helpers/farm/controller.ts'

/** A builder whose builds take no time, or as long as `build` says. */
type Built = { readonly made: Map<string, number>; readonly told: string[]; readonly ended: Promise<void>; stop(): void }

type Building = (lease: Lease, signal: AbortSignal) => Promise<Made>

async function startBuilder(controller: TestController, name: string, build: Building = packagesOf, slots = 4): Promise<Built> {
  const stop = new AbortController()
  const made = new Map<string, number>()
  const told: string[] = []
  const link = linkTo(controller, { ...(await controller.enroll(name)), tell: (line) => void told.push(line) })
  const work = async (lease: Lease, _slot: number, signal: AbortSignal): ReturnType<typeof workOn> => {
    for (const pkgpath of lease.list) made.set(pkgpath, (made.get(pkgpath) ?? 0) + 1)
    return await workOn(workFor(lease, { link, signal, build: async (stopping) => await build(lease, stopping) }))
  }
  const order = { link, wait: systemWait, slots, found: [], work, load: () => 50, tell: (line: string) => void told.push(line) }
  return { made, told, ended: runBuilder({ ...order, signal: stop.signal }), stop: () => stop.abort(new BinderyError('stopped', 'enough')) }
}

function workFor(lease: Lease, given: Pick<Work, 'link' | 'signal' | 'build'>): Work {
  const log = utf8(lease.list.map((pkgpath) => `===> ${pkgpath}\n`).join(''))
  return {
    lease,
    ...given,
    wait: systemWait,
    log: { size: () => log.length, read: async (start, end) => await Promise.resolve(log.slice(start, end)) },
    openPackage: async (file) => {
      const bytes = packageBytes(file)
      const read = async (start: number, end: number): Promise<Uint8Array> => await Promise.resolve(bytes.slice(start, end))
      return await Promise.resolve({ size: bytes.length, read, close: async () => await Promise.resolve() })
    },
    lastLines: async () => await Promise.resolve(['main.c:1: error']),
    load: () => 50,
  }
}

function packageBytes(file: string): Uint8Array {
  const name = file.replace(/\.tgz$/, '')
  return unsignedPackage(packageOf({ name, pkgpath: `net/${name.replace(/-1$/, '')}` }))
}

async function packagesOf({ list }: Lease): Promise<Made> {
  const packages = list.map((pkgpath) => {
    const file = `${pkgpath.split('/')[1] ?? ''}-1.tgz`
    const bytes = packageBytes(file)
    return { file, size: bytes.length, sha256: sha256(bytes), reproducible: undefined }
  })
  return await Promise.resolve({ packages, failed: [] })
}

/** Looks until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}

test('two builders of one architecture share 200 builds, none is built twice', async () => {
  await withController({ folder: folderInMemory('bindery-test-') }, async (controller) => {
    for (let i = 0; i < 200; i++) controller.queue.add({ pkgpath: `net/p${i}` })
    controller.queue.add({ pkgpath: 'net/other', arch: 'arm64' })
    const builders = [await startBuilder(controller, 'a'), await startBuilder(controller, 'b')]
    await until(() => controller.queue.countIn('built') === 200)
    for (const { stop } of builders) stop()
    await Promise.all(builders.map(async ({ ended }) => await ended))
    const [a, b] = builders.map(({ made }) => made) as [Map<string, number>, Map<string, number>]
    assert.equal(a.size + b.size, 200)
    assert.ok([...a.values(), ...b.values()].every((count) => count === 1))
    assert.ok(a.size > 0 && b.size > 0)
    assert.equal(controller.queue.countIn('waiting'), 1)
    const built = join(controller.folder, 'built/7.6/amd64')
    const { packages } = decodeBuilt(new Uint8Array(readFileSync(join(built, 'manifest.json'))))
    assert.equal(packages.length, 200)
    assert.equal(readdirSync(join(built, 'packages')).length, 200)
    const log = controller.queue.attempts.get(1)?.logFile as string
    assert.match(readFileSync(join(controller.folder, log), 'utf8'), /^===> net\/p\d+\n$/)
  })
})

test('a port that fails is told with its lines; a machine that cannot build gives back', async () => {
  await withController({}, async (controller) => {
    controller.queue.add({ pkgpath: 'net/bad' })
    const failed = [{ pkgpath: 'net/bad', why: 'bad-1.tgz was not made', log: '', lines: ['main.c:3: error'] }]
    const one = await startBuilder(controller, 'one', async () => await Promise.resolve({ packages: [], failed }), 1)
    await until(() => controller.queue.countIn('failed') === 1)
    one.stop()
    await one.ended
    assert.deepEqual(controller.queue.ends.get(1), {
      kind: 'failed',
      why: 'net/bad: bad-1.tgz was not made',
      lines: ['main.c:3: error'],
      log: 13,
      logSize: 13,
    })
  })
  await withController({}, async (controller) => {
    controller.queue.add({ pkgpath: 'net/good' })
    const full = new BinderyError('no-space', 'no space left', { subject: '/build' })
    const two = await startBuilder(controller, 'two', async () => await Promise.reject(full), 1)
    await until(() => two.told.some((line) => line.endsWith('given back: /build: no space left')))
    assert.equal(controller.queue.countIn('waiting'), 1)
    two.stop()
    await two.ended
  })
})

test('a builder that stops gives back what it builds; one whose lease was taken drops it', async () => {
  await withController({ leaseMs: 2000 }, async (controller) => {
    // It may be stopped before it has begun.
    const hanging: Building = async (_lease, signal) =>
      await new Promise((_, reject) => {
        const stop = (): void => reject(signal.reason as Error)
        if (signal.aborted) stop()
        signal.addEventListener('abort', stop)
      })
    controller.queue.add({ pkgpath: 'net/curl' })
    const one = await startBuilder(controller, 'one', hanging)
    await until(() => controller.queue.countIn('building') === 1)
    one.stop()
    await one.ended
    assert.deepEqual([controller.queue.countIn('waiting'), one.told.at(-1)], [1, 'build 1 (7.6/amd64: net/curl): given back'])
    const two = await startBuilder(controller, 'two', hanging)
    await until(() => controller.queue.countIn('building') === 1)
    controller.queue.cancel(1)
    await until(() => two.told.includes('build 1 (7.6/amd64: net/curl): is no longer ours, dropped'))
    two.stop()
    await two.ended
  })
})

test('a controller that is away is waited for, and finds its builders at work', async () => {
  await withController({}, async (controller) => {
    let go = (): void => {}
    const gate = new Promise<void>((resolve) => (go = resolve))
    controller.queue.add({ pkgpath: 'net/curl' })
    const one = await startBuilder(controller, 'one', async (lease) => (await gate, await packagesOf(lease)))
    await until(() => controller.queue.countIn('building') === 1)
    await controller.stop()
    go()
    await until(() => one.told.some((line) => /does not answer: .*; trying on$/.test(line)))
    controller.queue.add({ pkgpath: 'net/wget' })
    await controller.start()
    await until(() => controller.queue.countIn('built') === 2)
    assert.ok(one.told.includes('the controller answers again'))
    one.stop()
    await one.ended
  })
})

test('a builder that was removed ends, and says why', async () => {
  await withController({}, async (controller) => {
    const one = await startBuilder(controller, 'one')
    await controller.queue.removeBuilder('one', 'test')
    controller.queue.add({ pkgpath: 'net/curl', arch: 'arm64' })
    await assert.rejects(one.ended, { code: 'wrong-key' })
  })
})
