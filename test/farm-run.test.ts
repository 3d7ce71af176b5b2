import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { farmWorld, port } from './helpers/farm/farm-world.ts'
import { needs } from './helpers/programs.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import { halfToday, isTurn } from './helpers/whole-suite.ts'
import type { FarmWorld } from './helpers/farm/farm-world.ts'
import type { Cluster } from './helpers/postgres.ts'

let cluster: Cluster | undefined
after(async () => await cluster?.stop())

const engines = [
  { name: 'PGlite', skip: needs('make', 'git'), url: async () => await Promise.resolve(undefined) },
  {
    name: 'PostgreSQL',
    skip: { ...needs('make', 'git'), ...needsPostgres() },
    url: async () => await (cluster ??= await startCluster()).database(),
  },
] as const

const [embedded, server] = engines

test(
  'a commit is built, handed over, signed, published and mirrored, run by run; the same sources come to nothing',
  server.skip,
  async () => {
    await inWorld(await server.url(), async (world) => {
      world.commit('update a', port('net/a', '1.1'))
      const first = await runOnce(world)
      assert.match(first, /stable: 1 updates, 1 builds to do/)
      assert.match(first, /net\/a stable\/amd64: build 1: built, 1 packages/)
      assert.match(first, /handover 1: 1 packages to sign/)
      const [signed] = await world.sign()
      assert.match(await ask(world, ['farm', 'accept', world.farm, signed as string]), /^7\.6\/amd64\/a-1\.1\.tgz$/m)
      assert.match(await ask(world, ['farm', 'accept', world.farm, signed as string]), /handover 1 is signed already/)
      const second = await runOnce(world)
      assert.match(second, /handover 1 is published/)
      assert.match(second, /stable\/amd64: current/)
      assert.deepEqual(world.published(), ['a-1.1.tgz'])
      assert.deepEqual(
        readdirSync(join(world.mirror, '7.6/packages-stable/amd64')).filter((file) => file.endsWith('.tgz')),
        ['a-1.1.tgz'],
      )
      assert.doesNotMatch(await runOnce(world), /build|handover/)
    })
  },
)

/** What the controller has just said when it is killed. */
const kills = {
  embedded: [/build 1 is being built/, /handover 1: 1 packages to sign/],
  server: [
    /build 1 waits/,
    /build 1 is being built/,
    /build 1: built/,
    /handover 1: 1 packages to sign/,
    /handover 1 is signed/,
    /handover 1 is published/,
  ],
} as const

for (const [{ name, skip, url }, points] of halfToday([
  [embedded, kills.embedded],
  [server, kills.server],
] as const)) {
  test(
    `${name}: a controller that is killed goes on where it was, and nothing is built twice unless it was being built`,
    skip,
    async () => {
      await inWorld(await url(), async (world) => {
        world.commit('update a', port('net/a', '1.1', slowBuild(world)))
        for (const point of points) {
          const run = world.start(['farm', 'run', world.farm])
          if (world.requests() > 0 && !signed(world)) await world.signAll()
          await run.heard(point)
          run.child.kill('SIGKILL')
          await run.ended()
        }
        const last = world.start(['farm', 'run', world.farm])
        await last.heard(/runs:/)
        if (!signed(world)) await world.signAll()
        await last.heard(/stable\/amd64: current/)
        last.child.kill('SIGTERM')
        assert.equal(await last.ended(), 0, last.said())
        assert.deepEqual(world.published(), ['a-1.1.tgz'])
        assert.ok(builds(world) <= 2, String(builds(world)))
      })
    },
  )
}

/** Notes each build of it. */
function slowBuild({ folder }: FarmWorld): string {
  return `echo built >>${join(folder, 'builds')}\nsleep 1\nmkdir -p "$WRKINST/usr/local/bin"\necho 1 >"$WRKINST/usr/local/bin/program"\n`
}

function builds({ folder }: FarmWorld): number {
  return readFileSync(join(folder, 'builds'), 'utf8').trim().split('\n').length
}

function signed({ farm, published }: FarmWorld): boolean {
  return existsSync(join(farm, 'signed/accepted/1.tar')) || published().length > 0
}

if (isTurn(2))
  test('a running controller sees a commit, answers at a terminal, and ends in order', needs('make', 'git'), async () => {
    await inWorld(undefined, async (world) => {
      const run = world.start(['farm', 'run', world.farm])
      try {
        await run.heard(/runs: 1 branches, 1 builders here/)
        world.commit('fix CVE-2026-1234 in b', port('net/b', '2.1'))
        await run.heard(/net\/b stable\/amd64: build 1 waits \(security\)/)
        await run.heard(/handover 1: 1 packages to sign/)
        const status = await ask(world, ['farm', 'status', world.farm])
        assert.match(status, /^branch stable: sources last changed/m)
        assert.match(status, /^handover 1: stable\/amd64: 1 packages, made \d+ s ago, waits for a signature/m)
        await ask(world, ['farm', 'pause', world.farm, '--branch', 'stable'])
        world.commit('update a', port('net/a', '1.1'))
        await run.heard(/net\/a stable\/amd64: build 2 waits/)
        assert.match(await ask(world, ['farm', 'status', '--json', world.farm]), /"pkgpath":"net\/a".*"state":"waiting"/)
        await ask(world, ['farm', 'cancel', world.farm, '2'])
        await ask(world, ['farm', 'resume', world.farm, '--branch', 'stable'])
        await ask(world, ['farm', 'retry', world.farm, '2'])
        await run.heard(/net\/a stable\/amd64: build 2: built/)
        const [first] = await world.sign()
        await ask(world, ['farm', 'accept', world.farm, first as string])
        await run.heard(/handover 1 is published/)
        await run.heard(/handover 2: 1 packages to sign/)
        const refused = world.start(['farm', 'accept', world.farm, 'README.md'])
        assert.equal(await refused.ended(), 3)
        assert.match(refused.said(), /^bindery: farm accept: README\.md: /)
        await world.signAll()
        await run.heard(/handover 2 is published/)
        assert.deepEqual(world.published(), ['a-1.1.tgz', 'b-2.1.tgz'])
      } finally {
        run.child.kill('SIGTERM')
        assert.equal(await run.ended(), 0, run.said())
      }
      assert.match(run.said(), /ends: stopped by SIGTERM/)
    })
  })

if (isTurn(1))
  test('a port that cannot be built is tried again, and then left to a person', server.skip, async () => {
    await inWorld(await server.url(), async (world) => {
      world.commit('break a', port('net/a', '1.2', 'echo "main.c:3: error: no such thing" >&2\nexit 2\n'))
      const run = world.start(['farm', 'run', world.farm])
      try {
        await run.heard(/build 1: failed/)
        await run.heard(/net\/a.*\n(?:.*\n)*.*build 1: failed(?:.*\n)*.*build 1: failed(?:.*\n)*.*build 1: failed/)
        assert.match(await ask(world, ['farm', 'status', world.farm]), /1: net\/a stable\/amd64: quarantined/)
      } finally {
        run.child.kill('SIGTERM')
        await run.ended()
      }
    })
  })

async function inWorld(url: string | undefined, use: (world: FarmWorld) => Promise<void>): Promise<void> {
  const world = await farmWorld(url)
  try {
    await use(world)
  } finally {
    world.remove()
  }
}

async function runOnce(world: FarmWorld): Promise<string> {
  return await ask(world, ['farm', 'run', '--once', world.farm])
}

async function ask(world: FarmWorld, words: readonly string[]): Promise<string> {
  const run = world.start(words)
  assert.equal(await run.ended(), 0, run.said())
  return run.said()
}
