import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, test } from 'node:test'
import { farmBuilder } from '../src/command/farm-builder.ts'
import { decodeBuilt } from '../src/format/built.ts'
import { decodePublicKeyLine } from '../src/format/signify.ts'
import { withController } from './helpers/farm/controller.ts'
import { plantPorts, portsEnvironment } from './helpers/ports-tree/plant.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { ChildProcess } from 'node:child_process'
import type { TestController } from './helpers/farm/controller.ts'
import type { PortFacts } from './helpers/ports-tree/plant.ts'

const curl: PortFacts = { pkgpath: 'net/curl', version: '8.5.0' }
const running = new Set<ChildProcess>()

/** Those of a test that failed, too. */
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

const vim: PortFacts = { pkgpath: 'editors/vim', version: '9.1.139', subpackages: '-main -lang' }
/** Goes on for ever, the first time that it is built in a tree. */
const stuck: PortFacts = {
  pkgpath: 'net/stuck',
  version: '1',
  build:
    'if [ ! -e "$PORTSDIR/stuck" ]; then : >"$PORTSDIR/stuck"; exec sleep 6789; fi\nmkdir -p "$WRKINST/usr/local/bin"\n: >"$WRKINST/usr/local/bin/stuck"\n',
}

/** One build machine: a ports tree, a key, and a folder for its work. */
type Machine = {
  readonly ports: string
  readonly work: string
  readonly told: string[]
  start(): void
  kill(signal: NodeJS.Signals): Promise<number | null>
}

async function machine(
  controller: TestController,
  name: string,
  ports: readonly PortFacts[],
  more: readonly string[] = [],
): Promise<Machine> {
  const folder = join(controller.folder, '..', name)
  const [tree, work] = [join(folder, 'ports'), join(folder, 'work')]
  plantPorts(tree, ports)
  const { secret } = await controller.enroll(name)
  const env = portsEnvironment('amd64').flatMap((setting) => ['--env', setting])
  const keys = ['-s', secret, '-p', join(controller.folder, 'controller.pub')]
  const words = ['farm', 'builder', controller.url(), ...keys, '--arch', 'amd64', '--ports', tree, '--work', work, ...env, ...more]
  const told: string[] = []
  let child: ChildProcess | undefined
  return {
    ports: tree,
    work,
    told,
    start: () => {
      const started = spawn(resolve('bin/bindery'), words, { stdio: ['ignore', 'ignore', 'pipe'] })
      child = started
      running.add(started)
      started.once('exit', () => running.delete(started))
      child.stderr?.on('data', (data: Buffer) => told.push(...data.toString().trim().split('\n')))
    },
    kill: async (signal) => {
      const one = child as ChildProcess
      const exit = one.exitCode === null ? once(one, 'exit') : [one.exitCode]
      one.kill(signal)
      return ((await exit) as [number | null])[0]
    },
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((done) => setTimeout(done, 50))
}

function sleepers(): string {
  return execFileSync('sh', ['-c', 'ps -e -o args= | grep -c "[s]leep 6789" || :'], { encoding: 'utf8' }).trim()
}

test('ports are built on another machine, and come with their logs', needs('make'), async () => {
  await withController({}, async (controller) => {
    const prepare = ['--prepare', 'echo "$BRANCH $REVISION" >prepared']
    const one = await machine(controller, 'one', [curl, vim], prepare)
    controller.queue.add({ pkgpath: 'net/curl' })
    controller.queue.add({ pkgpath: 'editors/vim', packages: ['editors/vim,-lang', 'editors/vim,-main'] })
    controller.queue.add({ pkgpath: 'net/none' })
    one.start()
    await until(() => controller.queue.countIn('built') === 2 && controller.queue.countIn('failed') === 1)
    assert.equal(await one.kill('SIGTERM'), 0)
    const built = join(controller.folder, 'built/7.6/amd64')
    const { packages } = decodeBuilt(new Uint8Array(readFileSync(join(built, 'manifest.json'))))
    assert.deepEqual(
      packages.map(({ file, pkgpath }) => [file, pkgpath]),
      [
        ['curl-8.5.0.tgz', 'net/curl'],
        ['vim-9.1.139.tgz', 'editors/vim,-main'],
        ['vim-lang-9.1.139.tgz', 'editors/vim,-lang'],
      ],
    )
    for (const { file } of packages) execFileSync('cmp', [join(built, 'packages', file), join(one.ports, 'packages/amd64/all', file)])
    assert.equal(readFileSync(join(one.ports, 'prepared'), 'utf8'), '7.6 stable\n')
    const [first] = [...controller.queue.attempts.values()]
    const log = readFileSync(join(controller.folder, first?.logFile as string), 'utf8')
    assert.match(log, /^bindery: 0 of 1 ports are packaged already\n===> net\/curl\n/)
    assert.deepEqual(
      readdirSync(one.work).filter((name) => !name.startsWith('.')),
      [],
    )
    assert.deepEqual(readdirSync(join(controller.folder, 'incoming')), [])
  })
})

test('a builder that is killed while it builds goes on with its lease', needs('make'), async () => {
  await withController({}, async (controller) => {
    const one = await machine(controller, 'one', [stuck])
    controller.queue.add({ pkgpath: 'net/stuck' })
    one.start()
    await until(() => existsSync(join(one.ports, 'stuck')))
    await one.kill('SIGKILL')
    await until(() => sleepers() === '0')
    one.start()
    await until(() => controller.queue.countIn('built') === 1)
    assert.equal(controller.queue.attempts.size, 1)
    assert.equal(await one.kill('SIGTERM'), 0)
  })
})

test('the build of a dead builder goes to another, and the dead one is told when it comes back', needs('make'), async () => {
  await withController({ leaseMs: 2000 }, async (controller) => {
    const one = await machine(controller, 'one', [stuck])
    controller.queue.add({ pkgpath: 'net/stuck' })
    one.start()
    await until(() => existsSync(join(one.ports, 'stuck')))
    await one.kill('SIGKILL')
    const two = await machine(controller, 'two', [{ ...stuck, build: 'mkdir -p "$WRKINST/usr/local"\n' }])
    two.start()
    await until(() => controller.queue.countIn('built') === 1)
    assert.equal(await two.kill('SIGTERM'), 0)
    one.start()
    await until(() => one.told.some((line) => line.endsWith('is no longer ours, dropped')))
    assert.equal(await one.kill('SIGTERM'), 0)
    assert.deepEqual(
      [...controller.queue.attempts.values()].map(({ builder, outcome }) => [builder, outcome]),
      [
        ['one', 'lost'],
        ['two', 'built'],
      ],
    )
    assert.deepEqual(readdirSync(one.work), ['.lock'])
  })
})

test('a builder that is killed while it sends, with the controller away, sends the rest when both are back', needs('make'), async () => {
  await withController({}, async (controller) => {
    const gated = ': >"$PORTSDIR/begun"\nuntil [ -e "$PORTSDIR/go" ]; do sleep 0.1; done\nmkdir -p "$WRKINST/usr/local"\n'
    const one = await machine(controller, 'one', [{ ...curl, build: gated }])
    controller.queue.add({ pkgpath: 'net/curl' })
    one.start()
    await until(() => existsSync(join(one.ports, 'begun')))
    await controller.stop()
    writeFileSync(join(one.ports, 'go'), '')
    const packaged = join(one.ports, 'packages/amd64/all/curl-8.5.0.tgz')
    await until(() => existsSync(packaged) && one.told.some((line) => line.endsWith('trying on')))
    await one.kill('SIGKILL')
    await controller.start()
    one.start()
    await until(() => controller.queue.countIn('built') === 1)
    assert.equal(controller.queue.attempts.size, 1)
    assert.equal(await one.kill('SIGTERM'), 0)
    execFileSync('cmp', [packaged, join(controller.folder, 'built/7.6/amd64/packages/curl-8.5.0.tgz')])
  })
})

test('several at once build in trees of their own', needs('make'), async () => {
  await withController({}, async (controller) => {
    const one = await machine(controller, 'one', [curl, vim])
    const [first, second] = [`${one.ports}1`, `${one.ports}2`]
    for (const tree of [first, second]) execFileSync('cp', ['-R', one.ports, tree])
    const both = await machine(controller, 'one', [], ['--jobs', '2', '--ports', `${one.ports}%j`])
    controller.queue.add({ pkgpath: 'net/curl' })
    controller.queue.add({ pkgpath: 'editors/vim', packages: ['editors/vim,-main'] })
    both.start()
    await until(() => controller.queue.countIn('built') === 2)
    assert.equal(await both.kill('SIGTERM'), 0)
    const made = [first, second].map((tree) => readdirSync(join(tree, 'packages/amd64/all')).length)
    assert.deepEqual(made, [1, made[1]])
  })
})

test('--enroll makes a key and prints what makes the builder known', async () => {
  await inTemporary(async (folder) => {
    const words = ['--enroll', '-s', join(folder, 'builder.sec'), '--name', 'one', '--arch', 'arm64']
    const run = await runCommand(farmBuilder, words)
    const match = /^bindery farm builders FARM add one '(\S+)' --arch arm64\n$/.exec(run.stdout)
    assert.ok(match, run.stdout)
    decodePublicKeyLine(match[1] as string)
    assert.equal(readFileSync(join(folder, 'builder.pub'), 'utf8').split('\n')[1], match[1])
    assert.deepEqual(await runCommand(farmBuilder, words), run)
    assert.equal((await runCommand(farmBuilder, ['http://127.0.0.1:1', '-s', join(folder, 'none.sec'), '-p', 'x'])).code, 'not-found')
    const key = ['-s', join(folder, 'builder.sec'), '-p', join(folder, 'builder.pub')]
    for (const flags of [[], ['ftp://x', ...key], ['http://x', ...key, '--jobs', '2'], ['http://x', ...key, '--name', 'x']])
      assert.equal((await runCommand(farmBuilder, flags)).code, 'usage', flags.join(' '))
  })
})
