import { join } from 'node:path'
import { pieceSizeOf } from '../../src/format/pieces.ts'
import { honest, ignoresRanges, mischiefs } from '../helpers/mirror-server.ts'
import { tryPoints } from './machines.ts'
import { makeNetworkSite } from './network-site.ts'
import type { Asked, Behaviour } from '../helpers/mirror-server.ts'
import type { Options, Point, Row } from './machines.ts'
import type { Fetched, NetworkSite } from './network-site.ts'

/** Mirrors that are no good in every way that comes to mind, downloads that are cut off at each hundredth, deltas that are damaged. */
export async function tortureNetwork(options: Options): Promise<readonly Row[]> {
  const site = await makeNetworkSite(join(options.work, 'network'))
  try {
    const { points, seen } = networkPoints(site)
    const rows: Row[] = []
    for (const [what, all] of Object.entries(points)) {
      if (options.only?.some((name) => what.startsWith(name)) === false) continue
      rows.push(await tryPoints(options, what, all))
    }
    options.tell(`delta ${site.delta} bytes, whole release ${site.full} bytes`)
    for (const [what, values] of seen) options.tell(`${what}: ${Math.min(...values).toFixed(3)} to ${Math.max(...values).toFixed(3)}`)
    return rows
  } finally {
    await site.close()
  }
}

type NetworkPoints = { readonly points: Readonly<Record<string, readonly Point[]>>; readonly seen: Seen }

/** What was measured, by what it is. */
type Seen = Map<string, number[]>

/** The first of three mirrors, or all of them, are bad at everything, or at files alone; full files are poison wherever a delta has to do. */
export function networkPoints(site: NetworkSite): NetworkPoints {
  const seen: Seen = new Map()
  const note = (what: string, value: number): void => void seen.set(what, [...(seen.get(what) ?? []), value])
  const kinds = Object.entries(mischiefs)
  const scopes = [
    ['everything', () => true],
    ['files', ({ path }: Asked) => path.startsWith('/blobs/')],
  ] as const
  const bad = scopes.flatMap(([scope, isMeant]) =>
    kinds.map(([name, behaviour]) => ({ name: `${name}, at ${scope}`, behaviour: only(isMeant, behaviour) })),
  )
  const one = [...bad, { name: 'shows yesterday', behaviour: yesterday }]
  const points = {
    'mirrors, one bad of three': one.map(({ name, behaviour }) => ({
      name,
      faults: async () => await oneBad(site, noFull(behaviour), note),
    })),
    'mirrors, all three bad': bad.map(({ name, behaviour }) => ({ name, faults: async () => await allBad(site, behaviour, note) })),
    'download cut off at each hundredth': Array.from({ length: 100 }, (_, i) => ({
      name: String(i),
      faults: async () => await cutAt(site, i, note),
    })),
    'cut off, by mirrors that ignore ranges': Array.from({ length: 10 }, (_, i) => ({
      name: String(i),
      faults: async () => await cutWithoutRanges(site, i, note),
    })),
    'client killed at each hundredth of a download': Array.from({ length: 100 }, (_, i) => ({
      name: String(i),
      faults: async () => await killedAt(site, i, note),
    })),
    'delta damaged on one mirror': Array.from({ length: 20 }, (_, i) => ({
      name: String(i),
      faults: async () => await damagedOnOne(site, i, note),
    })),
    'delta damaged on all mirrors': Array.from({ length: 20 }, (_, i) => ({
      name: String(i),
      faults: async () => await damagedOnAll(site, i, note),
    })),
  }
  return { points, seen }
}

type Note = (what: string, value: number) => void

const only =
  (isMeant: (asked: Asked) => boolean, behaviour: Behaviour): Behaviour =>
  (asked) =>
    isMeant(asked) ? behaviour(asked) : honest(asked)

const isFull = (path: string): boolean => path.endsWith('.tar.zst')
const isDelta = (path: string): boolean => path.endsWith('-amd64.delta')

/** A whole release must not be what hides that a delta could not be had. */
const noFull =
  (behaviour: Behaviour): Behaviour =>
  (asked) =>
    isFull(asked.path) ? asked.answer(['404 Poisoned', 'Content-Length: 0']) : behaviour(asked)

/** As it was before the second release. */
const yesterday: Behaviour = (asked) => {
  const isNew = isDelta(asked.path) || /\/(?:[2-9]|\d\d+)\.(?!root)[^/]*\.json$/.test(asked.path)
  honest(isNew ? { ...asked, content: undefined } : asked)
}

/** More than a file was signed with, by more than a socket holds. */
function tooMuch(site: NetworkSite, { served }: Fetched): readonly string[] {
  const slack = 64 << 10
  return served.flatMap((all) =>
    all
      .filter(({ path, bytes }) => bytes > site.signedSize(path) + slack)
      .map(({ path, bytes }) => `${bytes} bytes of ${path}, signed as ${site.signedSize(path)}`),
  )
}

function fullAsked({ served }: Fetched): readonly string[] {
  return served.flat().some(({ path }) => isFull(path)) ? ['a whole release was asked for'] : []
}

const bytesOf = ({ served }: Fetched, isMeant: (path: string) => boolean): number =>
  served.flat().reduce((sum, { path, bytes }) => sum + (isMeant(path) ? bytes : 0), 0)

function isDone(fetched: Fetched): readonly string[] {
  return fetched.status === 0 && fetched.isHere ? [] : [`exit status ${String(fetched.status)}: ${fetched.text}`]
}

async function oneBad(site: NetworkSite, behaviour: Behaviour, note: Note): Promise<readonly string[]> {
  const fetched = await site.fetch([behaviour, noFull(honest), noFull(honest)])
  note('one bad of three, seconds', fetched.seconds)
  const good = { ...fetched, served: fetched.served.slice(1) }
  const most = 1.02 * site.delta
  const extra = bytesOf(good, isDelta) > most ? [`the good mirrors served ${bytesOf(good, isDelta)} bytes of ${site.delta}`] : []
  return [...isDone(fetched), ...tooMuch(site, fetched), ...fullAsked(fetched), ...extra]
}

async function allBad(site: NetworkSite, behaviour: Behaviour, note: Note): Promise<readonly string[]> {
  const fetched = await site.fetch([behaviour, behaviour, behaviour])
  note('all three bad, seconds', fetched.seconds)
  // Who sends more than the right bytes has sent those.
  const isTold = ((fetched.status === 1 || fetched.status === 3) && fetched.text !== '') || (fetched.status === 0 && fetched.isHere)
  const later = await site.fetch([], { goesOn: true })
  return [
    ...(isTold ? [] : [`exit status ${String(fetched.status)}: ${fetched.text}`]),
    ...tooMuch(site, fetched),
    ...isDone(later).map((fault) => `afterwards: ${fault}`),
  ]
}

/** The middle of the ith hundredth of the delta. */
function hundredth({ delta }: NetworkSite, i: number): number {
  return Math.floor((delta * (i + 0.5)) / 100)
}

/** The connection that sends this byte of the delta breaks, once. */
function cutOnce(site: NetworkSite, i: number, behaviour: Behaviour = honest): Behaviour {
  const at = hundredth(site, i)
  let isCut = false
  return (asked) => {
    if (isCut || !isDelta(asked.path) || asked.content === undefined) return behaviour(asked)
    isCut = true
    asked.answer(['200 OK', 'ETag: "x"', `Content-Length: ${asked.content.length}`], [asked.content.subarray(0, at)], 'close')
  }
}

async function cutAt(site: NetworkSite, i: number, note: Note): Promise<readonly string[]> {
  const first = await site.fetch([cutOnce(site, i), noFull(honest), noFull(honest)].map(noFull))
  const share = bytesOf(first, isDelta) / site.delta
  note('cut off, bytes served beside those of the delta', share)
  return [...isDone(first), ...fullAsked(first), ...(share > 1.02 ? [`${share.toFixed(3)} of the delta were served`] : [])]
}

/** One that would begin anew is asked for that only where no other goes on. */
async function cutWithoutRanges(site: NetworkSite, i: number, note: Note): Promise<readonly string[]> {
  const fetched = await site.fetch([cutOnce(site, 10 * i, ignoresRanges), ignoresRanges, honest].map(noFull))
  const share = bytesOf(fetched, isDelta) / site.delta
  note('cut off, two of three ignore ranges, bytes served beside those of the delta', share)
  const most = 1.02 + (64 << 10) / site.delta
  return [...isDone(fetched), ...fullAsked(fetched), ...(share > most ? [`${share.toFixed(3)} of the delta were served`] : [])]
}

/** The client is killed when it may have so much, and started again: what it had is not paid for twice, but for what lay in the sockets. */
async function killedAt(site: NetworkSite, i: number, note: Note): Promise<readonly string[]> {
  const kill = new AbortController()
  const stops: Behaviour = (asked) => {
    const { content, answer } = asked
    if (!isDelta(asked.path) || content === undefined) return honest(asked)
    const body = killing(content.subarray(0, hundredth(site, i)), kill)
    // Slowly, as what nobody wants: little lies in the sockets then.
    answer(['200 OK', 'ETag: "x"', `Content-Length: ${content.length}`], body, undefined, 0)
  }
  const first = await site.fetch([stops, honest, honest].map(noFull), { killed: kill.signal })
  const second = await site.fetch([noFull(honest), noFull(honest), noFull(honest)], { goesOn: true })
  const share = (bytesOf(first, isDelta) + bytesOf(second, isDelta)) / site.delta
  note('killed, bytes served in both runs beside those of the delta', share)
  const most = 1.02 + (64 << 10) / site.delta
  return [
    ...(first.status === null ? [] : [`the first run was not killed: exit status ${first.status}: ${first.text}`]),
    ...isDone(second),
    ...fullAsked(second),
    ...(share > most ? [`${share.toFixed(3)} of the delta were served`] : []),
  ]
}

function* killing(bytes: Uint8Array, kill: AbortController): Iterable<Uint8Array> {
  yield bytes
  kill.abort()
}

/** One bit of the delta is another one, at each twentieth; what is behind its piece nobody should ask for. */
const damaged =
  (i: number): Behaviour =>
  (asked) => {
    const { content, headers, answer } = asked
    if (!isDelta(asked.path) || content === undefined) return honest(asked)
    const at = Math.floor((content.length * (i + 0.5)) / 20)
    const bytes = Buffer.from(content)
    bytes[at] = (content[at] as number) ^ 1
    const from = Number(/^bytes=([0-9]+)-$/.exec(headers.get('range') ?? '')?.[1] ?? 0)
    const head = from === 0 ? ['200 OK'] : ['206 Partial Content', `Content-Range: bytes ${from}-${bytes.length - 1}/${bytes.length}`]
    const end = Math.min(bytes.length, (Math.floor(at / pieceOf(bytes.length)) + 1) * pieceOf(bytes.length))
    answer([...head, `Content-Length: ${bytes.length - from}`], [bytes.subarray(from)], undefined, end - from)
  }

const pieceOf = (length: number): number => pieceSizeOf(length) ?? length

/** What a bad mirror may cost: a piece, and what lies in the sockets behind it. */
const badMirror = (site: NetworkSite): number => pieceOf(site.delta) + (64 << 10)

async function damagedOnOne(site: NetworkSite, i: number, note: Note): Promise<readonly string[]> {
  const fetched = await site.fetch([damaged(i), honest, honest].map(noFull))
  const share = bytesOf(fetched, isDelta) / site.delta
  note('damaged on one mirror, bytes served beside those of the delta', share)
  const most = 1.02 + badMirror(site) / site.delta
  const extra = share > most ? [`${share.toFixed(3)} of the delta were served`] : []
  return [...isDone(fetched), ...tooMuch(site, fetched), ...fullAsked(fetched), ...extra]
}

/** Told, and come by as a whole: what the delta cost is on top of that. */
async function damagedOnAll(site: NetworkSite, i: number, note: Note): Promise<readonly string[]> {
  const fetched = await site.fetch([damaged(i), damaged(i), damaged(i)])
  const share = bytesOf(fetched, (path) => isDelta(path) || isFull(path)) / site.full
  note('damaged on all mirrors, bytes served beside those of the whole release', share)
  const extra = share > 1.05 ? [`${share.toFixed(3)} of the whole release were served`] : []
  const isTold = fetched.status === 6 && /cannot be had/.test(fetched.text) && fetched.isHere
  return [...(isTold ? [] : [`exit status ${String(fetched.status)}: ${fetched.text}`]), ...tooMuch(site, fetched), ...extra]
}
