import { setImmediate } from 'node:timers/promises'
import type { Attempt, Build } from '../../../src/port/farm-build.ts'
import type { Builder, FarmCatalog, KnownBuilder } from '../../../src/port/farm-catalog.ts'
import type { AttemptEnd, Claim, FarmQueue } from '../../../src/port/farm-queue.ts'

/** A queue and a register of builders without a database, for one process; a lease that nobody beats for so long is lost. */
export type MemoryQueue = Pick<FarmQueue, 'claim' | 'claimOf' | 'beat' | 'finish' | 'changed'> &
  Pick<FarmCatalog, 'builders' | 'putBuilder' | 'noteBuilder' | 'removeBuilder'> & {
    readonly builds: Map<number, Build>
    readonly attempts: Map<number, Attempt>
    readonly ends: Map<number, AttemptEnd>
    add(facts: { readonly pkgpath: string; readonly packages?: readonly string[]; readonly arch?: string }): number
    /** A person does not want it. */
    cancel(build: number): void
    /** Nothing was heard of the builder. */
    lose(attempt: number): void
    countIn(state: Build['state']): number
  }

export function memoryQueue({ leaseMs = 60_000 }: { readonly leaseMs?: number } = {}): MemoryQueue {
  const builds = new Map<number, Build>()
  const attempts = new Map<number, Attempt>()
  const ends = new Map<number, AttemptEnd>()
  const known = new Map<string, KnownBuilder>()
  let wake: (() => void)[] = []

  const set = (build: number, state: Build['state']): void => void builds.set(build, { ...(builds.get(build) as Build), state })
  const endAs = (id: number, outcome: NonNullable<Attempt['outcome']>, why = ''): void =>
    void attempts.set(id, { ...(attempts.get(id) as Attempt), ended: Date.now(), outcome, why })
  const claimed = (attempt: Attempt): Claim => ({
    build: builds.get(attempt.build) as Build,
    attempt,
    release: '7.6',
    revision: { name: 'stable', seconds: undefined },
  })
  const lose = (id: number): void => {
    endAs(id, 'lost')
    set((attempts.get(id) as Attempt).build, 'waiting')
  }
  const expire = (): void => {
    for (const { id, heartbeat, outcome } of attempts.values()) if (outcome === undefined && Date.now() - heartbeat > leaseMs) lose(id)
  }
  const changed = (): void => {
    for (const one of wake) one()
    wake = []
  }
  return {
    builds,
    attempts,
    ends,
    add: ({ pkgpath, packages = [pkgpath], arch = 'amd64' }) => {
      const id = builds.size + 1
      const rest = { priority: 0, isSecurity: false, failures: 0, notBefore: undefined, since: Date.now() }
      builds.set(id, { id, branch: '7.6', pkgpath, arch, packages, state: 'waiting', ...rest })
      changed()
      return id
    },
    cancel: (build) => {
      for (const attempt of attempts.values()) if (attempt.build === build && attempt.outcome === undefined) endAs(attempt.id, 'cancelled')
      set(build, 'cancelled')
    },
    lose,
    countIn: (state) => [...builds.values()].filter((build) => build.state === state).length,
    claim: async (builder) => {
      // As long as a database takes at least.
      await setImmediate()
      expire()
      const next = [...builds.values()].find(({ state, arch }) => state === 'waiting' && arch === known.get(builder)?.arch)
      if (next === undefined) return undefined
      set(next.id, 'building')
      const [id, now] = [attempts.size + 1, Date.now()]
      const number = [...attempts.values()].filter(({ build }) => build === next.id).length + 1
      const facts = { id, build: next.id, number, builder, started: now, heartbeat: now, logFile: `log/${id}.log`, logSize: 0 }
      attempts.set(id, { ...facts, ended: undefined, outcome: undefined, why: '', lines: [] })
      return claimed(attempts.get(id) as Attempt)
    },
    claimOf: async (id) => {
      const attempt = attempts.get(id)
      return attempt === undefined ? undefined : claimed(attempt)
    },
    beat: async (id, { size }) => {
      expire()
      const attempt = attempts.get(id)
      if (attempt === undefined || attempt.outcome !== undefined) return 'lost'
      attempts.set(id, { ...attempt, heartbeat: Date.now(), logSize: size })
      return 'held'
    },
    finish: async (id, end) => {
      const attempt = attempts.get(id)
      if (attempt === undefined) return 'lost'
      if (attempt.outcome !== undefined) return attempt.outcome === end.kind ? 'ended' : 'lost'
      endAs(id, end.kind, end.kind === 'built' ? '' : end.why)
      ends.set(id, end)
      set(attempt.build, end.kind === 'released' ? 'waiting' : end.kind)
      changed()
      return 'ended'
    },
    changed: async (milliseconds) =>
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, milliseconds)
        wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      }),
    builders: async () => [...known.values()],
    putBuilder: async (builder: Builder) =>
      void known.set(builder.name, { ...builder, paused: false, quarantined: false, seen: undefined, load: undefined }),
    noteBuilder: async (name, load) => void known.set(name, { ...(known.get(name) as KnownBuilder), seen: Date.now(), load }),
    removeBuilder: async (name) => void known.delete(name),
  }
}
