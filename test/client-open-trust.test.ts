import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError, exitStatusOf } from '../src/base/error.ts'
import { openTrust } from '../src/engine/client/fetch/open-trust.ts'
import { passingTrustStore } from '../src/engine/client/fetch/trust-store.ts'
import { memoryHttp } from '../src/host/memory-http.ts'
import { testSession } from './helpers/client.ts'
import { refused } from './helpers/refused.ts'
import { openWorkshop } from './helpers/repository.ts'
import type { ErrorCode, ErrorFacts } from '../src/base/error.ts'
import type { TrustInput } from '../src/engine/client/fetch/open-trust.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Trust } from '../src/engine/repo/trust-types.ts'
import type { TestSession } from './helpers/client.ts'

/** Which mirror's metadata is taken, what is kept of the others', and how their failures are told. */

const root = (await (await openWorkshop()).store.get('metadata/1.root.json')) as Uint8Array
const [a, b, c] = ['http://a.test/', 'http://b.test/', 'http://c.test/']
const channel = { product: 'base', arch: 'amd64' }

/** What a mirror brings: an error, or trust with these roles (`!` for those that it lists and does not have). */
type Brought = Error | readonly string[]
/** By `URL` or, where metadata may be stale, by `URL grace`. */
type Mirrors = Readonly<Record<string, Brought>>

const failing = (code: ErrorCode, facts: ErrorFacts = {}): BinderyError => new BinderyError(code, `says ${code}`, facts)

type World = {
  readonly session: TestSession
  readonly asked: string[]
  readonly loaded: string[]
  readonly kept: ReadonlyMap<string, Uint8Array | undefined>
  /** The address whose metadata is taken. */
  open(change?: Partial<TrustInput>): Promise<string | undefined>
}

async function world(mirrors: Mirrors, change: Partial<Session> = {}): Promise<World> {
  const [asked, loaded, taken]: [string[], string[], Map<Trust, string>] = [[], [], new Map()]
  const http = memoryHttp()
  const refresh: Session['refresh'] = async ({ store, source, grace }) => {
    await source.fetch('timestamp.json', 1000)
    const url = http.requests.at(-1)?.url.replace('metadata/timestamp.json', '') as string
    asked.push([url, ...(grace === 0 ? [] : [grace])].join(' '))
    await store.save('timestamp.json', utf8(url))
    const brought = mirrors[asked.at(-1) as string] as Brought
    if (brought instanceof Error) throw brought
    const trust = {
      delegated: brought.map((role) => role.replace('!', '')),
      targetsOf: async (role: string) => {
        loaded.push(role)
        if (brought.includes(`${role}!`)) throw failing('not-found', { subject: `${role}.json` })
      },
    } as unknown as Trust
    taken.set(trust, url)
    return trust
  }
  const session = await testSession({ http, refresh, ...change })
  const store = passingTrustStore({ load: async (name) => (name === 'root.json' ? root : undefined) })
  const input = { store, repository: 'r', urls: [a, b, c], channels: [channel] }
  return { session, asked, loaded, kept: store.changed, open: async (more) => taken.get(await openTrust(session, { ...input, ...more })) }
}

const good = ['base-amd64', 'ports-amd64']

test('the first mirror that has all of it is taken, and no other one asked', async () => {
  const { open, asked, loaded, kept, session } = await world({ [a]: good })
  assert.equal(await open(), a)
  assert.deepEqual([asked, loaded], [[a], ['base-amd64']])
  assert.deepEqual([...kept], [['timestamp.json', utf8(a)]])
  assert.deepEqual([session.said, session.explained], [[], []])
})

test('of all channels that are asked for, the roles are loaded', async () => {
  const { open, loaded } = await world({ [a]: good })
  await open({ channels: [channel, { product: 'ports', arch: 'amd64' }] })
  assert.deepEqual(loaded, good)
  assert.equal(await open({ channels: [] }), a)
  assert.deepEqual(loaded, good)
})

const ofMirrors: readonly ErrorCode[] = [
  'network',
  'too-slow',
  'not-found',
  'incomplete',
  'bad-format',
  'bad-signature',
  'under-threshold',
  'expired',
  'downgrade',
  'fast-forward',
  'mix-and-match',
  'over-limit',
  'not-supported',
]

test('what another mirror may not have is passed over, told, and nothing of it kept; all else ends the run', async () => {
  const passed: string[] = []
  for (const code of Object.keys(exitStatusOf) as ErrorCode[]) {
    const { open, asked, kept, session } = await world({ [a]: failing(code, { subject: 'timestamp.json' }), [b]: good })
    if (!ofMirrors.includes(code)) {
      assert.deepEqual(await refused(open()), [code, 'timestamp.json'])
      assert.deepEqual(asked, [a])
      continue
    }
    passed.push(code)
    assert.equal(await open(), b)
    assert.deepEqual([...kept], [['timestamp.json', utf8(b)]])
    assert.deepEqual([...session.said, ...session.explained], [`${a}: timestamp.json: says ${code}; going on with ${b}`])
    assert.deepEqual(session.mirrors.of([a, b]), [b, a], 'it is asked last from then on')
  }
  assert.deepEqual(new Set(passed), new Set(ofMirrors))
  const bug = new Error('a bug')
  await assert.rejects((await world({ [a]: bug, [b]: good })).open(), bug)
})

test('a mirror that lists the channel’s role and does not have it counts as bad', async () => {
  const { open, kept } = await world({ [a]: ['base-amd64!'], [b]: good })
  assert.equal(await open(), b)
  assert.deepEqual([...kept], [['timestamp.json', utf8(b)]])
})

for (const [name, subject, told] of [
  ['a file is told with its mirror', 'timestamp.json', `${a}: timestamp.json`],
  ['nothing more is told as the mirror’s', undefined, a],
  ['a whole address is told alone', 'https://elsewhere.test/metadata/root.json', 'https://elsewhere.test/metadata/root.json'],
  ['a name with an address in it is none', 'x https://elsewhere.test/', `${a}: x https://elsewhere.test/`],
  ['nor is one that begins otherwise', '1://elsewhere', `${a}: 1://elsewhere`],
  ['nor one without its slashes', 'role:x', `${a}: role:x`],
  ['nor one without its name', '://x', `${a}: ://x`],
] as const)
  test(`the failure of a mirror: ${name}`, async () => {
    const cause = failing('network', { subject, hint: 'try later' })
    const { open } = await world({ [a]: cause })
    await assert.rejects(open({ urls: [a] }), (error: BinderyError) => {
      assert.deepEqual([error.code, error.message, error.subject, error.hint], ['network', 'says network', told, 'try later'])
      return true
    })
  })

test('why a mirror’s failure was one stays its cause', async () => {
  const [socket, network] = [new Error('ECONNRESET'), 'network'] as const
  const { open } = await world({ [a]: failing(network, { cause: socket }) })
  await assert.rejects(open({ urls: [a] }), (error: BinderyError) => (error.cause as Error).cause === socket)
})

test('where all fail, all were asked, and the last one is the error', async () => {
  const { open, asked, kept } = await world({ [a]: failing('network'), [b]: failing('too-slow'), [c]: failing('not-found') })
  assert.deepEqual(await refused(open({ grace: 1000 })), ['not-found', c])
  assert.deepEqual([asked, kept.size], [[a, b, c], 0])
})

test('without an address there is no way to the repository', async () => {
  assert.deepEqual(await refused((await world({})).open({ urls: [] })), ['no-way', 'r'])
})

const stale = { [a]: failing('expired'), [b]: failing('network'), [c]: failing('expired') }

test('what has expired is taken within its grace, of those alone that have it, once no mirror has anything fresh', async () => {
  const { open, asked } = await world({ ...stale, [`${a} 1000`]: failing('expired'), [`${c} 1000`]: good })
  assert.equal(await open({ grace: 1000 }), c)
  assert.deepEqual(asked, [a, b, c, `${a} 1000`, `${c} 1000`])
})

test('behind its grace, or without one, it is not', async () => {
  const { open, asked } = await world({ ...stale, [`${a} 1000`]: failing('expired'), [`${c} 1000`]: failing('expired') })
  assert.deepEqual(await refused(open({ grace: 1000 })), ['expired', c])
  assert.equal(asked.splice(0).length, 5)
  for (const none of [{}, { grace: 0 }]) assert.deepEqual(await refused(open(none)), ['expired', c])
  // Those that failed are asked last: all of them, so in their order.
  assert.deepEqual(asked, [a, b, c, a, b, c])
})

test('whoever stops asks for nothing more, and the reason comes out', async () => {
  const controller = new AbortController()
  const refresh = async (): Promise<Trust> => await Promise.reject(new Error('it was asked'))
  const { open } = await world({}, { signal: controller.signal, refresh })
  controller.abort(new Error('stopped by the person'))
  await assert.rejects(open(), /stopped by the person/)
})

test('a root of our own that is no root is no mirror’s fault, and how to mend it is said', async () => {
  const { open, asked } = await world({ [a]: good })
  const store = passingTrustStore({ load: async () => utf8('{}') })
  await assert.rejects(open({ store }), {
    code: 'bad-format',
    subject: 'var/db/bindery/trust/r/root.json',
    hint: 'the state is damaged: enroll the channel again with --force',
  })
  assert.deepEqual(asked, [])
})

const many = Array.from({ length: 8 }, (_, i) => `p${8 - i}-amd64`)

for (const [name, roles, hint] of [
  ['others, in their order', ['ports-amd64', 'errata', 'base-i386'], 'it has base/i386, ports/amd64'],
  ['none', [], 'it has none yet'],
  ['other roles alone', ['errata'], 'it has none yet'],
  ['as many as fit a line', many, `it has ${Array.from({ length: 8 }, (_, i) => `p${i + 1}/amd64`).join(', ')}`],
  ['more', [...many, 'q-amd64'], undefined],
] as const)
  test(`a channel that is not there is refused, with what is there: ${name}`, async () => {
    const { open, loaded, kept } = await world({ [a]: roles })
    await assert.rejects(open({ urls: [a] }), {
      code: 'not-found',
      message: 'is no channel of this repository',
      subject: `${a}: base/amd64`,
      hint,
    })
    assert.deepEqual([loaded, kept.size], [[], 0])
  })
