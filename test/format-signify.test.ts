import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { base64, fromBase64, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeChecksumList, encodeChecksumList } from '../src/format/checksum-list.ts'
import {
  decodePublicKey,
  decodeSecretKey,
  decodeSignature,
  decodeSignedMessage,
  encodePublicKey,
  encodeSecretKey,
  encodeSignature,
  encodeSignedMessage,
} from '../src/format/signify.ts'
import { signatureBy } from '../src/engine/repo/key-file.ts'
import { generateKey, openSigner, signMessage } from '../src/engine/repo/keys.ts'
import { verifyMessage } from '../src/engine/repo/verify-message.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { Random } from '../src/port/ambient.ts'

/** Made by signify itself. */
const plain = {
  pub: 'RWTAeKJJ1MTF3YCo0ivtKH8kuiFWJuLpNoUmpDd6iTFYhn6/tRu5qKJe',
  sec: 'RWRCSwAAAAASS6/J8yiU/PaMmMhlV4zqjMh4FlqOsG3AeKJJ1MTF3UpTLTAaUkS15G97BU/C+X2UCcR2fNfG68/1NpK0bh0pgKjSK+0ofyS6IVYm4uk2hSakN3qJMViGfr+1G7mool4=',
  signatures: [
    ['Attack at dawn!\n', 'RWTAeKJJ1MTF3UpxzBCu6NaM6HPJNTj5CZ+M5XNJKNeEHBLQSsstzHGbSo8rPYNgw3Z98pN7WKiIwBIyRrKuIdKBRA6qlaci6wI='],
    ['message\n', 'RWTAeKJJ1MTF3dzgCnDjwcis9Ta3Dvv9Xjl0jhgnfIfFt6etu/BKaklg8wYb/cgtq5d6pJrGr2yJcOi/rTCSWiQyEoja1Flqngs='],
  ],
} as const
const sealed = {
  passphrase: 'bindery-test',
  pub: 'RWTJaR1F9CC80zDAYquo3N+rIdG4G8uk9TQ+++4SudOsUPkl2cGzzbw8',
  sec: 'RWRCSwAAACpA7ja4Bvd3UMreQL5HfSJXpUyuXyKVX5zJaR1F9CC809CDdse9cywOme1PPUo8UzOBeJnh2s7zhpKXLG0r7r0wr+YaB4HhTAwwEM94C7zgMvYxvTgNVFZysoTfVU5KmMU=',
  signatures: [['message\n', 'RWTJaR1F9CC806Ku49cncZYsVha9qvYG9ZlvBd9/Y6xCn9CAwxQfORVDKaeYeS3XGd3Yn3eIEoqF3xQxs0xrjGsRnZu664IVkwc=']],
} as const

function file(encoded: string, comment = 'test'): Uint8Array {
  return utf8(`untrusted comment: ${comment}\n${encoded}\n`)
}

function refused(work: () => unknown, code: ErrorCode): void {
  assert.throws(work, (error) => isBinderyError(error, code))
}

const noPassphrase = (): Promise<string> => assert.fail('no passphrase is needed')

for (const [name, vector, ask] of [
  ['an open key', plain, noPassphrase],
  ['an encrypted key', sealed, () => Promise.resolve(sealed.passphrase)],
] as const) {
  test(`${name} makes the signatures that signify makes`, async () => {
    const signer = await openSigner(file(vector.sec), ask)
    const key = decodePublicKey(file(vector.pub))
    assert.deepEqual(signer.publicKey, key.publicKey)
    for (const [message, encoded] of vector.signatures) {
      assert.deepEqual(signMessage(signer, utf8(message), 'test'), file(encoded))
      verifyMessage(key, decodeSignature(file(encoded)), utf8(message))
      refused(() => verifyMessage(key, decodeSignature(file(encoded)), utf8(`${message} `)), 'bad-signature')
    }
  })
}

test('the fields of the encrypted vector', () => {
  const { rounds, salt, checksum, keynum } = decodeSecretKey(file(sealed.sec))
  assert.equal(rounds, 42)
  assert.equal(Buffer.from(salt).toString('hex'), '40ee36b806f77750cade40be477d2257')
  assert.equal(Buffer.from(checksum).toString('hex'), 'a54cae5f22955f9c')
  assert.equal(Buffer.from(keynum).toString('hex'), 'c9691d45f420bcd3')
})

test('a signature of another key is told from a bad one', () => {
  const key = decodePublicKey(file(sealed.pub))
  refused(() => verifyMessage(key, decodeSignature(file(plain.signatures[1][1])), utf8('message\n')), 'wrong-key')
})

test('every bit of a signature counts', () => {
  const key = decodePublicKey(file(plain.pub))
  const [message, encoded] = plain.signatures[0]
  const blob = fromBase64(encoded) as Uint8Array
  for (let bit = 0; bit < blob.length * 8; bit++) {
    const flipped = blob.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.throws(
      () => verifyMessage(key, decodeSignature(file(base64(flipped))), utf8(message)),
      (error) => isBinderyError(error),
      `bit ${bit}`,
    )
  }
})

test('a wrong passphrase, an empty one, a damaged key, too many rounds', async () => {
  await assert.rejects(
    openSigner(file(sealed.sec), () => Promise.resolve('Bindery-test')),
    (error) => isBinderyError(error, 'bad-passphrase'),
  )
  await assert.rejects(
    openSigner(file(sealed.sec), () => Promise.resolve('')),
    (error) => isBinderyError(error, 'bad-passphrase'),
  )
  const key = decodeSecretKey(file(plain.sec))
  const damaged = { ...key, sealed: key.sealed.map((byte, i) => (i === 5 ? byte ^ 1 : byte)) }
  await assert.rejects(openSigner(encodeSecretKey(damaged), noPassphrase), (error) => isBinderyError(error, 'bad-format'))
  await assert.rejects(openSigner(encodeSecretKey({ ...key, rounds: 0xffffffff }), noPassphrase), (error) =>
    isBinderyError(error, 'over-limit'),
  )
})

test('halves that do not belong together do not sign', async () => {
  const key = decodeSecretKey(file(plain.sec))
  const { createHash } = await import('node:crypto')
  const foreign = key.sealed.map((byte, i) => (i === 40 ? byte ^ 1 : byte))
  const checksum = new Uint8Array(createHash('sha512').update(foreign).digest().subarray(0, 8))
  await assert.rejects(openSigner(encodeSecretKey({ ...key, sealed: foreign, checksum }), noPassphrase), (error) =>
    isBinderyError(error, 'bad-format'),
  )
})

/** The same bytes every time. */
function counting(): Random {
  let next = 0
  return { bytes: (count) => Uint8Array.from({ length: count }, () => next++) }
}

test('the same chance gives the same keys, open or sealed', async () => {
  const open = await generateKey(counting(), { comment: 'nightly' })
  const again = await generateKey(counting(), { comment: 'nightly' })
  const closed = await generateKey(counting(), { comment: 'nightly', passphrase: 'pässword' })
  assert.deepEqual(open, again)
  assert.deepEqual(open.publicKeyFile, closed.publicKeyFile)
  assert.match(Buffer.from(open.secretKeyFile).toString(), /^untrusted comment: nightly secret key\n/)
  const signers = [
    await openSigner(open.secretKeyFile, noPassphrase),
    await openSigner(closed.secretKeyFile, () => Promise.resolve('pässword')),
  ]
  const message = utf8('x')
  const [first, second] = signers.map((signer) => signatureBy(signer, message, ''))
  assert.deepEqual(first, second)
  verifyMessage(decodePublicKey(open.publicKeyFile), first as NonNullable<typeof first>, message)
})

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const comment = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 10),
    { maxLength: 60 },
  )
  .map((codes) => String.fromCharCode(...codes))

test('what is encoded is decoded again', () => {
  fc.assert(
    fc.property(
      comment,
      bytes(8),
      bytes(32),
      bytes(64),
      bytes(16),
      fc.nat(0xffffffff),
      fc.uint8Array(),
      (text, keynum, key, long, salt, rounds, message) => {
        const publicKey = { comment: text, keynum, publicKey: key }
        const secret = { comment: text, rounds, salt, checksum: keynum, keynum, sealed: long }
        const signature = { comment: text, keynum, signature: long }
        assert.deepEqual(decodePublicKey(encodePublicKey(publicKey)), publicKey)
        assert.deepEqual(decodeSecretKey(encodeSecretKey(secret)), secret)
        assert.deepEqual(decodeSignature(encodeSignature(signature)), signature)
        assert.deepEqual(decodeSignedMessage(encodeSignedMessage({ signature, message })), { signature, message })
      },
    ),
  )
})

test('whatever is decoded is what would be encoded, and nothing else passes', () => {
  const seeds = [file(plain.pub), file(plain.sec), file(plain.signatures[0][1])]
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
    .map(([seed, edits]) => {
      const copy = seed.slice()
      for (const [at, byte] of edits) copy[at % copy.length] = byte
      return copy
    })
  const pairs = [
    [decodePublicKey, encodePublicKey],
    [decodeSecretKey, encodeSecretKey],
    [decodeSignature, encodeSignature],
  ] as const
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (input) => {
      for (const [decode, encode] of pairs) {
        try {
          assert.deepEqual((encode as (value: unknown) => Uint8Array)(decode(input)), input)
        } catch (error) {
          assert.ok(isBinderyError(error), String(error))
        }
      }
    }),
  )
})

test('malformed files', () => {
  for (const [text, code] of [
    ['', 'bad-format'],
    ['untrusted comment: x', 'bad-format'],
    ['untrusted comment: x\n', 'bad-format'],
    [`untrusted comment: x\n${plain.pub}`, 'bad-format'],
    [`Untrusted comment: x\n${plain.pub}\n`, 'bad-format'],
    [`untrusted comment: x\r\n${plain.pub}\r\n`, 'bad-format'],
    [`untrusted comment: x\n${plain.pub}\nmore`, 'bad-format'],
    [`untrusted comment: x\n ${plain.pub}\n`, 'bad-format'],
    [`untrusted comment: x\n${plain.pub.slice(4)}\n`, 'bad-format'],
    [`untrusted comment: x\n${plain.sec}\n`, 'bad-format'],
    [`untrusted comment: ${'x'.repeat(1006)}\n${plain.pub}\n`, 'bad-format'],
    [`untrusted comment: x\nRXTA${plain.pub.slice(4)}\n`, 'not-supported'],
  ] as const) {
    refused(() => decodePublicKey(utf8(text)), code)
  }
  decodePublicKey(utf8(`untrusted comment: ${'x'.repeat(1005)}\n${plain.pub}\n`))
  // The last char holds two bits that mean nothing: only zeros may stand there.
  refused(() => decodeSignature(file(plain.signatures[0][1].replace('wI=', 'wJ='))), 'bad-format')
  refused(() => decodeSecretKey(file(plain.sec.replace('RWRCSw', 'RWRCTA'))), 'not-supported')
  refused(() => encodePublicKey({ comment: 'two\nlines', keynum: new Uint8Array(8), publicKey: new Uint8Array(32) }), 'bad-format')
  refused(() => encodePublicKey({ comment: 'x'.repeat(1006), keynum: new Uint8Array(8), publicKey: new Uint8Array(32) }), 'over-limit')
})

test('lists of checksums in hex and base64', () => {
  const digest = Uint8Array.from({ length: 32 }, (_, i) => i * 8)
  const hexed = Buffer.from(digest).toString('hex')
  const list = [{ file: 'a b) = (c', algorithm: 'SHA256', digest } as const]
  assert.deepEqual(decodeChecksumList(utf8(`SHA256 (a b) = (c) = ${hexed}\n`)), list)
  assert.deepEqual(decodeChecksumList(utf8(`SHA256 (a b) = (c) = ${base64(digest)}\n`)), list)
  assert.deepEqual(decodeChecksumList(encodeChecksumList(list)), list)
  for (const text of [
    '',
    '\n',
    `SHA256 (x) = ${hexed}`,
    `SHA1 (x) = ${hexed}\n`,
    `SHA512 (x) = ${hexed}\n`,
    `SHA256 () = ${hexed}\n`,
    `SHA256 (x) = ${hexed.slice(2)}\n`,
    `${hexed}  x\n`,
  ]) {
    refused(() => decodeChecksumList(utf8(text)), 'bad-format')
  }
  refused(() => encodeChecksumList([{ file: 'a\nb', algorithm: 'SHA256', digest }]), 'bad-format')
})
