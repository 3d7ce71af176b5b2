import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyBytes, oneChunk } from '../src/base/bytes.ts'
import { isAbsent, refusedBy, request } from '../src/engine/client/fetch/request.ts'
import { throttle } from '../src/engine/client/fetch/throttle.ts'
import { defaultConfig } from '../src/format/conf.ts'
import type { Requester } from '../src/engine/client/fetch/request.ts'
import type { Throttle } from '../src/engine/client/fetch/throttle.ts'
import type { HttpRequest, HttpResponse } from '../src/port/http.ts'

/** How long an answer may take, told by a clock that only the test moves, and how fast a run may be. */

const url = 'http://updates.test/file'

/** Each chunk: after how many milliseconds it comes, and how many bytes it has. */
type Chunk = readonly [after: number, bytes: number]

type World = {
  readonly requester: Requester
  readonly requests: HttpRequest[]
  /** How often the body was left before its end. */
  left(): number
  pass(milliseconds: number): void
}

/** 1000 bytes a second at least, over windows of a second; a minute in all. */
const network = { ...defaultConfig.network, minimumRate: 1000, rateWindowMs: 1000, deadlineMs: 60_000 }

function world(chunks: readonly Chunk[], change: Partial<Requester> = {}): World {
  let [now, left] = [1_000_000, 0]
  const requests: HttpRequest[] = []
  const queue = [...chunks]
  const body: HttpResponse['body'] = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const chunk = queue.shift()
        if (chunk === undefined) return { done: true, value: undefined }
        now += chunk[0]
        return { done: false, value: new Uint8Array(chunk[1]) }
      },
      return: async () => {
        left++
        return { done: true, value: undefined }
      },
    }),
  }
  const get = async (asked: HttpRequest): Promise<HttpResponse> => {
    requests.push(asked)
    return { status: 200, headers: { etag: '"v1"' }, body }
  }
  const config = { ...defaultConfig, network }
  const signal = new AbortController().signal
  const requester = { http: { get }, clock: { now: () => now }, config, signal, throttle: async () => {}, ...change }
  return { requester, requests, left: () => left, pass: (milliseconds) => void (now += milliseconds) }
}

/** How many bytes come. */
async function fetched({ requester }: World, options: Parameters<typeof request>[2] = {}): Promise<number> {
  let bytes = 0
  for await (const chunk of (await request(requester, url, options)).body) bytes += chunk.length
  return bytes
}

test('the address is asked once, with the headers, the limits and the signal; the answer comes as it is', async () => {
  const { requester, requests } = world([[0, 3]])
  const { status, headers, body } = await request(requester, url, { headers: { range: 'bytes=5-' } })
  assert.deepEqual([status, headers], [200, { etag: '"v1"' }])
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  assert.deepEqual(chunks, [new Uint8Array(3)])
  await request(requester, url)
  const asked = { url, timeouts: network, signal: requester.signal }
  assert.deepEqual(requests, [
    { ...asked, headers: { range: 'bytes=5-' } },
    { ...asked, headers: {} },
  ])
})

for (const [name, chunks, fault] of [
  ['as fast as it must be', [[1000, 1000]], undefined],
  ['a byte too slow', [[1000, 999]], 'slower than 1000 bytes a second'],
  [
    'slow within the window',
    [
      [999, 1],
      [0, 0],
    ],
    undefined,
  ],
  [
    'silent first, and then much',
    [
      [999, 0],
      [1, 1000],
    ],
    undefined,
  ],
  [
    'there at once, but for a little',
    [
      [0, 999],
      [1000, 1],
    ],
    undefined,
  ],
  [
    'slow in the second window',
    [
      [1000, 5000],
      [1000, 999],
    ],
    'slower than 1000 bytes a second',
  ],
  [
    'as fast as it must be in each of two',
    [
      [1000, 1000],
      [1000, 1000],
    ],
    undefined,
  ],
  ['fast enough over a window of four seconds', [[4000, 4000]], undefined],
  ['too slow over a window of four seconds', [[4000, 3999]], 'slower than 1000 bytes a second'],
  ['done at the last moment', [[60_000, 60_000]], undefined],
  ['not done in time, however fast', [[60_001, 600_000]], 'not done within 60 s'],
  ['not done in time with many chunks', Array.from({ length: 61 }, () => [1000, 1000]), 'not done within 60 s'],
  // The clock is set back: of that time nothing is known.
  ['before its beginning by a second', [[-1000, 1]], undefined],
  [
    'before its beginning, and slow from then on',
    [
      [-1000, 5000],
      [1000, 999],
    ],
    'slower than 1000 bytes a second',
  ],
  [
    'before its beginning, and fast enough from then on',
    [
      [-1000, 1],
      [1000, 1000],
    ],
    undefined,
  ],
] as readonly (readonly [string, readonly Chunk[], string | undefined])[])
  test(`an answer that is ${name} ${fault === undefined ? 'is read' : 'is left'}`, async () => {
    const it = world(chunks)
    if (fault === undefined) {
      assert.equal(
        await fetched(it),
        chunks.reduce((sum, [, bytes]) => sum + bytes, 0),
      )
      assert.equal(it.left(), 0)
    } else {
      await assert.rejects(fetched(it), { code: 'too-slow', message: fault, subject: url })
      assert.ok(it.left() > 0, 'its connection is closed')
    }
  })

test('who asked for the file before has no more time for it', async () => {
  const it = world([[1000, 5000]])
  const since = it.requester.clock.now()
  it.pass(59_000)
  assert.equal(await fetched(it, { since }), 5000)
  const late = world([[1001, 5000]])
  late.pass(59_000)
  await assert.rejects(fetched(late, { since }), { code: 'too-slow', message: 'not done within 60 s' })
  const alone = world([[1001, 5000]])
  alone.pass(59_000)
  assert.equal(await fetched(alone), 5000)
})

test('whoever is slowed down by us is not slow, nor late', async () => {
  const counted: number[] = []
  const it: World = world(
    [
      [100, 500],
      [100, 500],
      [900, 1000],
    ],
    {
      throttle: async (bytes) => {
        counted.push(bytes)
        it.pass(100_000)
      },
    },
  )
  assert.equal(await fetched(it), 2000)
  assert.deepEqual(counted, [500, 500, 1000])
})

test('a stop while we wait leaves the answer', async () => {
  const it = world([[0, 1]], {
    throttle: async () => {
      throw new Error('stopped')
    },
  })
  await assert.rejects(fetched(it), /stopped/)
  assert.ok(it.left() > 0)
})

test('leaving before the first chunk closes the connection, and so does leaving a body that cannot be left', async () => {
  const it = world([[0, 1]])
  const body = (await request(it.requester, url)).body[Symbol.asyncIterator]()
  assert.deepEqual(await body.return?.(), { done: true, value: undefined })
  assert.equal(it.left(), 1)
  const bare = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true as const, value: undefined }) }) }
  const get = async (): Promise<HttpResponse> => ({ status: 200, headers: {}, body: bare })
  const other = (await request({ ...it.requester, http: { get } }, url)).body[Symbol.asyncIterator]()
  assert.deepEqual(await other.return?.(), { done: true, value: undefined })
})

const answer = (status: number): HttpResponse => ({ status, headers: {}, body: oneChunk(emptyBytes) })

test('403, 404 and 410 say that it is not there; of what is signed that is incomplete, all else the network', () => {
  const absent = Array.from({ length: 600 }, (_, i) => i).filter((status) => isAbsent(answer(status)))
  assert.deepEqual(absent, [403, 404, 410])
  for (const status of [200, 206, 304, 403, 404, 410, 500]) {
    const { code, message, subject } = refusedBy(answer(status), url)
    assert.deepEqual([code, message, subject], [absent.includes(status) ? 'incomplete' : 'network', `answered ${status}`, url])
  }
})

/** What is waited for when pieces of these sizes come, each so many milliseconds after the wait for the one before. */
async function waits(rate: number, pieces: readonly Chunk[]): Promise<readonly number[]> {
  let now = 0
  const waited: number[] = []
  const { signal } = new AbortController()
  const wait = async (milliseconds: number, heard: AbortSignal): Promise<void> => {
    assert.equal(heard, signal)
    waited.push(milliseconds)
    now += milliseconds
  }
  const pay: Throttle = throttle(rate, { clock: { now: () => now }, wait, signal })
  for (const [after, bytes] of pieces) {
    now += after
    await pay(bytes)
  }
  return waited
}

for (const [name, rate, pieces, expected] of [
  [
    'without a limit nobody waits',
    0,
    [
      [0, 1_000_000],
      [0, 1],
    ],
    [],
  ],
  [
    'each piece is paid for',
    1000,
    [
      [0, 1000],
      [0, 500],
    ],
    [1000, 500],
  ],
  [
    'short waits are saved up',
    1000,
    [
      [0, 49],
      [0, 1],
      [0, 20],
      [0, 29],
      [0, 5],
    ],
    [50, 54],
  ],
  [
    'what the network itself took counts',
    1000,
    [
      [0, 1000],
      [400, 1000],
    ],
    [1000, 1000],
  ],
  [
    'what is still to be paid is paid with the next',
    1000,
    [
      [0, 40],
      [20, 30],
    ],
    [50],
  ],
  [
    'a pause gives no credit',
    1000,
    [
      [0, 1000],
      [10_000, 100],
    ],
    [1000, 100],
  ],
  [
    'a clock that is set back makes no long pause',
    1000,
    [
      [0, 1000],
      [-3_600_000, 1000],
    ],
    [1000, 1000],
  ],
  [
    'one that is set back a little is waited for',
    1000,
    [
      [0, 1000],
      [-1100, 1000],
    ],
    [1000, 2100],
  ],
  [
    'by how much more it is not',
    1000,
    [
      [0, 1000],
      [-1101, 1000],
    ],
    [1000, 1000],
  ],
] as readonly (readonly [string, number, readonly Chunk[], readonly number[]])[])
  test(`of a rate: ${name}`, async () => {
    assert.deepEqual(await waits(rate, pieces), expected)
  })
