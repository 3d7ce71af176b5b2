import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync, gunzipSync } from 'node:zlib'
import { collectBytes, concatBytes, fromLatin1, latin1, oneChunk } from '../src/base/bytes.ts'
import { sign } from '../src/command/sign.ts'
import { verify } from '../src/command/verify.ts'
import { checkedPayload, digestsOfBlocks, readSignedGzip, signedGzipHeader, signingPreamble } from '../src/format/openbsd/signed-gzip.ts'
import { decodePublicKey, encodeSignedMessage } from '../src/format/signify.ts'
import { signatureBy } from '../src/engine/repo/key-file.ts'
import { verifyMessage } from '../src/engine/repo/verify-message.ts'
import { headerBytes } from '../src/format/gzip.ts'
import { noise } from './helpers/noise.ts'
import { needs } from './helpers/programs.ts'
import { packageKey } from './helpers/openbsd-mirror/mirror.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { ErrorCode } from '../src/base/error.ts'

const key = await packageKey()

/** A folder with the key pair k.pub and k.sec. */
async function withKeys(use: (at: (name: string) => string) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    const at = (name: string): string => join(folder, name)
    writeFileSync(at('k.pub'), key.publicKeyFile)
    writeFileSync(at('k.sec'), key.secretKeyFile)
    await use(at)
  })
}

/** gzip whose payload, all behind the ten bytes of its header, has exactly this size. */
function gzipOfPayload(size: number): Uint8Array {
  for (let content = size - 8; content > 0; content--) {
    const gzip = new Uint8Array(gzipSync(chaos.subarray(0, content), { level: 0 }))
    if (gzip.length === size + 10) return gzip
    if (gzip.length < size + 10) break
  }
  throw new Error('no content deflates to that')
}

const chaos = noise(1 << 20, 3).content

const signify = (...words: readonly string[]): { status: number | null; stderr: string } => {
  const run = spawnSync('signify-openbsd', words, { encoding: 'utf8' })
  return { status: run.status, stderr: run.stderr }
}

test('what signify signs is what we sign, to the byte; each verifies what the other made', needs('signify-openbsd'), async () => {
  await withKeys(async (at) => {
    for (const size of [100, 65_535, 65_537, 300_000]) {
      writeFileSync(at('plain.tgz'), gzipOfPayload(size))
      assert.equal(signify('-zS', '-n', '-s', at('k.sec'), '-m', at('plain.tgz'), '-x', at('theirs')).status, 0)
      await run(sign, ['-z', '--no-date', '-s', at('k.sec'), '-m', at('plain.tgz'), '-x', at('ours')])
      // signify 31 names the key with its path.
      const theirs = latin1(readFileSync(at('theirs')))
      assert.equal(
        latin1(readFileSync(at('ours'))).replace(/^.*key=/s, ''),
        theirs.replace(/^.*key=/s, '').replace(at('k.sec'), 'k.sec'),
        String(size),
      )
      assert.equal(signify('-zV', '-p', at('k.pub'), '-x', at('ours'), '-m', at('out')).status, 0)
      assert.deepEqual(readFileSync(at('out')), readFileSync(at('ours')))
      await run(verify, ['-z', '-p', at('k.pub'), '-x', at('theirs'), '-m', at('passed')])
      assert.deepEqual(readFileSync(at('passed')), readFileSync(at('theirs')))
    }
  })
})

async function run(command: typeof sign, words: readonly string[], input?: Uint8Array): Promise<string> {
  const outcome = await runCommand(command, words, input === undefined ? {} : { input })
  assert.equal(outcome.status, 0, String(outcome.error))
  return outcome.stdout
}

test(
  'a payload of whole blocks: signify 31 cannot verify what it signs, we can; what we sign it can',
  needs('signify-openbsd', 'gzip'),
  async () => {
    await withKeys(async (at) => {
      const plain = gzipOfPayload(2 * 65_536)
      writeFileSync(at('plain.tgz'), plain)
      signify('-zS', '-s', at('k.sec'), '-m', at('plain.tgz'), '-x', at('theirs'))
      assert.match(signify('-zV', '-p', at('k.pub'), '-x', at('theirs'), '-m', at('out')).stderr, /^$|signature truncated/)
      const passed = await run(verify, ['-z', '-p', at('k.pub')], readFileSync(at('theirs')))
      assert.equal(passed, latin1(readFileSync(at('theirs'))))
      await run(sign, ['-z', '-s', at('k.sec'), '-m', at('plain.tgz'), '-x', at('ours')])
      assert.equal(signify('-zV', '-p', at('k.pub'), '-x', at('ours'), '-m', at('out')).status, 0)
      execFileSync('gzip', ['-t', at('ours')], { input: '' })
      assert.deepEqual(gunzipSync(readFileSync(at('ours'))), gunzipSync(plain))
      // Once is enough.
      await run(sign, ['-z', '-s', at('k.sec'), '-m', at('ours'), '-x', at('again')])
      assert.equal(readFileSync(at('again')).length, readFileSync(at('ours')).length)
    })
  },
)

/** Signed over these very bytes, with free choice of all that surrounds them. */
function signedBy(gzip: Uint8Array, change: { preamble?: string; flags?: number; optional?: string; blockSize?: number } = {}): Uint8Array {
  const payload = gzip.subarray(10)
  const { blockSize = 65_536 } = change
  const preamble =
    change.preamble === undefined ? signingPreamble({ date: '2026-11-28T00:00:00Z', key: 'k.sec', blockSize }) : fromLatin1(change.preamble)
  const message = concatBytes([preamble, digestsOfBlocks(payload, blockSize)])
  const comment = encodeSignedMessage({ signature: signatureBy(key.signer, message, 'verify with k.pub'), message })
  if (change.flags === undefined) return concatBytes([signedGzipHeader({ effort: 2, comment }), payload])
  const optional = concatBytes([fromLatin1(change.optional ?? ''), comment, new Uint8Array(1)])
  return concatBytes([headerBytes({ flags: change.flags, time: 1, effort: 2, system: 9, optional }), payload])
}

/** The code that verifying ends with, and how much was passed on before. */
async function verdict(bytes: Uint8Array): Promise<{ code: ErrorCode | undefined; passed: number }> {
  let result: { code: ErrorCode | undefined; passed: number } | undefined
  await withKeys(async (at) => {
    const { code, stdout } = await runCommand(verify, ['-z', '-p', at('k.pub')], { input: bytes })
    result = { code, passed: stdout.length }
  })
  assert.ok(result)
  return result
}

test('a file cut anywhere, at the border of a block too, is told; what was passed on before was good', async () => {
  const good = signedBy(gzipOfPayload(200_000))
  const start = good.length - 200_000
  assert.deepEqual(await verdict(good), { code: undefined, passed: good.length })
  for (const blocks of [0, 1, 2, 3])
    assert.deepEqual(await verdict(good.subarray(0, start + 65_536 * blocks)), { code: 'bad-digest', passed: start + 65_536 * blocks })
  assert.deepEqual(await verdict(good.subarray(0, start + 70_000)), { code: 'bad-digest', passed: start + 65_536 })
  assert.deepEqual(await verdict(good.subarray(0, start - 1)), { code: 'bad-format', passed: 0 })
  for (const size of [0, 5, 10, 11, 40, 150]) assert.deepEqual(await verdict(good.subarray(0, size)), { code: 'bad-format', passed: 0 })
  const multiple = signedBy(gzipOfPayload(131_072))
  assert.equal((await verdict(multiple)).code, undefined)
  assert.equal((await verdict(concatBytes([multiple, new Uint8Array(1)]))).code, 'bad-digest')
})

test('one changed byte anywhere is refused before its block is passed on', async () => {
  const good = signedBy(gzipOfPayload(150_000))
  const start = good.length - 150_000
  for (const [at, code, passed] of [
    [0, 'bad-format', 0],
    [3, 'bad-format', 0],
    [12, 'bad-format', 0],
    [60, 'bad-signature', 0],
    [170, 'bad-signature', 0],
    [start - 2, 'bad-signature', 0],
    [start + 5, 'bad-digest', start],
    [start + 65_536, 'bad-digest', start + 65_536],
    [good.length - 1, 'bad-digest', start + 131_072],
  ] as const) {
    const damaged = good.slice()
    damaged[at] = (damaged[at] as number) ^ 1
    assert.deepEqual(await verdict(damaged), { code, passed }, `byte ${at}`)
  }
})

test('time, system and effort of the header are not signed, and only effort is passed on', async () => {
  const good = signedBy(gzipOfPayload(1000))
  const changed = good.slice()
  changed.set([9, 9, 9, 9, 4, 7], 4)
  await withKeys(async (at) => {
    const passed = Buffer.from(await run(verify, ['-z', '-p', at('k.pub')], changed), 'latin1')
    assert.deepEqual(new Uint8Array(passed.subarray(0, 10)), new Uint8Array([0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 4, 3]))
    assert.deepEqual(passed.subarray(10), Buffer.from(good.subarray(10)))
  })
})

test('of the fields that a gzip header may have, a name and the comment alone are let through', needs('signify-openbsd'), async () => {
  const plain = gzipOfPayload(1000)
  const cases = [
    { flags: 16 | 8, optional: 'package.tar\0', code: undefined },
    { flags: 16 | 1, optional: '', code: 'bad-format' },
    { flags: 16 | 4, optional: '\u0002\u0000ab', code: 'bad-format' },
    { flags: 16 | 2, optional: '', code: 'bad-format' },
    { flags: 16 | 32, optional: '', code: 'bad-format' },
  ] as const
  await withKeys(async (at) => {
    for (const { flags, optional, code } of cases) {
      const file = signedBy(plain, { flags, optional })
      assert.equal((await verdict(file)).code, code, `flags ${flags}`)
      writeFileSync(at('file'), file)
      assert.equal(
        signify('-zV', '-p', at('k.pub'), '-x', at('file'), '-m', at('out')).status === 0,
        code === undefined,
        `signify, flags ${flags}`,
      )
    }
  })
  assert.equal((await verdict(plain)).code, 'not-supported')
})

test('a signed message that says other things than signify does', async () => {
  const plain = gzipOfPayload(1000)
  for (const [preamble, code] of [
    ['\n', undefined],
    ['blocksize=65536\nalgorithm=SHA512/256\n\n', undefined],
    ['date=x\ndate=y\n\n', 'bad-format'],
    ['colour=red\n\n', 'bad-format'],
    ['date=x\n', 'bad-format'],
    ['algorithm=SHA256\n\n', 'not-supported'],
    ['blocksize=0\n\n', 'over-limit'],
    ['blocksize=99999999\n\n', 'over-limit'],
    ['blocksize=-1\n\n', 'over-limit'],
    ['blocksize=512\n\n', 'bad-digest'],
  ] as const) {
    assert.equal((await verdict(signedBy(plain, { preamble }))).code, code, JSON.stringify(preamble))
  }
  assert.equal((await verdict(signedBy(plain, { blockSize: 100 }))).code, undefined)
})

test('a signature of more than 4 MiB is no matter, one of more than 16 MiB is refused', async () => {
  const large = signedBy(gzipOfPayload(700_001), { blockSize: 10 })
  const { head, payload } = await readSignedGzip(oneChunk(large))
  assert.ok(head.comment.length > 4 << 20)
  verifyMessage(decodePublicKey(key.publicKeyFile), head.signed.signature, head.signed.message)
  let passed = 0
  for await (const block of checkedPayload(head, payload)) passed += block.length
  assert.equal(passed, 700_001)
  const endless = concatBytes([new Uint8Array([0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 3]), new Uint8Array(17 << 20).fill(0x61)])
  assert.equal((await verdict(endless)).code, 'over-limit')
})

test('a signed file that comes in single bytes is the same', async () => {
  const good = signedBy(gzipOfPayload(3000), { flags: 24, optional: 'n\0' })
  const drops = (async function* () {
    for (const byte of good) yield new Uint8Array([byte])
  })()
  const { head, payload } = await readSignedGzip(drops)
  assert.equal(head.facts.date, '2026-11-28T00:00:00Z')
  assert.deepEqual(await collectBytes(payload, Infinity), good.subarray(good.length - 3000))
})

test('another key, and the words of the command line', async () => {
  const other = await packageKey('other', 2)
  await withKeys(async (at) => {
    writeFileSync(at('other.pub'), other.publicKeyFile)
    writeFileSync(at('plain.tgz'), gzipOfPayload(500))
    writeFileSync(at('text'), 'no gzip at all')
    await run(sign, ['-z', '-s', at('k.sec'), '-m', at('plain.tgz')])
    const codeOf = async (command: typeof sign, ...words: readonly string[]): Promise<ErrorCode | undefined> =>
      (await runCommand(command, words)).code
    assert.equal(await codeOf(verify, '-z', '-p', at('other.pub'), '-x', at('plain.tgz.sig')), 'wrong-key')
    assert.equal(await codeOf(sign, '-z', '-s', at('k.sec'), '-m', at('text')), 'bad-format')
    assert.equal(await codeOf(sign, '-z', '-e', '-s', at('k.sec'), '-m', at('plain.tgz')), 'usage')
    assert.equal(await codeOf(sign, '--no-date', '-s', at('k.sec'), '-m', at('plain.tgz')), 'usage')
    assert.equal(await codeOf(verify, '-z', '-p', at('k.pub'), '-x', at('missing')), 'not-found')
  })
})
