import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { farmPause } from '../src/command/farm-pause.ts'
import { databaseAway, untilAnswered } from '../src/command/farm-away.ts'
import { farmStatus } from '../src/command/farm-status.ts'
import { usualRetries } from '../src/engine/farm/retry.ts'
import { farmRules } from '../src/engine/farm/rules.ts'
import { systemRandom } from '../src/host/ambient.ts'
import { farmPlace, openFarm } from '../src/host/farm/open.ts'
import { addBranch, packageNamed, planOf, silence, update } from './conformance/farm.ts'
import { askHere, enroll } from './helpers/farm/enroll.ts'
import { farmWorld, port } from './helpers/farm/farm-world.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import { relayTo } from './helpers/relay.ts'
import { isTurn } from './helpers/whole-suite.ts'
import type { AddressInfo } from 'node:net'
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
      await askHere(farmStatus, world.farm),
      /^branch stable: sources last changed .*; for \d+ s they cannot be read: .*has no commit 'stable'$/m,
    )
    assert.match(
      await askHere(farmStatus, '--json', world.farm),
      /^\{"kind":"branch","name":"stable".*"failure":\{"since":\d+,"why":".*has no commit 'stable'"/m,
    )
    writeFileSync(head, text)
    await run.heard(/stable: its sources can be read again/)
    assert.doesNotMatch(await askHere(farmStatus, world.farm), /cannot be read/)
  })
})

test('a second controller is refused in a line, in the same folder and in another one', onServer, async () => {
  await withRun(await (await server()).database(), async (world, run) => {
    await run.heard(/runs:/)
    const other = join(world.folder, 'other')
    cpSync(world.farm, other, { recursive: true, filter: (file) => !/run\.(?:lock|sock)/.test(file) })
    for (const [folder, why] of [
      [world.farm, /^bindery: farm run: .*run\.lock.*farm run.*\n(?:hint.*\n)?$/],
      [other, /^bindery: farm run: DATABASE_URL: another controller looks after the farm in this database\n$/],
    ] as const) {
      const second = world.start(['farm', 'run', folder])
      assert.equal(await second.ended(), 5, second.said())
      assert.match(second.said(), why)
    }
  })
})

test('whoever signs is told by a command, by mail and by a call of a URL, of each request once, also after a kill', onServer, async () => {
  const posted: string[] = []
  const listener = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (part: string) => (text += part))
    request.on('end', () => void posted.push(text))
    request.on('end', () => response.writeHead(204).end())
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const url = await (await server()).database()
  const world = await farmWorld(url)
  const [bin, mail, told] = ['bin', 'mail', 'told'].map((name) => join(world.folder, name)) as [string, string, string]
  mkdirSync(bin)
  writeFileSync(join(bin, 'sendmail'), `#!/bin/sh\n{ echo "$*"; cat; } >>${mail}\n`, { mode: 0o755 })
  const { port: number } = listener.address() as AddressInfo
  const command = `{ echo "$FARM_BRANCH $FARM_ARCH $FARM_REQUEST"; cat; } >>${told}; exit 3`
  const notices = [`command = ${JSON.stringify(command)}`, 'mail = ["signer@example.org"]', `hook = "http://127.0.0.1:${number}/due"`]
  const config = join(world.farm, 'farm.toml')
  writeFileSync(config, `${readFileSync(config, 'utf8')}[notify]\n${notices.join('\n')}\n`)
  try {
    world.commit('fix CVE-2026-1234 in a', port('net/a', '1.1'))
    const run = world.start(['farm', 'run', '--once', world.farm], bin)
    assert.equal(await run.ended(), 0, run.said())
    assert.match(run.said(), /handover 1: a notice was lost: notify command: ended with status 3\n/)
    const request = /to sign: (\S+)/.exec(run.said())?.[1] as string
    assert.match(readFileSync(told, 'utf8'), new RegExp(`^stable amd64 ${request}\n[^]*a-1\\.1`))
    assert.match(readFileSync(mail, 'utf8'), /^-t -oi\nTo: signer@example\.org\nSubject: to sign: stable for amd64\n[^]*\n\n[^]*a-1\.1/)
    const record = JSON.parse(posted[0] as string) as Readonly<Record<string, string>>
    assert.deepEqual([record['event'], record['branch'], record['arch'], record['file']], ['signature-due', 'stable', 'amd64', request])
    assert.match(record['text'] as string, /CVE-2026-1234/)
    await ask(world, 'run', '--once')
    assert.equal(posted.length, 1)
    // As if it had been killed before it told anybody.
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query('update farm.handover set notified_at = null')
    await client.end()
    await ask(world, 'run', '--once')
    assert.equal(posted.length, 2)
    assert.deepEqual(posted[1], posted[0])
  } finally {
    listener.close()
    world.remove()
  }
})

test('a PostgreSQL that is restarted under load loses no build, and none is built twice', needsPostgres(), async () => {
  const postgres = await server()
  const said: string[] = []
  const controller = { away: databaseAway({ say: (line) => void said.push(line) }), context: { random: systemRandom } }
  const rules = farmRules(usualRetries)
  const place = farmPlace('', await postgres.database())
  const farm = await openFarm(place, { rules, leaseSeconds: 60, verb: 'test', onError: () => {} })
  const { catalog, queue, engine } = farm
  const signal = new AbortController().signal
  const asking = async <T>(ask: () => Promise<T>): Promise<T> => await untilAnswered(controller, ask, signal)
  const names = Array.from({ length: 60 }, (_, i) => `net/p${i}`)
  const made: string[] = []
  const builder = async (): Promise<void> => {
    for (;;) {
      const claim = await asking(async () => await queue.claim('here'))
      if (claim === undefined) return
      const { build, attempt } = claim
      assert.equal(await asking(async () => await queue.beat(attempt.id, { size: 1 })), 'held')
      made.push(build.pkgpath)
      const end = { kind: 'built', packages: [packageNamed(`${build.pkgpath.slice(4)}.tgz`)], logSize: 1 } as const
      assert.equal(await asking(async () => await queue.finish(attempt.id, end)), 'ended')
    }
  }
  try {
    const branch = await addBranch(catalog)
    await catalog.apply(
      planOf(
        branch,
        names.map((name) => update(name)),
      ),
      'farm',
    )
    const builders = Array.from({ length: 6 }, builder)
    for (const many of [10, 30]) {
      await until(() => made.length >= many)
      await postgres.restart()
    }
    await Promise.all(builders)
    // Those whose answer was lost with the server: nobody works on them, nobody is heard.
    await silence(engine)
    await queue.expire()
    await builder()
    assert.deepEqual(made.toSorted(), names.toSorted())
    assert.equal((await catalog.buildsIn(['built'], { branch })).length, 60)
    assert.deepEqual(
      said.map((line) => line.replace(/:.*/, '')),
      said.map((_, i) => (i % 2 === 0 ? 'the database does not answer' : 'the database answers again')),
    )
  } finally {
    await farm.close()
  }
})

if (isTurn(1))
  test('a controller that is killed while a builder sends goes on with what it has, and nothing is built twice', onServer, async () => {
    const world = await farmWorld(await (await server()).database())
    const running: Running[] = []
    const start = (...words: readonly string[]): Running => {
      const run = world.start(words)
      running.push(run)
      return run
    }
    const first = start('farm', 'run', world.farm, '--listen', '127.0.0.1:0')
    await first.heard(/pages at http\S+/)
    const url = /pages at (http\S+)/.exec(first.said())?.[1] as string
    const relay = await relayTo(url)
    try {
      await askHere(farmPause, world.farm, '--builder', 'here')
      const builder = start('farm', 'builder', relay.url, ...(await enroll(world, 'there')))
      const before = relay.passed.sent
      // In the second piece of a package.
      relay.cutAfter(6 << 20)
      writeFileSync(join(world.folder, 'go'), '')
      world.commit('update a', port('net/a', '1.1', waitingBuild(world, 9 << 20)))
      await until(() => relay.passed.sent - before > 6 << 20)
      first.child.kill('SIGKILL')
      await first.ended()
      const second = start('farm', 'run', world.farm, '--listen', new URL(url).host)
      await builder.heard(/net\/a\): built, 1 package\n/)
      await second.heard(/handover 1: 1 packages to sign/)
      assert.equal(builds(world), 1)
      assert.ok(relay.passed.sent - before < 16 << 20, `${relay.passed.sent - before} bytes were sent`)
    } finally {
      for (const { child } of running) child.kill('SIGTERM')
      for (const one of running) await one.ended()
      await relay.close()
      world.remove()
    }
  })
