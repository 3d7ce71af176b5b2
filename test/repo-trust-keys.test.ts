import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { ed25519PrivateKey, publicKeyOfSeed, signEd25519, verifyEd25519, verifyEd25519Aside } from '../src/engine/repo/ed25519.ts'
import { openPublicKey } from '../src/engine/repo/signature-schemes.ts'
import { isSatisfied, isUnsigned, signersOf, verifySignatures } from '../src/engine/repo/verify-signatures.ts'
import { decodeMetadata, encodeSigned, tufKeyId } from '../src/format/tuf.ts'
import { canonical } from '../src/format/tuf.ts'
import { clientOf, signBy, simulate } from './helpers/tuf-simulator.ts'
import { ed25519Signer, signerKinds, signerOf } from './helpers/tuf-signers.ts'
import type { KeyObject } from 'node:crypto'
import type { ErrorCode } from '../src/base/error.ts'
import type { Signed, TopRole } from '../src/format/tuf.ts'
import type { TestSigner } from './helpers/tuf-signers.ts'

async function refused(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(work, (error) => isBinderyError(error, code))
}

const keys = Array.from({ length: 10 }, (_, i) => ed25519Signer(100 + i))

function pick(numbers: readonly number[]): readonly TestSigner[] {
  return numbers.map((number) => keys[number] as TestSigner)
}

/** Versions of the root: whose keys it lists, how many must sign, who does. The last one is taken or refused. */
type Version = readonly [listed: readonly number[], threshold: number, signing: readonly number[]]

const chains: readonly { readonly name: string; readonly versions: readonly Version[]; readonly taken: boolean }[] = [
  {
    name: 'a key is replaced',
    versions: [
      [[1], 1, [1]],
      [[2], 1, [2, 1]],
      [[2], 1, [2]],
    ],
    taken: true,
  },
  {
    name: 'signatures of others do no harm',
    versions: [
      [[1], 1, [3, 1, 4]],
      [[2], 1, [3, 2, 1, 4]],
    ],
    taken: true,
  },
  {
    name: 'any three of five',
    versions: [
      [[0, 1, 2, 3, 4], 3, [0, 2, 4]],
      [[0, 1, 2, 3, 4], 3, [0, 4, 1]],
    ],
    taken: true,
  },
  {
    name: 'all of five are replaced at once',
    versions: [
      [[0, 1, 2, 3, 4], 3, [0, 2, 4]],
      [[5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]],
    ],
    taken: true,
  },
  {
    name: 'the threshold is raised',
    versions: [
      [[1, 2, 3], 1, [1]],
      [[1, 2, 3], 2, [1, 2]],
    ],
    taken: true,
  },
  {
    name: 'the threshold is lowered',
    versions: [
      [[1, 2, 3], 2, [1, 2]],
      [[1, 2, 3], 1, [1, 2]],
      [[1, 2, 3], 1, [1]],
    ],
    taken: true,
  },
  {
    name: 'the old key has not signed',
    versions: [
      [[1], 1, [1]],
      [[2], 1, [2, 3, 4]],
    ],
    taken: false,
  },
  {
    name: 'the new key has not signed',
    versions: [
      [[1], 1, [1]],
      [[2], 1, [1, 3, 4]],
    ],
    taken: false,
  },
  {
    name: 'too few of the new keys',
    versions: [
      [[0, 1, 2, 3, 4], 3, [0, 2, 4]],
      [[0, 1, 3, 4, 5], 3, [0, 2, 4]],
    ],
    taken: false,
  },
  {
    name: 'too few of the old keys',
    versions: [
      [[0, 1, 2, 3, 4], 3, [0, 2, 4]],
      [[0, 1, 3, 4, 5], 3, [0, 4, 5]],
    ],
    taken: false,
  },
  {
    name: 'the raised threshold is not met',
    versions: [
      [[1, 2, 3], 1, [1]],
      [[1, 2, 3], 2, [2]],
    ],
    taken: false,
  },
  {
    name: 'the lowered threshold is met, the old one is not',
    versions: [
      [[1, 2, 3], 2, [1, 2]],
      [[1, 2, 3], 1, [1]],
    ],
    taken: false,
  },
]

for (const { name, versions, taken } of chains) {
  test(`root chain: ${name}: ${taken ? 'taken' : 'refused'}`, async () => {
    const sim = simulate()
    sim.publishAs('root', 0)
    for (const [listed, threshold, signing] of versions) {
      sim.edit('root', ({ keys: known, roles }) => ({
        keys: new Map([...known, ...pick(listed).map(({ keyId, key }) => [keyId, key] as const)]),
        roles: { ...roles, root: { keyIds: pick(listed).map(({ keyId }) => keyId), threshold } },
      }))
      sim.signers.set('root', pick(signing))
      sim.publish('root')
    }
    const client = clientOf(sim)
    if (taken) await client.refresh()
    // None of the keys that must have signed it has, or some have and not enough.
    else
      await assert.rejects(client.refresh(), (error) => isBinderyError(error, 'bad-signature') || isBinderyError(error, 'under-threshold'))
    assert.ok(client.trusted().includes(`root ${taken ? versions.length : versions.length - 1}`))
  })
}

for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
  test(`${role}: its keys are replaced, its threshold must be met`, async () => {
    for (const [listed, threshold, signing, taken] of [
      [[2], 1, [2], true],
      [[1], 1, [3, 1, 4], true],
      [[2], 1, [1, 3, 4], false],
      [[0, 1, 3, 4, 5], 3, [0, 2, 4], false],
      [[0, 1, 3, 4, 5], 3, [0, 4], false],
      [[0, 1, 2, 3, 4], 3, [2, 3, 4], true],
      [[1, 2], 3, [1, 2], false],
    ] as const) {
      const sim = simulate()
      const client = clientOf(sim)
      await client.refresh()
      sim.setKeys(role, pick(listed), threshold)
      sim.signers.set(role, pick(signing))
      sim.publish('targets', 'snapshot', 'timestamp')
      if (taken) await client.refresh()
      else await refused(client.refresh(), signing.some((key) => listed.includes(key as never)) ? 'under-threshold' : 'bad-signature')
      assert.equal(client.trusted().includes(`${role} 2`), taken)
    }
  })
}

for (const kind of signerKinds) {
  test(`${kind} signatures count, and forged ones do not`, async () => {
    const sim = simulate()
    const [signer, other] = [signerOf(kind), kind === 'ed25519' ? ed25519Signer(251) : signerOf(kind)]
    sim.setKeys('timestamp', [signer])
    sim.publish('timestamp')
    const client = clientOf(sim)
    await client.refresh()
    for (const forge of [() => other.sign, () => () => '', () => () => 'zz', () => () => '00'.repeat(64), () => () => '00'.repeat(256)]) {
      sim.signers.set('timestamp', [{ ...signer, sign: forge() }])
      sim.publish('timestamp')
      await refused(client.refresh(), 'bad-signature')
    }
  })
}

test('an RSA key under 2048 bits, a scheme that does not fit the key do not count', async () => {
  const small = signerOf('rsassa-pss-sha256', 1024)
  const rsa = signerOf('rsassa-pss-sha256')
  const mislabelled = relabel(rsa, 'ecdsa', 'ecdsa-sha2-nistp256')
  for (const signer of [
    small,
    mislabelled,
    relabel(rsa, 'rsa', 'rsa-md5'),
    relabel(rsa, 'rsa', 'constructor'),
    relabel(ed25519Signer(3), 'rsa', 'ed25519'),
  ]) {
    const sim = simulate()
    sim.setKeys('timestamp', [signer])
    sim.publish('timestamp')
    await refused(clientOf(sim).refresh(), 'bad-signature')
  }
})

test('a key is opened where it is one of its scheme, and of a size that is neither weak nor costly', () => {
  const isOpened = (keytype: string, scheme: string, publicKey: string): boolean =>
    openPublicKey({ keytype, scheme, publicKey, json: {} }) !== undefined
  const rsa = (bits: number): string => {
    const modulus = Buffer.alloc(Math.ceil(bits / 8), 0xff)
    modulus[0] = 0xff >> (modulus.length * 8 - bits)
    const key = createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }, format: 'jwk' })
    return key.export({ type: 'spki', format: 'pem' }).toString()
  }
  const pem = ({ publicKey }: { readonly publicKey: KeyObject }): string => publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const curve = (namedCurve: string): string => pem(generateKeyPairSync('ec', { namedCurve }))
  const ed25519 = pem(generateKeyPairSync('ed25519'))
  const p256 = curve('prime256v1')
  for (const scheme of ['rsassa-pss-sha256', 'rsa-pkcs1v15-sha256']) {
    assert.deepEqual(
      [2047, 2048, 16_384, 16_385].map((bits) => isOpened('rsa', scheme, rsa(bits))),
      [false, true, true, false],
    )
    for (const other of [p256, ed25519, 'no PEM']) assert.equal(isOpened('rsa', scheme, other), false)
  }
  const scheme = 'ecdsa-sha2-nistp256'
  for (const keytype of ['ecdsa', 'ecdsa-sha2-nistp256', 'rsa']) assert.equal(isOpened(keytype, scheme, p256), keytype !== 'rsa')
  for (const other of [curve('secp384r1'), rsa(2048), ed25519, 'no PEM']) assert.equal(isOpened('ecdsa', scheme, other), false)
  for (const [hex, good] of [
    ['0f'.repeat(32), true],
    ['0f'.repeat(31), false],
    ['0f'.repeat(33), false],
    ['x', false],
  ] as const)
    assert.equal(isOpened('ed25519', 'ed25519', hex), good)
})

test('a signature that cannot be one does not count', () => {
  for (const kind of signerKinds) assert.equal(openPublicKey(signerOf(kind).key)?.verify(utf8('x'), utf8('no signature')), false)
})

test('an ed25519 signature is verified at once and on a thread alike', async () => {
  const seed = new Uint8Array(32).fill(7)
  const [key, message] = [publicKeyOfSeed(seed), utf8('message')]
  const signature = signEd25519(ed25519PrivateKey(seed), message)
  for (const [said, good] of [
    ['message', true],
    ['massage', false],
  ] as const) {
    assert.equal(verifyEd25519(key, utf8(said), signature), good)
    assert.equal(await verifyEd25519Aside(key, utf8(said), signature), good)
  }
})

function relabel(signer: TestSigner, keytype: string, scheme: string): TestSigner {
  const key = { ...signer.key, keytype, scheme, json: { keytype, scheme, keyval: { public: signer.key.publicKey } } }
  return { ...signer, key, keyId: tufKeyId(key) }
}

test('a bad signature beside enough good ones does no harm', async () => {
  const sim = simulate()
  const [good, bad] = pick([1, 2]) as [TestSigner, TestSigner]
  sim.setKeys('timestamp', [good, bad])
  sim.signers.set('timestamp', [{ ...bad, sign: () => 'not hex' }, good])
  sim.publish('timestamp')
  await clientOf(sim).refresh()
})

test('one key under two ids counts once', async () => {
  const sim = simulate()
  const signer = keys[0] as TestSigner
  const alias = { ...signer, keyId: 'an-alias' }
  sim.setKeys('snapshot', [signer, alias], 2)
  sim.publish('snapshot', 'timestamp')
  await refused(clientOf(sim).refresh(), 'under-threshold')
})

test('who has signed is told by the key, not by its id, and without strangers', () => {
  const { root } = simulate().roles
  const [one, two, stranger] = pick([0, 1, 2]) as [TestSigner, TestSigner, TestSigner]
  const alias = { ...one, keyId: 'an-alias' }
  const known = [one, two, alias]
  const role = { keyIds: known.map(({ keyId }) => keyId), threshold: 2 }
  const authority = { role, keys: new Map(known.map(({ keyId, key }) => [keyId, key])), of: 'a test' }
  const signed = (...signers: readonly TestSigner[]): Signed => decodeMetadata(signBy(root, signers))
  const both = signed(one, alias, stranger)
  assert.equal(signersOf(both, authority).length, 1)
  assert.equal(isSatisfied(both, authority), false)
  const enough = signed(one, alias, two)
  assert.ok(signersOf(enough, authority).includes(two.keyId))
  assert.equal(signersOf(enough, authority).length, 2)
  assert.equal(isSatisfied(enough, authority), true)
  assert.equal(isSatisfied(signed(...pick([0, 1, 2])), authority), true)
  for (const file of [both, signed(stranger)]) assert.throws(() => verifySignatures(file, authority, 'a.json', '5.3.4'), isUnsigned)
  assert.equal(isUnsigned(new BinderyError('expired', 'x')), false)
})

test('two signatures of one key id are refused, also where one would do', async () => {
  const sim = simulate()
  const [signer] = sim.signers.get('snapshot') as [TestSigner]
  const sig = { keyId: signer.keyId, sig: signer.sign(canonical(sim.roles.snapshot)) }
  sim.files.set('1.snapshot.json', encodeSigned(sim.roles.snapshot, [sig, sig]))
  await refused(clientOf(sim).refresh(), 'bad-format')
})

test('a role that lists a key id twice is refused', async () => {
  const sim = simulate()
  const { keyId } = keys[0] as TestSigner
  sim.edit('root', ({ roles }) => ({ roles: { ...roles, snapshot: { keyIds: [keyId, keyId], threshold: 2 } } }))
  sim.publish('root')
  await refused(clientOf(sim).refresh(), 'bad-format')
})

test('a key that the role names and the root does not hold does not count', async () => {
  const sim = simulate()
  const signer = keys[0] as TestSigner
  sim.edit('root', ({ roles }) => ({ roles: { ...roles, timestamp: { keyIds: [signer.keyId], threshold: 1 } } }))
  sim.publish('root')
  sim.signers.set('timestamp', [signer])
  sim.publish('timestamp')
  await refused(clientOf(sim).refresh(), 'bad-signature')
})

test('one role cannot speak for another with a key that both have', async () => {
  const sim = simulate()
  const signer = keys[0] as TestSigner
  for (const role of ['timestamp', 'snapshot'] as readonly TopRole[]) sim.setKeys(role, [signer])
  sim.edit('snapshot', () => ({ meta: new Map([['snapshot', { version: 1 }]]) }))
  sim.publish('snapshot')
  sim.files.set('timestamp.json', sim.files.get('2.snapshot.json') as Uint8Array)
  await refused(clientOf(sim).refresh(), 'bad-format')
})

test('unknown members are signed like all others, and a changed one is noticed', async () => {
  const sim = simulate()
  sim.edit('timestamp', () => ({ extra: { note: { deep: [1, null, 'ü'] } } }))
  sim.publish('timestamp')
  await clientOf(sim).refresh()
  const text = Buffer.from(sim.files.get('timestamp.json') as Uint8Array).toString()
  sim.files.set('timestamp.json', utf8(text.replace('"deep":[1', '"deep":[2')))
  await refused(clientOf(sim).refresh(), 'bad-signature')
  sim.files.set('timestamp.json', utf8(text.replace('"deep":[1', '"deep":[1.0')))
  await refused(clientOf(sim).refresh(), 'bad-format')
  sim.files.set('timestamp.json', utf8(text.replace('"signed":{', '"signed":{"version":9,')))
  await refused(clientOf(sim).refresh(), 'bad-format')
})
