import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { BinderyError } from '../../src/base/error.ts'
import { memoryFarmView } from '../../src/host/memory-farm-view.ts'
import { dashboard } from '../../src/web/dashboard.ts'
import { startWebServer } from '../../src/web/server.ts'
import { generatedFacts } from './farm-facts.ts'
import type { ChannelAccount } from '../../src/engine/repo/channel-account.ts'
import type { FarmFacts } from '../../src/host/memory-farm-view.ts'
import type { NewEvent, Operator, Report } from '../../src/port/farm-catalog.ts'
import type { DashboardOptions } from '../../src/web/dashboard.ts'
import type { Assets } from '../../src/web/route/assets.ts'

/** The dashboard over facts in memory; what people do there is written down, and what they retry waits. */
export type TestDashboard = {
  readonly url: string
  readonly facts: FarmFacts
  readonly done: string[]
  readonly events: NewEvent[]
  readonly reports: Report[]
  readonly operators: Operator[]
  readonly log: string[]
  pass(milliseconds: number): void
  close(): Promise<void>
}

export const tokens = { act: 'token-of-anna', read: 'token-of-prometheus' } as const

export async function startDashboard(change: Partial<DashboardOptions> & { readonly facts?: FarmFacts } = {}): Promise<TestDashboard> {
  const facts = change.facts ?? generatedFacts(60)
  const done: string[] = []
  const events: NewEvent[] = []
  const reports: Report[] = []
  const log: string[] = []
  const operators: Operator[] = [operator('anna', 'act'), operator('prometheus', 'read')]
  const note =
    (what: string) =>
    async (about: unknown, ...rest: unknown[]): Promise<void> =>
      void done.push([what, about, ...rest].join(' '))
  const retry = async (id: number, actor: string): Promise<void> => {
    const at = facts.builds.findIndex((build) => build.id === id)
    const build = facts.builds[at]
    if (build === undefined) throw new BinderyError('not-found', `there is no build ${id}`)
    if (build.state === 'published') throw new BinderyError('conflict', `build ${id} is published, and cannot become waiting`)
    facts.builds[at] = { ...build, state: 'waiting', since: facts.now }
    facts.events.push({ id: facts.events.length + 1, at: facts.now, actor, kind: 'build', subject: String(id), what: 'waiting' })
    done.push(`retry ${id} ${actor}`)
  }
  const server = await startWebServer({
    host: '127.0.0.1',
    port: 0,
    log: (line) => log.push(line),
    modules: [
      dashboard({
        title: 'Stable packages',
        read: 'public',
        secure: false,
        clock: { now: () => facts.now },
        random: { bytes: (count) => new Uint8Array(randomBytes(count)) },
        assets: sharedAssets(),
        channels: async () => await Promise.resolve([channelOf(9)]),
        farm: {
          view: memoryFarmView(facts),
          operators: async () => await Promise.resolve(operators),
          addEvent: async (event) => void events.push(event),
          controls: {
            retry,
            cancel: note('cancel'),
            prioritise: note('prioritise'),
            pauseBuilder: note('pauseBuilder'),
            quarantineBuilder: note('quarantineBuilder'),
            pauseBranch: note('pauseBranch'),
          },
          reports: {
            enroll: 'first-use',
            known: async (machine) =>
              await Promise.resolve(
                reports
                  .filter((one) => one.machine === machine)
                  .map(({ key, at }) => ({ key, last: at }))
                  .at(-1),
              ),
            put: async (more) => void reports.push(...more),
          },
          hook: note('hook'),
        },
        ...change,
      }),
    ],
  })
  return {
    url: server.url,
    facts,
    done,
    events,
    reports,
    operators,
    log,
    pass: (ms) => void (facts.now += ms),
    close: async () => await server.close(0),
  }
}

function operator(name: string, may: Operator['may']): Operator {
  return { name, may, tokenHash: sha256(utf8(`token-of-${name}`)), added: 0 }
}

export function sharedAssets(): Assets {
  const share = (name: string): string => readFileSync(`share/web/${name}`, 'utf8')
  return { 'style.css': share('style.css'), 'live.js': share('live.js'), 'icon.svg': share('icon.svg') }
}

export function channelOf(count: number): ChannelAccount {
  const nameOf = (i: number): string => `base-7.7p${i}-202611${10 + i}-amd64`
  const releases = Array.from({ length: count }, (_, i) => ({
    sequence: i + 1,
    name: nameOf(i),
    security: i % 3 === 1,
    full: 190_000_000 + i * 100_000,
    step: i === 0 ? undefined : 2_000_000 + i * 300_000,
    deltas: [1, 2, 4].filter((back) => back <= i).map((back) => ({ from: nameOf(i - back), size: back * 2_000_000 })),
  }))
  return { channel: 'base/amd64', expires: Date.UTC(2027, 0, 1), releases }
}
