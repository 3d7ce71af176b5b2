import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { farmBuilders } from '../src/command/farm-builders.ts'
import { farmWorld, port } from './helpers/farm/farm-world.ts'
import { portsEnvironment } from './helpers/ports-tree/plant.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { FarmWorld, Running } from './helpers/farm/farm-world.ts'

/** Goes on for ever, the first time that it is built in a tree. */
const stuckOnce = 'if [ ! -e "$PORTSDIR/stuck" ]; then : >"$PORTSDIR/stuck"; exec sleep 6788; fi\nmkdir -p "$WRKINST/usr/local"\n'

async function ask(world: FarmWorld, words: readonly string[]): Promise<string> {
  const run = world.start(words)
  assert.equal(await run.ended(), 0, run.said())
  return run.said()
}

/** Another machine with a clone of the ports tree, known to the running controller. */
async function enroll(world: FarmWorld, name: string): Promise<readonly string[]> {
  const folder = join(world.folder, name)
  cpSync(join(world.folder, 'ports'), join(folder, 'ports'), { recursive: true })
  const secret = join(folder, `${name}.sec`)
  const line = await ask(world, ['farm', 'builder', '--enroll', '-s', secret, '--name', name, '--arch', 'amd64'])
  const key = /'(\S+)'/.exec(line)?.[1] as string
  await ask(world, ['farm', 'builders', world.farm, 'add', name, key, '--arch', 'amd64', '--release', '7.6'])
  const keys = ['-s', secret, '-p', join(world.farm, 'controller.pub')]
  const env = portsEnvironment('amd64').flatMap((setting) => ['--env', setting])
  const prepare = ['--prepare', `git fetch -q ${join(world.folder, 'ports')} stable && git checkout -q -f FETCH_HEAD`]
  return [...keys, '--arch', 'amd64', '--ports', join(folder, 'ports'), '--work', join(folder, 'work'), ...env, ...prepare]
}

async function runFarm(world: FarmWorld, listen: string): Promise<{ readonly run: Running; readonly url: string }> {
  const run = world.start(['farm', 'run', world.farm, '--listen', listen])
  await run.heard(/pages at http\S+/)
  return { run, url: /pages at (http\S+)/.exec(run.said())?.[1] as string }
}

test('a machine that the controller knows builds for it; killed controllers and builders lose nothing', needs('make', 'git'), async () => {
  const world = await farmWorld(undefined)
  const running: Running[] = []
  try {
    const first = await runFarm(world, '127.0.0.1:0')
    running.push(first.run)
    await ask(world, ['farm', 'pause', world.farm, '--builder', 'here'])
    const words = ['farm', 'builder', first.url, ...(await enroll(world, 'there'))]
    assert.match(await ask(world, ['farm', 'builders', world.farm, 'list']), /^there +amd64 +7.6 +- +1 +ready +never$/m)
    const builder = world.start(words)
    running.push(builder)
    await builder.heard(/builds for http/)
    world.commit('update a', port('net/a', '1.1', stuckOnce))
    const stuck = join(world.folder, 'there/ports/stuck')
    while (builder.child.exitCode === null && !existsSync(stuck)) await setTimeout(50)
    first.run.child.kill('SIGKILL')
    await first.run.ended()
    builder.child.kill('SIGKILL')
    await builder.ended()
    const second = await runFarm(world, new URL(first.url).host)
    running.push(second.run)
    const again = world.start(words)
    running.push(again)
    await second.run.heard(/handover 1: 1 packages to sign/)
    await again.heard(/net\/a\): built, 1 package\n/)
    await world.signAll()
    await second.run.heard(/handover 1 is published/)
    assert.deepEqual(world.published(), ['a-1.1.tgz'])
    const builders = (await ask(world, ['farm', 'builders', world.farm, 'list', '--json'])).trim().split('\n')
    assert.deepEqual(
      builders.map((line) => (JSON.parse(line) as { name: string; paused: boolean }).name),
      ['here', 'there'],
    )
    await ask(world, ['farm', 'builders', world.farm, 'remove', 'there'])
    assert.equal(await again.ended(), 3, again.said())
    assert.match(again.said(), /no builder has the key/)
    second.run.child.kill('SIGTERM')
    assert.equal(await second.run.ended(), 0, second.run.said())
  } finally {
    for (const { child } of running) child.kill('SIGKILL')
    for (const one of running) await one.ended()
    world.remove()
  }
})

test('what is wrong with a builder is said', async () => {
  await inTemporary(async (folder) => {
    writeFileSync(join(folder, 'bad.pub'), 'no key')
    const codeOf = async (...words: string[]): Promise<string | undefined> => (await runCommand(farmBuilders, [folder, ...words])).code
    assert.equal(await codeOf('drop', 'x'), 'usage')
    assert.equal(await codeOf('add', 'x'), 'usage')
    assert.equal(await codeOf('remove'), 'usage')
    assert.equal(await codeOf('list', 'x'), 'usage')
    assert.equal(await codeOf('add', 'x', join(folder, 'none.pub'), '--arch', 'amd64'), 'not-found')
    assert.equal(await codeOf('add', 'x', join(folder, 'bad.pub'), '--arch', 'amd64'), 'bad-format')
    assert.equal(await codeOf('add', 'a/b', join(folder, 'bad.pub'), '--arch', 'amd64'), 'usage')
    assert.equal(readFileSync(join(folder, 'bad.pub'), 'utf8'), 'no key')
  })
})
