import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { farmWorld, port } from './helpers/farm/farm-world.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import type { FarmWorld, Running } from './helpers/farm/farm-world.ts'
import type { Cluster } from './helpers/postgres.ts'

/** What a controller makes of faults around it: of its database, its disk, its sources. */

let cluster: Cluster | undefined
after(async () => await cluster?.stop())

const onServer = { ...needs('make', 'git'), ...needsPostgres() }

async function server(): Promise<Cluster> {
  return (cluster ??= await startCluster())
}

/** A world with a running controller, which ends with the test. */
async function withRun(url: string | undefined, use: (world: FarmWorld, run: Running) => Promise<void>): Promise<void> {
  const world = await farmWorld(url)
  const run = world.start(['farm', 'run', world.farm])
  try {
    await use(world, run)
  } finally {
    run.child.kill('SIGTERM')
    await run.ended()
    world.remove()
  }
}

async function ask(world: FarmWorld, ...words: readonly string[]): Promise<string> {
  const run = world.start(['farm', ...words, world.farm])
  assert.equal(await run.ended(), 0, run.said())
  return run.said()
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(20)
}

/** Notes each build of it, and waits for a file before it ends. */
function waitingBuild({ folder }: FarmWorld, size = 1): string {
  const wait = `while [ ! -e ${join(folder, 'go')} ]; do sleep 0.05; done`
  const make = `mkdir -p "$WRKINST/usr/local/bin"\nhead -c ${size} /dev/urandom >"$WRKINST/usr/local/bin/program"\n`
  return `echo built >>${join(folder, 'builds')}\n${wait}\n${make}`
}

function builds({ folder }: FarmWorld): number {
  return readFileSync(join(folder, 'builds'), 'utf8').trim().split('\n').length
}

test('a build that ends while the database is away is told when it is back, and built once', onServer, async () => {
  const postgres = await server()
  await withRun(await postgres.database(), async (world, run) => {
    world.commit('update a', port('net/a', '1.1', waitingBuild(world)))
    await run.heard(/build 1 is being built by here/)
    await until(() => existsSync(join(world.folder, 'builds')))
    await postgres.restart(async () => {
      writeFileSync(join(world.folder, 'go'), '')
      await until(() => existsSync(join(world.farm, 'work/here.1/stable/packages/a-1.1.tgz')))
      await run.heard(/the database does not answer: .*; trying on/)
    })
    await run.heard(/the database answers again/)
    await run.heard(/build 1: built, 1 packages/)
    await run.heard(/handover 1: 1 packages to sign/)
    assert.equal(builds(world), 1)
    assert.equal(run.said().match(/does not answer/g)?.length, 1, run.said())
  })
})

test('a full disk of the controller fails no port: the build waits, and is not done again', { ...onServer, ...needsRoot() }, async (t) => {
  const world = await farmWorld(await (await server()).database())
  const built = join(world.farm, 'built')
  mkdirSync(built)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', built]).status !== 0) {
    world.remove()
    return t.skip('no tmpfs can be mounted here')
  }
  try {
    writeFileSync(join(world.folder, 'go'), '')
    world.commit('update a', port('net/a', '1.1', waitingBuild(world, 300_000)))
    const once = world.start(['farm', 'run', '--once', world.farm])
    assert.equal(await once.ended(), 1, once.said())
    assert.match(once.said(), /build 1: given back: .*no space left\n/)
    assert.match(once.said(), /^bindery: farm run: .*no space left$/m)
    assert.match(await ask(world, 'status'), /^build 1: net\/a stable\/amd64: waiting/m)
    assert.equal(spawnSync('mount', ['-o', 'remount,size=8m', built]).status, 0)
    assert.match(await ask(world, 'run', '--once'), /build 1: built, 1 packages/)
    assert.equal(builds(world), 1)
  } finally {
    spawnSync('umount', [built])
    world.remove()
  }
})

test('sources that cannot be read are shown until they can be', onServer, async () => {
  await withRun(await (await server()).database(), async (world, run) => {
    await run.heard(/runs:/)
    const head = join(world.folder, 'ports/.git/HEAD')
    const text = readFileSync(head)
    rmSync(head)
    await run.heard(/: stable: .*ports: has no commit 'stable'\n/)
    assert.match(
      await ask(world, 'status'),
      /^branch stable: sources last changed .*; for \d+ s they cannot be read: .*has no commit 'stable'$/m,
    )
    assert.match(
      await ask(world, 'status', '--json'),
      /^\{"kind":"branch","name":"stable".*"failure":\{"since":\d+,"why":".*has no commit 'stable'"/m,
    )
    writeFileSync(head, text)
    await run.heard(/stable: its sources can be read again/)
    assert.doesNotMatch(await ask(world, 'status'), /cannot be read/)
  })
})
