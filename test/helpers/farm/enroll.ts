import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { farmBuilder } from '../../../src/command/farm-builder.ts'
import { farmBuilders } from '../../../src/command/farm-builders.ts'
import { portsEnvironment } from '../ports-tree/plant.ts'
import { runCommand } from '../run-command.ts'
import type { Command } from '../../../src/command/command.ts'
import type { FarmWorld } from './farm-world.ts'

/** As somebody types it beside the controller. */
export async function askHere(command: Command, ...words: readonly string[]): Promise<string> {
  const { status, stdout, error } = await runCommand(command, words)
  assert.equal(status, 0, error?.message)
  return stdout
}

/** Another machine with a clone of the ports tree, known to the running controller; the words of its `farm builder`. */
export async function enroll(world: FarmWorld, name: string): Promise<readonly string[]> {
  const folder = join(world.folder, name)
  cpSync(join(world.folder, 'ports'), join(folder, 'ports'), { recursive: true })
  const secret = join(folder, `${name}.sec`)
  const line = await askHere(farmBuilder, '--enroll', '-s', secret, '--name', name, '--arch', 'amd64')
  const key = /'(\S+)'/.exec(line)?.[1] as string
  await askHere(farmBuilders, world.farm, 'add', name, key, '--arch', 'amd64', '--release', '7.6')
  const keys = ['-s', secret, '-p', join(world.farm, 'controller.pub')]
  const env = portsEnvironment('amd64').flatMap((setting) => ['--env', setting])
  const prepare = ['--prepare', `git fetch -q ${join(world.folder, 'ports')} stable && git checkout -q -f FETCH_HEAD`]
  return [...keys, '--arch', 'amd64', '--ports', join(folder, 'ports'), '--work', join(folder, 'work'), ...env, ...prepare]
}
