import { createHash } from 'node:crypto'
import { isEnd } from '../../src/engine/farm/pipeline.ts'
import type { Sha256 } from '../../src/base/digest.ts'
import type { FarmFacts } from '../../src/host/memory-farm-view.ts'
import type { Attempt, AttemptOutcome, Build, BuildState } from '../../src/port/farm-build.ts'

/** A farm that has been at work for a while, the same for the same numbers. */

export const factsStart = Date.UTC(2026, 10, 29, 12)
const minute = 60_000
const archs = ['amd64', 'arm64', 'i386']
const ports = [
  'editors/vim',
  'www/mozilla-firefox',
  'lang/python/3.11',
  'mail/dovecot',
  'net/curl',
  'databases/postgresql',
  'security/gnupg',
  'sysutils/rsync',
  'graphics/tiff',
  'textproc/libxml',
  'x11/xterm',
  'devel/git',
]
const why = ['in build', 'in package', 'in configure', 'no sign of life for 20 minutes']
const lines = [
  'cc -O2 -pipe -c regexp.c -o objects/regexp.o',
  "regexp.c:412:9: error: call to undeclared function 'vim_strnsave'",
  '        p = vim_strnsave(reg, len);',
  '1 error generated.',
  '*** Error 1 in /usr/ports/pobj/build-amd64 (Makefile:2031: objects/regexp.o)',
]

export function digestOf(text: string): Sha256 {
  return createHash('sha256').update(text).digest('hex') as Sha256
}

/** What becomes of the build that is the `i`th from the end: the newest are on their way. */
function stateAt(fromEnd: number): BuildState {
  if (fromEnd < 6) return 'waiting'
  if (fromEnd < 9) return 'building'
  if (fromEnd < 12) return fromEnd === 11 ? 'quarantined' : 'failed'
  if (fromEnd < 16) return 'built'
  if (fromEnd < 20) return 'handed-over'
  if (fromEnd < 22) return 'signed'
  if (fromEnd % 41 === 0) return 'cancelled'
  return fromEnd % 7 === 0 ? 'superseded' : 'published'
}

export function generatedFacts(builds: number): FarmFacts {
  const facts: FarmFacts = {
    now: factsStart,
    branches: [
      { name: '7.6', release: '7.6', archs: ['amd64', 'arm64'], paused: false, failure: undefined },
      {
        name: '7.7',
        release: '7.7',
        archs,
        paused: false,
        failure: { since: factsStart - 7 * minute, why: "/cvs: has no tag 'OPENBSD_7_7'" },
      },
    ],
    updates: [],
    builds: [],
    attempts: [],
    packages: [],
    handovers: [],
    publications: [],
    sightings: [],
    builders: ['amd64-1', 'amd64-2', 'arm64-1', 'i386-1'].map((name, i) => ({
      name,
      publicKey: undefined,
      arch: name.slice(0, -2),
      releases: [],
      tags: i === 1 ? ['big'] : [],
      jobs: i === 1 ? 4 : 1,
      paused: i === 3,
      quarantined: false,
      seen: factsStart - i * 1000,
      load: 0.5 + i,
    })),
    reports: [],
    events: [],
    logs: new Map(),
  }
  for (let i = 0; i < builds; i++) addBuild(facts, i, builds)
  addHandovers(facts)
  addPublished(facts)
  addFleet(facts)
  return facts
}

function addBuild(facts: FarmFacts, i: number, builds: number): void {
  const onEach = 3
  const seen = factsStart - (builds - i) * 7 * minute
  const number = Math.floor(i / onEach)
  if (i % onEach === 0) addUpdate(facts, number, seen)
  const update = facts.updates.at(-1) as FarmFacts['updates'][number]
  const state = stateAt(builds - 1 - i)
  const arch = archs[i % onEach] as string
  const build = {
    id: i + 1,
    update: update.id,
    branch: '7.7',
    pkgpath: update.pkgpath,
    arch,
    packages: [update.pkgpath, `${update.pkgpath},-main`],
    state,
    priority: update.isSecurity ? 100 : 0,
    isSecurity: update.isSecurity,
    failures: state === 'failed' ? 1 : state === 'quarantined' ? 3 : 0,
    notBefore: state === 'failed' ? factsStart + 20 * minute : undefined,
    since: isEnd(state) ? seen + 30 * minute : seen + minute,
  }
  facts.builds.push(build)
  if (state !== 'waiting') addAttempt(facts, build, seen)
  addEvent(facts, build, seen)
}

function addUpdate(facts: FarmFacts, number: number, seen: number): void {
  const isSecurity = number % 5 === 1
  const base = ports[(number * 5) % ports.length] as string
  // Of a large farm, thousands of ports.
  const pkgpath = number < 200 ? base : `${base}-${number % 3000}`
  facts.updates.push({
    id: number + 1,
    branch: '7.7',
    pkgpath,
    seen,
    isSecurity,
    cves: isSecurity ? [`CVE-2026-${10_000 + number}`] : [],
    messages: [
      isSecurity
        ? `security update of ${pkgpath.split('/').at(-1) as string}, fixes an out of bounds read`
        : 'update to the newest minor release',
    ],
  })
}

function outcomeOf(state: BuildState): AttemptOutcome | undefined {
  if (state === 'building') return undefined
  if (state === 'failed' || state === 'quarantined') return 'failed'
  return state === 'cancelled' ? 'cancelled' : 'built'
}

function addAttempt(facts: FarmFacts, build: Build, seen: number): void {
  const outcome = outcomeOf(build.state)
  const started = outcome === undefined ? factsStart - (build.id % 5) * 2 * minute - minute : seen + minute
  const failed = outcome === 'failed'
  const id = facts.attempts.length + 1
  const attempt: Attempt = {
    id,
    build: build.id,
    number: 1,
    builder: `${build.arch}-1`,
    started,
    heartbeat: factsStart - 1000,
    ended: outcome === undefined ? undefined : started + (4 + (build.id % 9)) * minute,
    outcome,
    why: failed ? (why[build.id % why.length] as string) : '',
    lines: failed ? lines : [],
    logFile: `log/${build.id}-1`,
    logSize: 20_000,
  }
  facts.attempts.push(attempt)
  if (build.state === 'building' || failed) facts.logs.set(id, logOf(build, failed))
  if (outcome === 'built') addPackages(facts, build)
}

function logOf({ pkgpath }: Build, failed: boolean): Uint8Array {
  const made = Array.from({ length: 300 }, (_, i) => `cc -O2 -pipe -Iproto -DHAVE_CONFIG_H -c part${i}.c -o objects/part${i}.o`)
  return new Uint8Array(Buffer.from([`===> ${pkgpath}: building`, ...made, ...(failed ? lines : []), ''].join('\n')))
}

function addPackages(facts: FarmFacts, { id, pkgpath }: Build): void {
  const file = `${pkgpath.split('/').at(-1) as string}-9.${id}.tgz`
  const sha256 = digestOf(file)
  facts.packages.push({
    id: facts.packages.length + 1,
    build: id,
    file,
    pkgpath,
    sha256,
    size: 1_000_000 + id * 977,
    signature: '@0.0',
    reproducible: undefined,
  })
}

function addEvent(facts: FarmFacts, { id, state, arch }: Build, at: number): void {
  const add = (actor: string, what: string): void =>
    void facts.events.push({ id: facts.events.length + 1, at, actor, kind: 'build', subject: String(id), what })
  add('farm', 'waiting: the sources have changed')
  if (state !== 'waiting') add(`${arch}-1`, state)
}

function addHandovers(facts: FarmFacts): void {
  const signed = facts.builds.filter(({ state }) => state === 'handed-over').map(({ id }) => id)
  const packages = facts.packages.filter(({ build }) => signed.includes(build)).map(({ id }) => id)
  if (packages.length === 0) return
  const digest = digestOf('request')
  const none = { notified: factsStart - 170 * minute, signed: undefined, published: undefined, basis: undefined }
  facts.handovers.push({
    id: 1,
    branch: '7.7',
    arch: 'amd64',
    digest,
    file: 'request/1.tgz',
    packages,
    state: 'requested',
    made: factsStart - 180 * minute,
    ...none,
  })
}

function addPublished(facts: FarmFacts): void {
  for (const [i, arch] of archs.entries())
    facts.publications.push({
      id: i + 1,
      branch: '7.7',
      arch,
      at: factsStart - (i + 2) * 60 * minute,
      digest: digestOf(arch),
      packages: 214 - i,
    })
  const mirrors = ['/mnt/backup/OpenBSD', 'https://cdn.openbsd.example/pub/OpenBSD', 'rsync://mirror.example.org/pub/OpenBSD']
  const states = ['torn', 'current', 'behind'] as const
  for (const [i, mirror] of mirrors.entries())
    facts.sightings.push({
      mirror,
      branch: '7.7',
      arch: 'amd64',
      state: states[i] as (typeof states)[number],
      lagSeconds: i === 2 ? 5400 : undefined,
      files: i === 0 ? ['vim-9.12.tgz', 'curl-8.1.tgz'] : [],
      why: '',
      first: factsStart - 300 * minute,
      last: factsStart - 4 * minute,
    })
}

function addFleet(facts: FarmFacts): void {
  for (let i = 0; i < 60; i++)
    facts.reports.push({
      machine: `host${String(i).padStart(2, '0')}.example.org`,
      channel: 'base/amd64',
      release: i % 4 === 0 ? 'base-7.7p3-20261110-amd64' : 'base-7.7p4-20261124-amd64',
      at: factsStart - i * 47 * minute,
      key: 'key',
      lastRun: i === 7 ? 'install 1 no-space' : 'install 0',
      reboot: i % 9 === 2 ? 'reboot' : 'none',
    })
}
