import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { farmPause } from '../src/command/farm-pause.ts'
import { farmResume } from '../src/command/farm-resume.ts'
import { askHere, enroll } from './helpers/farm/enroll.ts'
import { farmWorld, port } from './helpers/farm/farm-world.ts'
import { numbers } from './helpers/numbers.ts'
import { needs } from './helpers/programs.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import { isTurn, isWholeSuite } from './helpers/whole-suite.ts'
import type { FarmWorld, Running } from './helpers/farm/farm-world.ts'
import type { Numbers } from './helpers/numbers.ts'
import type { Cluster } from './helpers/postgres.ts'

let cluster: Cluster | undefined
after(async () => await cluster?.stop())

async function newWorld(): Promise<FarmWorld> {
  const world = await farmWorld(await (cluster ??= await startCluster()).database())
  const file = join(world.farm, 'farm.toml')
  const text = readFileSync(file, 'utf8')
  // A port whose compiler is killed now and then is not given up.
  writeFileSync(file, text.replace('first = 1', 'first = 1\nmost = 2\nfailures = 100\nlost = 100'))
  return world
}

const ports = isWholeSuite ? ['net/a', 'net/b', 'net/c', 'net/d'] : ['net/a', 'net/b']

function commitAll(world: FarmWorld): void {
  for (const pkgpath of ports) {
    const name = pkgpath.slice(4)
    const steps = ['sleep 0.3', 'mkdir -p "$WRKINST/usr/local/bin"', `echo ${name} >"$WRKINST/usr/local/bin/program"`, 'sleep 0.3']
    world.commit(`update ${name}`, port(pkgpath, '1.1', `${steps.join('\n')}\n`))
  }
}

const set = '7.6/packages-stable/amd64'

/** Names of packages, as the mirror lists them. */
function namesOn(mirror: string): readonly string[] {
  const list = join(mirror, set, 'SHA256')
  if (!existsSync(list)) return []
  return [...readFileSync(list, 'utf8').matchAll(/\((.*\.tgz)\)/g)].map(([, name]) => name as string).toSorted()
}

/** What users get of them. */
function contentsOf(mirror: string): readonly string[] {
  const programOf = (name: string): string =>
    execFileSync('tar', ['-xzOf', join(mirror, set, name), 'bin/program'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return namesOn(mirror).map((name) => `${name}: ${programOf(name)}`)
}

async function undisturbed(): Promise<readonly string[]> {
  const world = await newWorld()
  try {
    commitAll(world)
    for (const run of [1, 2]) {
      const once = world.start(['farm', 'run', '--once', world.farm])
      assert.equal(await once.ended(), 0, once.said())
      if (run === 1) await world.signAll()
    }
    return contentsOf(world.mirror)
  } finally {
    world.remove()
  }
}

/** The controller and a builder on another machine, each started again where it is killed. */
type Farm = {
  readonly world: FarmWorld
  readonly words: Readonly<Record<Server, readonly string[]>>
  readonly running: Record<Server, Running>
}
type Server = 'controller' | 'builder'

async function startFarm(world: FarmWorld): Promise<Farm> {
  const first = world.start(['farm', 'run', world.farm, '--listen', '127.0.0.1:0'])
  await first.heard(/pages at http\S+/)
  const url = /pages at (http\S+)/.exec(first.said())?.[1] as string
  await askHere(farmPause, world.farm, '--branch', 'stable')
  const words = {
    controller: ['farm', 'run', world.farm, '--listen', new URL(url).host],
    builder: ['farm', 'builder', url, ...(await enroll(world, 'there'))],
  }
  return { world, words, running: { controller: first, builder: world.start(words.builder) } }
}

async function killServer({ world, words, running }: Farm, name: Server): Promise<void> {
  running[name].child.kill('SIGKILL')
  await running[name].ended()
  running[name] = world.start(words[name])
}

/** All that a process has started, and what that has. */
function childrenOf(pid: number): readonly number[] {
  const tasks = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  const parents = tasks.flatMap((name) => {
    try {
      return [[Number(name), Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'))?.[1])] as const]
    } catch {
      return []
    }
  })
  const below = (parent: number): readonly number[] => parents.flatMap(([child, its]) => (its === parent ? [child, ...below(child)] : []))
  return below(pid)
}

/** The compiler, its shell, or whatever else a build consists of at this moment. */
function killChild({ running }: Farm, random: Numbers): void {
  const children = Object.values(running).flatMap(({ child }) => childrenOf(child.pid as number))
  if (children.length === 0) return
  const chosen = random.of(children)
  try {
    process.kill(chosen, 'SIGKILL')
  } catch {
    // It was faster.
  }
}

/** Signs what there is to sign, as it comes. */
async function signUntil(world: FarmWorld, isDone: () => boolean): Promise<void> {
  for (let seen = 0; !isDone(); await sleep(100)) {
    if (world.requests() === seen) continue
    seen = world.requests()
    await world.signAll()
  }
}

const kills = isWholeSuite ? 40 : 3
const victims = ['child', 'controller', 'builder'] as const
const mostWaitMs = isWholeSuite ? 900_000 : 240_000

if (isTurn(0))
  test(
    'whatever is killed, whenever, the same comes to the mirror',
    {
      ...needs('make', 'git', 'tar'),
      ...needsPostgres(),
      ...(existsSync('/proc/self/stat') ? {} : { skip: 'no /proc to find processes in' }),
    },
    async (t) => {
      const wanted = await undisturbed()
      assert.equal(wanted.length, ports.length)
      const world = await newWorld()
      const seed = Date.now() % 1_000_000
      t.diagnostic(`seed ${seed}`)
      const random = numbers(seed)
      const farm = await startFarm(world)
      const began = Date.now()
      const isOver = (): boolean => namesOn(world.mirror).length === wanted.length || Date.now() - began > mostWaitMs
      try {
        commitAll(world)
        const signing = signUntil(world, isOver)
        await askHere(farmResume, world.farm, '--branch', 'stable')
        for (let i = 0; i < kills; i++) {
          await sleep(200 + random.below(2000))
          // Each in turn, so that a short run has all of them.
          const victim = victims[i % victims.length]
          if (victim === 'controller' || victim === 'builder') await killServer(farm, victim)
          else killChild(farm, random)
        }
        await signing
        assert.deepEqual(contentsOf(world.mirror), wanted, farm.running.controller.said())
      } finally {
        for (const { child } of Object.values(farm.running)) child.kill('SIGTERM')
        for (const one of Object.values(farm.running)) await one.ended()
        world.remove()
      }
    },
  )
