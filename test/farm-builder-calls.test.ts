import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hex, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { callWindowMs } from '../src/engine/farm/remote/check-call.ts'
import { sendPackage } from '../src/engine/farm/remote/send.ts'
import { beatTarget, claimTarget, endTarget, fileTarget, logTarget } from '../src/engine/farm/remote/targets.ts'
import { generateKey, openSigner } from '../src/engine/repo/keys.ts'
import { callHeaders, callText } from '../src/format/farm-call.ts'
import { decodeAnswer, encodeBeat, encodeClaim, encodeEnd } from '../src/format/farm-work.ts'
import { systemRandom } from '../src/host/ambient.ts'
import { hostFarmPost } from '../src/host/farm-post.ts'
import { linkTo, withController } from './helpers/farm/controller.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { unsignedPackage } from './helpers/openbsd-mirror/package-file.ts'
import { needsRoot } from './helpers/programs.ts'
import { relayTo } from './helpers/relay.ts'
import type { Link } from '../src/engine/farm/remote/link.ts'
import type { WholeFile } from '../src/engine/farm/remote/targets.ts'
import type { Signer } from '../src/engine/repo/key-file.ts'
import type { FarmAnswer, Lease } from '../src/format/farm-work.ts'
import type { FarmPost, PostedCall } from '../src/port/farm-post.ts'
import type { ByteSource } from '../src/port/source.ts'
import type { TestController } from './helpers/farm/controller.ts'

const forever = new AbortController().signal
const curl = unsignedPackage(packageOf({ name: 'curl-8.5.0', pkgpath: 'net/curl' }))

async function claimNow(link: Link, held: readonly number[] = []): Promise<Lease> {
  const answer = await link.call({ target: claimTarget, body: encodeClaim({ held, waitSeconds: 0, load: 0 }), signal: forever })
  assert.ok(answer.kind === 'lease', answer.kind)
  return answer.lease
}

/** One call, as a builder would send it but for what `change` does to it. */
async function callOnce(
  controller: TestController,
  signer: Signer,
  call: { readonly target?: string; readonly body?: Uint8Array; readonly time?: number; readonly nonce?: string },
  change: (call: PostedCall) => PostedCall = (same) => same,
): Promise<FarmAnswer> {
  const { target = claimTarget, body = encodeClaim({ held: [], waitSeconds: 0, load: 0 }), time = Date.now() } = call
  const head = { target, time, nonce: call.nonce ?? hex(randomBytes(16)), digest: sha256(body) }
  const signature = signer.sign(callText(head, hex(controller.key().keynum)))
  const headers = callHeaders({ ...head, keynum: hex(signer.keynum), signature })
  const answer = await hostFarmPost(controller.url(), {})(change({ target, headers, body, answerMs: 5000, signal: forever }))
  return decodeAnswer(answer.body)
}

function why(answer: FarmAnswer): string {
  return answer.kind === 'refused' ? answer.why : answer.kind
}

function sourceOf(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (start, end) => await Promise.resolve(bytes.slice(start, end)) }
}

function wholeOf(bytes: Uint8Array, file = 'curl-8.5.0.tgz'): WholeFile {
  return { file, size: bytes.length, sha256: sha256(bytes) }
}

async function endBuilt(link: Link, lease: Lease, { file, size, sha256: digest }: WholeFile): Promise<string> {
  const packages = [{ file, size, sha256: digest, reproducible: undefined }]
  const body = encodeEnd({ kind: 'built', packages, log: 0 })
  return (await link.call({ target: endTarget(lease.id), body, signal: forever })).kind
}

test('a call counts once, now, by who signed it, with the body that was signed', async () => {
  await withController({}, async (controller) => {
    const { signer } = await controller.enroll('one')
    const ask = async (
      call: Parameters<typeof callOnce>[2],
      change?: Parameters<typeof callOnce>[3],
      by: Signer = signer,
    ): Promise<string> => why(await callOnce(controller, by, call, change))
    assert.equal(await ask({}), 'nothing')
    const nonce = hex(randomBytes(16))
    assert.equal(await ask({ nonce }), 'nothing')
    assert.equal(await ask({ nonce }), 'replayed')
    assert.equal(await ask({ time: Date.now() - callWindowMs - 5000 }), 'clock')
    assert.equal(await ask({ time: Date.now() + callWindowMs + 5000 }), 'clock')
    // As a recorded call would be that comes to the next run of the controller.
    assert.equal(await ask({ time: Date.now() - 20_000 }), 'replayed')
    assert.equal(await ask({}, (call) => ({ ...call, body: utf8('{"held":[],"load":1,"wait":0}') })), 'damaged')
    assert.equal(await ask({}, (call) => ({ ...call, target: beatTarget(1) })), 'signature')
    assert.equal(await ask({}, (call) => ({ ...call, headers: { ...call.headers, 'bindery-nonce': hex(randomBytes(16)) } })), 'signature')
    assert.equal(await ask({}, (call) => ({ ...call, headers: {} })), 'wrong')
    assert.equal(await ask({ body: utf8('{"held":"all"}') }), 'wrong')
    assert.equal(await ask({ body: new Uint8Array(9 << 20) }), 'wrong')
    const stranger = await openSigner(
      (await generateKey(systemRandom, { comment: 'x' })).secretKeyFile,
      async () => await Promise.resolve(''),
    )
    assert.equal(await ask({}, undefined, stranger), 'unknown')
    // Another key under a number that is known.
    assert.equal(await ask({}, undefined, { ...stranger, keynum: signer.keynum }), 'signature')
  })
})

test('a builder takes no answer for one that is not signed by its controller, and for this call', async () => {
  await withController({}, async (controller) => {
    const { signer } = await controller.enroll('one')
    const codeOf = async (post: (inner: FarmPost) => FarmPost): Promise<string> => {
      const told: string[] = []
      const stop = new AbortController()
      const link = linkTo(controller, { signer, post, tell: (line) => (told.push(line), stop.abort(new BinderyError('stopped', line))) })
      const call = { target: claimTarget, body: encodeClaim({ held: [], waitSeconds: 0, load: 0 }), signal: stop.signal }
      return await link.call(call).then(
        ({ kind }) => kind,
        (error: BinderyError) => (error.code === 'stopped' ? error.message : error.code),
      )
    }
    assert.equal(await codeOf((inner) => inner), 'nothing')
    assert.match(
      await codeOf((inner) => async (call) => ({ ...(await inner(call)), body: utf8('{"kind":"lost"}') })),
      /an answer was changed on its way; trying on/,
    )
    assert.match(
      await codeOf(() => async () => await Promise.resolve({ status: 502, headers: {}, body: utf8('Bad Gateway') })),
      /status 502, and not from the controller of a farm/,
    )
    // An answer to another call, recorded before.
    let former: Awaited<ReturnType<FarmPost>> | undefined
    await codeOf((inner) => async (call) => (former = await inner(call)))
    assert.match(await codeOf(() => async () => await Promise.resolve(former as NonNullable<typeof former>)), /changed on its way/)
    const other = (await controller.enroll('other')).signer
    const impostor = { keynum: other.keynum, publicKey: other.publicKey, comment: '' }
    const link = linkTo({ ...controller, key: () => impostor }, { signer })
    await assert.rejects(link.call({ target: claimTarget, body: utf8('{}'), signal: forever }), { code: 'wrong-key' })
  })
})

test('a clock that is hours off is told, and the builder works all the same', async () => {
  await withController({}, async (controller) => {
    const { signer } = await controller.enroll('one')
    controller.queue.add({ pkgpath: 'net/curl' })
    const told: string[] = []
    const link = linkTo(controller, { signer, clock: { now: () => Date.now() - 7_200_000 }, tell: (line) => void told.push(line) })
    assert.deepEqual((await claimNow(link)).list, ['net/curl'])
    assert.match(told.join('\n'), /^the clock of the controller is 7[12]\d\d s ahead of ours$/)
  })
})

test('a lease whose answer was lost is given again, and none to two builders', async () => {
  await withController({}, async (controller) => {
    const [a, b] = [linkTo(controller, await controller.enroll('a')), linkTo(controller, await controller.enroll('b'))]
    controller.queue.add({ pkgpath: 'net/curl' })
    controller.queue.add({ pkgpath: 'net/wget' })
    const first = await claimNow(a)
    assert.deepEqual(await claimNow(a), first)
    assert.notEqual((await claimNow(b)).id, first.id)
    assert.equal(controller.queue.attempts.size, 2)
    // And nobody else can say anything of it.
    const beat = { target: beatTarget(first.id), body: encodeBeat({ load: 0 }), signal: forever }
    assert.deepEqual([await a.call(beat), await b.call(beat)], [{ kind: 'held' }, { kind: 'lost' }])
    const piece = { target: logTarget(first.id, 0), body: utf8('x'), signal: forever }
    assert.deepEqual(await b.call(piece), { kind: 'lost' })
    controller.queue.cancel(1)
    assert.deepEqual(await a.call(beat), { kind: 'lost' })
  })
})

test('a log comes in order, once, and without gaps', async () => {
  await withController({}, async (controller) => {
    const link = linkTo(controller, await controller.enroll('one'))
    controller.queue.add({ pkgpath: 'net/curl' })
    const { id } = await claimNow(link)
    const piece = async (at: number, text: string): Promise<FarmAnswer> =>
      await link.call({ target: logTarget(id, at), body: utf8(text), signal: forever })
    assert.deepEqual(await piece(0, '===> net/curl\n'), { kind: 'size', size: 14 })
    assert.deepEqual(await piece(0, '===> net/curl\n'), { kind: 'size', size: 14 })
    assert.deepEqual(await piece(20, 'late'), { kind: 'size', size: 14 })
    assert.deepEqual(await piece(9, 'url\nmore\n'), { kind: 'altered', why: 'is not what came before at the same place' })
    assert.deepEqual(await piece(8, '/curl\nmore\n'), { kind: 'size', size: 19 })
    assert.equal(readFileSync(join(controller.folder, `log/${id}.log`), 'utf8'), '===> net/curl\nmore\n')
    // Whoever ends says how long the log is.
    const end = encodeEnd({ kind: 'failed', why: 'x', lines: [], log: 30 })
    assert.deepEqual(await link.call({ target: endTarget(id), body: end, signal: forever }), { kind: 'size', size: 19 })
  })
})

test('an upload that is cut off at any byte goes on, and comes whole', async () => {
  await withController({}, async (controller) => {
    const relay = await relayTo(controller.url())
    try {
      const link = linkTo(controller, { ...(await controller.enroll('one')), url: relay.url })
      for (let cut = 0; cut <= curl.length + 900; cut += 97) {
        controller.queue.add({ pkgpath: 'net/curl' })
        const lease = await claimNow(link)
        relay.cutAfter(cut)
        assert.equal(await sendPackage({ link, lease, signal: forever }, wholeOf(curl), sourceOf(curl)), 'sent')
        assert.equal(await endBuilt(link, lease, wholeOf(curl)), 'held')
      }
    } finally {
      await relay.close()
    }
    const built = join(controller.folder, 'built/7.6/amd64')
    assert.deepEqual(new Uint8Array(readFileSync(join(built, 'packages/curl-8.5.0.tgz'))), curl)
    assert.equal(controller.queue.countIn('built'), controller.queue.builds.size)
    assert.deepEqual(readdirSync(join(controller.folder, 'incoming')), [])
  })
})

test('what the controller has of a package is not sent again, not even after it was started anew', async () => {
  const large = unsignedPackage(packageOf({ name: 'curl-8.5.0', pkgpath: 'net/curl', ballast: 9 << 20 }))
  await withController({}, async (controller) => {
    const relay = await relayTo(controller.url())
    try {
      const link = linkTo(controller, { ...(await controller.enroll('one')), url: relay.url })
      controller.queue.add({ pkgpath: 'net/curl' })
      const lease = await claimNow(link)
      const sending = { link, lease, signal: forever }
      relay.cutAfter(6 << 20)
      const source = sourceOf(large)
      let restarted = false
      const watched: ByteSource = {
        size: source.size,
        read: async (start, end) => {
          if (start > 0 && !restarted) {
            restarted = true
            await controller.stop()
            await controller.start()
          }
          return await source.read(start, end)
        },
      }
      assert.equal(await sendPackage(sending, wholeOf(large), watched), 'sent')
      // Two megabytes of the second piece went in vain.
      assert.ok(relay.passed.sent < large.length + (3 << 20), `${relay.passed.sent} of ${large.length}`)
      const again = relay.passed.sent
      assert.equal(await sendPackage(sending, wholeOf(large), sourceOf(large)), 'sent')
      assert.ok(relay.passed.sent < again + (5 << 20))
      assert.equal(await endBuilt(link, lease, wholeOf(large)), 'held')
      // Told twice, it is the same.
      assert.equal(await endBuilt(link, lease, wholeOf(large)), 'held')
    } finally {
      await relay.close()
    }
  })
})

test('a controller without space says so once, and takes the rest when there is some', needsRoot(), async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bindery-test-'))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]).status !== 0) {
    rmSync(folder, { recursive: true })
    return t.skip('no tmpfs can be mounted here')
  }
  try {
    await withController({ folder: join(folder, 'farm') }, async (controller) => {
      const told: string[] = []
      const grow = (line: string): void => {
        told.push(line)
        if (line.includes('no space')) assert.equal(spawnSync('mount', ['-o', 'remount,size=64m', folder]).status, 0)
      }
      const link = linkTo(controller, { ...(await controller.enroll('one')), tell: grow })
      controller.queue.add({ pkgpath: 'net/curl' })
      const lease = await claimNow(link)
      const large = unsignedPackage(packageOf({ name: 'curl-8.5.0', pkgpath: 'net/curl', ballast: 9 << 20 }))
      assert.equal(await sendPackage({ link, lease, signal: forever }, wholeOf(large), sourceOf(large)), 'sent')
      assert.deepEqual(told, ['the controller has no space left; trying on'])
      const troubles = controller.told.filter((line) => line.startsWith('cannot take'))
      assert.equal(troubles.length, 1)
      assert.match(troubles[0] as string, /^cannot take what a builder sends: .*: no space left$/)
      assert.equal(await endBuilt(link, lease, wholeOf(large)), 'held')
    })
  } finally {
    spawnSync('umount', [folder])
    rmSync(folder, { recursive: true })
  }
})

test('what came of an attempt that is lost goes when somebody else begins', async () => {
  await withController({}, async (controller) => {
    const [a, b] = [linkTo(controller, await controller.enroll('a')), linkTo(controller, await controller.enroll('b'))]
    controller.queue.add({ pkgpath: 'net/curl' })
    const lease = await claimNow(a)
    assert.equal(await sendPackage({ link: a, lease, signal: forever }, wholeOf(curl), sourceOf(curl)), 'sent')
    assert.deepEqual(readdirSync(join(controller.folder, 'incoming')), [String(lease.id)])
    controller.queue.lose(lease.id)
    assert.notEqual((await claimNow(b)).id, lease.id)
    assert.deepEqual(readdirSync(join(controller.folder, 'incoming')), [])
    assert.equal(await sendPackage({ link: a, lease, signal: forever }, wholeOf(curl), sourceOf(curl)), 'lost')
  })
})

test('a package that is not what was announced, or no package, is refused', async () => {
  await withController({}, async (controller) => {
    const link = linkTo(controller, await controller.enroll('one'))
    controller.queue.add({ pkgpath: 'net/curl' })
    const lease = await claimNow(link)
    const sending = { link, lease, signal: forever }
    const altered = curl.slice()
    altered[100] = (altered[100] as number) ^ 1
    await assert.rejects(sendPackage(sending, wholeOf(curl), sourceOf(altered)), { code: 'bad-digest' })
    const longer = { target: fileTarget(lease.id, { ...wholeOf(curl), size: 10 }, 0), body: curl, signal: forever }
    assert.equal((await link.call(longer)).kind, 'altered')
    assert.equal(await endBuilt(link, lease, wholeOf(curl)), 'altered')
    // Whole, and still another package than its name says.
    const wget = wholeOf(curl, 'wget-1.tgz')
    assert.equal(await sendPackage(sending, wget, sourceOf(curl)), 'sent')
    assert.equal(await endBuilt(link, lease, wget), 'altered')
    for (const file of ['../../x.tgz', '.hidden.tgz', 'a/b.tgz', 'x.txt']) {
      const call = { target: fileTarget(lease.id, { ...wholeOf(curl), file }, 0), body: curl, signal: forever }
      await assert.rejects(link.call(call), { code: 'bad-format' })
    }
    assert.equal(existsSync(join(controller.folder, 'built')), false)
  })
})
