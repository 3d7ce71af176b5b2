import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { install } from '../../src/command/install.ts'
import { farthestVersion } from '../../src/engine/repo/update-roles.ts'
import { memoryHttp } from '../../src/host/memory-http.ts'
import { base, openAttacked } from '../helpers/attacked-client.ts'
import type { ErrorCode } from '../../src/base/error.ts'
import type { HttpClient, HttpResponse } from '../../src/port/http.ts'
import type { Attacked, Machine, Pages } from '../helpers/attacked-client.ts'

/**
 * The attacks that TUF (specification 1.0.34, section 1.5.2) and Uptane (2.1.0, section 3) list, each done to `bindery install` by whoever owns
 * its mirror, and some of the keys where that is said. Each has a code of its own (doc/attacks.md).
 */

type Attack = {
  readonly name: string
  readonly code: ErrorCode
  /** What the client finds at the address of its repository. */
  readonly http: (attacked: Attacked, time: { passed: number }) => Promise<HttpClient>
  /** Milliseconds that go by before. */
  readonly later?: number
  /** What the machine installs first. */
  readonly first?: (pages: Attacked['pages']) => Pages
}

const day = 86_400_000
const timestampUrl = `${base}metadata/timestamp.json`

const attacks: readonly Attack[] = [
  {
    name: 'arbitrary installation: a repository signed by a stranger',
    code: 'bad-signature',
    http: async ({ pages, timestamp }) => changed(pages.last, { [timestampUrl]: await timestamp({ version: 90 }, ['channels']) }),
  },
  {
    name: 'endless data: a blob that does not end',
    code: 'over-limit',
    http: async ({ pages }) => endlessAt(pages.last, /\.tar\.zst$|\.delta$|\.mtree/),
  },
  {
    name: 'endless data: metadata that does not end',
    code: 'over-limit',
    http: async ({ pages }) => endlessAt(pages.last, /timestamp\.json$/),
  },
  {
    name: "extraneous dependencies: a thief of a channel's key makes it need another one",
    code: 'unmet-need',
    http: async ({ pages }) => memoryHttp(new Map(pages.needy)),
    first: ({ heard }) => heard,
  },
  {
    name: 'fast-forward: a thief of both keys of the timestamp signs the highest version there is',
    code: 'fast-forward',
    http: async ({ pages, timestamp }) =>
      changed(pages.last, { [timestampUrl]: await timestamp({ version: Number.MAX_SAFE_INTEGER }, ['timestamp', 'snapshot']) }),
  },
  {
    name: 'fast-forward: a thief of the online keys signs the highest version there is of a channel',
    code: 'fast-forward',
    http: async ({ pages, timestamp, snapshot }) => {
      const file = await snapshot({ version: 90, meta: new Map([['targets', { version: farthestVersion + 1 }]]) })
      const stamp = await timestamp({ version: 90, snapshot: { version: 90 } }, ['timestamp', 'snapshot'])
      return changed(pages.last, { [timestampUrl]: stamp, [`${base}metadata/90.snapshot.json`]: file })
    },
  },
  {
    name: 'freeze: the same repository for ever',
    code: 'expired',
    http: async ({ pages }) => memoryHttp(new Map(pages.heard)),
    later: 40 * day,
  },
  {
    name: 'rollback: the repository as it was before',
    code: 'downgrade',
    http: async ({ pages }) => memoryHttp(new Map(pages.first)),
  },
  {
    name: 'mix-and-match: the snapshot of an earlier state beside the newest timestamp',
    code: 'mix-and-match',
    http: async ({ pages }) => {
      const snapshots = [pages.heard, pages.last].map((state) =>
        [...state.keys()]
          .filter((url) => /\d\.snapshot\.json$/.test(url))
          .sort(byVersion)
          .at(-1),
      )
      const [old, newest] = snapshots as [string, string]
      return changed(pages.last, { [newest]: pages.last.get(old)?.bytes })
    },
  },
  {
    name: 'wrong software: signed files of the repository under the names of others',
    code: 'bad-digest',
    http: async ({ pages }) => {
      const blobs = [...pages.last.keys()].filter((url) => url.includes('/blobs/'))
      const other = pages.last.get(blobs.find((url) => url.endsWith('base-1-20260101-amd64.tar.zst')) ?? '')?.bytes ?? new Uint8Array(0)
      // Of the right length, so that nothing but the content tells.
      const swapped = blobs.map((url) => [url, repeated(other, pages.last.get(url)?.bytes?.length ?? 0)] as const)
      return changed(pages.last, Object.fromEntries(swapped))
    },
  },
  {
    name: 'key compromise below the threshold: a thief of one key of two signs a timestamp',
    code: 'under-threshold',
    http: async ({ pages, timestamp }) => changed(pages.last, { [timestampUrl]: await timestamp({ version: 90 }, ['timestamp']) }),
  },
  {
    name: 'slow retrieval: a byte a second',
    code: 'too-slow',
    http: async ({ pages }, time) => slow(memoryHttp(new Map(pages.last)), time),
  },
  {
    name: 'partial bundle: of two channels that need each other, the files of one',
    code: 'incomplete',
    http: async ({ pages }) =>
      memoryHttp(new Map([...pages.last].filter(([url]) => !/\/blobs\/.*comp-4/.test(url) || url.endsWith('.update')))),
  },
]

let attacked: Attacked
before(async () => void (attacked = await openAttacked()))
after(() => attacked.end())

for (const { name, code, http, later = 0, first } of attacks) {
  test(name, async () => {
    const machine = await attacked.machine()
    if (first !== undefined) assert.equal((await machine.run(install, memoryHttp(new Map(first(attacked.pages))))).status, 0)
    const [tree, trusted] = [machine.tree(), machine.trusted()]
    const time = { passed: later }
    const clock = (): number => machine.now() + time.passed
    const seen = await machine.run(install, await http(attacked, time), clock)
    assert.equal(seen.code, code, seen.error?.message ?? seen.stderr.join('\n'))
    assert.equal(machine.tree(), tree)
    await works(machine, trusted, code)
  })
}

/** Metadata that passed may have been kept, and nothing else; and the client goes on with an honest repository. */
async function works(machine: Machine, before: string, code: ErrorCode): Promise<void> {
  const isOfFiles = ['over-limit', 'unmet-need', 'bad-digest', 'too-slow', 'incomplete'].includes(code)
  if (!isOfFiles) assert.equal(machine.trusted(), before)
  const { status, error } = await machine.run(install, memoryHttp(new Map(attacked.pages.last)))
  assert.equal(status, 0, error?.message)
  for (const product of ['base', 'comp']) assert.equal(machine.version(product), attacked.last)
}

test('each attack has a code of its own, and none of TUF and Uptane is missing', () => {
  const names = new Map(attacks.map(({ name, code }) => [name.replace(/:.*/, ''), code]))
  assert.equal(new Set(names.values()).size, names.size)
  assert.equal(names.size, 11)
})

const byVersion = (a: string, b: string): number => versionOf(a) - versionOf(b)
const versionOf = (url: string): number => Number(/(\d+)\.snapshot\.json$/.exec(url)?.[1])

function repeated(bytes: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => bytes[i % bytes.length] as number)
}

function changed(pages: Pages, change: Readonly<Record<string, Uint8Array | undefined>>): HttpClient {
  const others = Object.entries(change).map(([url, bytes]) => [url, bytes === undefined ? { status: 404 } : { bytes }] as const)
  return memoryHttp(new Map([...pages, ...others]))
}

/** No length is said, and bytes come for as long as somebody reads. */
function endlessAt(pages: Pages, pattern: RegExp): HttpClient {
  const honest = memoryHttp(new Map(pages))
  const endless = async function* (): HttpResponse['body'] {
    yield new Uint8Array([0x7b])
    for (;;) yield new Uint8Array(16 << 10)
  }
  return { get: async (request) => (pattern.test(request.url) ? { status: 200, headers: {}, body: endless() } : await honest.get(request)) }
}

function slow(honest: HttpClient, time: { passed: number }): HttpClient {
  const drops = async function* (body: HttpResponse['body']): HttpResponse['body'] {
    for await (const bytes of body)
      for (const byte of bytes) {
        time.passed += 1000
        yield Uint8Array.of(byte)
      }
  }
  return {
    get: async (request) => {
      const answer = await honest.get(request)
      return { ...answer, body: drops(answer.body) }
    },
  }
}
