import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { farmBuilders } from '../src/command/farm-builders.ts'
import { farmPause } from '../src/command/farm-pause.ts'
import { farmWorld, port } from './helpers/farm/farm-world.ts'
import { askHere as ask, enroll } from './helpers/farm/enroll.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import { isTurn } from './helpers/whole-suite.ts'
import type { Running } from './helpers/farm/farm-world.ts'

/** Goes on for ever, the first time that it is built in a tree. */
const stuckOnce = 'if [ ! -e "$PORTSDIR/stuck" ]; then : >"$PORTSDIR/stuck"; exec sleep 6788; fi\nmkdir -p "$WRKINST/usr/local"\n'

if (isTurn(2))
  test('a machine that the controller knows builds for it, is killed, and loses nothing', needs('make', 'git'), async () => {
    const world = await farmWorld(undefined)
    const running: Running[] = []
    const start = (...words: readonly string[]): Running => {
      const run = world.start(words)
      running.push(run)
      return run
    }
    try {
      const farm = start('farm', 'run', world.farm, '--listen', '127.0.0.1:0')
      await farm.heard(/pages at http\S+/)
      const url = /pages at (http\S+)/.exec(farm.said())?.[1] as string
      await ask(farmPause, world.farm, '--builder', 'here')
      const words = ['farm', 'builder', url, ...(await enroll(world, 'there'))]
      assert.match(await ask(farmBuilders, world.farm, 'list'), /^there +amd64 +7.6 +- +1 +ready +never$/m)
      world.commit('update a', port('net/a', '1.1', stuckOnce))
      const builder = start(...words)
      const stuck = join(world.folder, 'there/ports/stuck')
      while (builder.child.exitCode === null && !existsSync(stuck)) await setTimeout(50)
      builder.child.kill('SIGKILL')
      await builder.ended()
      const again = start(...words)
      await farm.heard(/handover 1: 1 packages to sign/)
      await again.heard(/net\/a\): built, 1 package\n/)
      await world.signAll()
      await farm.heard(/handover 1 is published/)
      assert.deepEqual(world.published(), ['a-1.1.tgz'])
      const builders = (await ask(farmBuilders, world.farm, 'list', '--json')).trim().split('\n')
      assert.deepEqual(
        builders.map((line) => (JSON.parse(line) as { name: string }).name),
        ['here', 'there'],
      )
      await ask(farmBuilders, world.farm, 'remove', 'there')
      assert.doesNotMatch(await ask(farmBuilders, world.farm, 'list'), /there/)
      farm.child.kill('SIGTERM')
      assert.equal(await farm.ended(), 0, farm.said())
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
