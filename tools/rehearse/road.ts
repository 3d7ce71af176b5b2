import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, line, megabytes, title } from '../demo/stage.ts'
import { inside } from './machine.ts'
import { followInstall, killInstall, killRecoveries, momentsOf, showMoment, type Course, type Moment } from './kill.ts'
import { distFile, partsOf, products, publishState } from './publish.ts'
import { findStanding, showStanding, type Standing, type Standings } from './standing.ts'
import type { Relay } from '../demo/relay.ts'
import type { State } from './packages.ts'
import type { Watch } from './programs.ts'
import type { Systems } from './systems.ts'

/** Where the rehearsal is played. */
export type Scene = {
  readonly work: string
  readonly machine: string
  readonly systems: Systems
  readonly relay: Relay
  readonly standings: Standings
  readonly watch: Watch
}

export type Numbers = {
  readonly kills: number
  readonly inCommit: number
  /** Of the kills, how many were of a recovery. */
  readonly again: number
  readonly recovered: { readonly byBindery: number; readonly byProgram: number }
  readonly finished: number
  readonly untouched: number
}

/** To each release as it appears, and all of it back at once. */
export async function takeEachUpdate(scene: Scene): Promise<void> {
  title('A machine of the release follows them, programs in it starting all the time')
  const { work, machine, systems, relay } = scene
  const channels = partsOf(systems).map((part) => `${products[part]}/amd64`)
  const enroll = await bindery(work, ['-C', machine, 'enroll', relay.url, 'repo/metadata/1.root.json', ...channels])
  line(`enroll ${channels.join(' ')}`, enroll.seconds, `${megabytes(relay.takeCounts().received)} received`)
  await update(scene, 'halfway')
  await publishState(work, systems, 'present')
  await update(scene, 'present')
  const steps = 2 * channels.length
  const rollback = await bindery(work, ['-C', machine, 'rollback', '--steps', String(steps)])
  await mustStand(scene, 'release')
  line(`rollback --steps ${steps}`, rollback.seconds, 'exactly the release again: contents, modes, owners, times, links')
}

/** One install to the newest release, from wherever the machine is. */
export async function update(scene: Scene, to: State): Promise<Course> {
  const { work, machine, relay } = scene
  relay.takeCounts()
  const fetched = await bindery(work, ['-C', machine, 'fetch'])
  line('fetch', fetched.seconds, `${megabytes(relay.takeCounts().received)} received`)
  const course = await followInstall(machine)
  await mustStand(scene, to)
  const commits = course.commits.map((milliseconds) => `${milliseconds.toFixed(0)} ms`).join(', ')
  line('install', course.milliseconds / 1000, `the ${to} state; files changed places for ${commits}`)
  const audit = await bindery(work, ['-C', machine, 'audit'])
  line('audit', audit.seconds, 'no difference from the signed manifests')
  verifyByDpkg(machine)
  line('dpkg --verify', undefined, 'nor from what its packages say')
  return course
}

/** The packages' own digests, which came another way than ours. */
function verifyByDpkg(machine: string): void {
  const found = execFileSync('dpkg', [`--root=${machine}`, '--verify'], { encoding: 'utf8' })
  if (found !== '') throw new Error(`dpkg --verify:\n${found}`)
}

async function mustStand(scene: Scene, wanted: State): Promise<void> {
  const standing = await findStanding(scene.standings, scene.machine)
  if (Object.values(standing).some((state) => state !== wanted)) throw new Error(`${showStanding(standing)} instead of ${wanted}`)
  failIfAnyFailed(scene)
}

function failIfAnyFailed({ watch }: Scene): void {
  const { started, failures } = watch.counts()
  if (failures.length > 0) throw new Error(`of ${started} programs ${failures.length} failed:\n${failures.slice(0, 20).join('\n')}`)
}

/** What an install and the kills of its recovery come to, on average. */
const killsOfOne = 3

/**
 * Kills the install from the release to the present state, and what recovers it, `count` times in all, and makes the machine whole again
 * after each install.
 */
export async function killAndRecover(scene: Scene, count: number): Promise<Numbers> {
  title(`The same in one step from two releases behind, killed ${count} times`)
  const course = await stepOver(scene)
  await backToRelease(scene)
  let numbers: Numbers = { kills: 0, inCommit: 0, again: 0, recovered: { byBindery: 0, byProgram: 0 }, finished: 0, untouched: 0 }
  const started = performance.now()
  while (numbers.kills < count) {
    for (const moment of momentsOf(course, Math.ceil((count - numbers.kills) / killsOfOne))) {
      const { kills } = numbers
      numbers = await killOnce(scene, { moment, course }, numbers)
      if (Math.floor(numbers.kills / 10) > Math.floor(kills / 10))
        line('killed, recovered, rolled back', (performance.now() - started) / 1000, `${numbers.kills} times`)
    }
  }
  line('each time', (performance.now() - started) / 1000, 'the whole machine was one state or the other, and then the release again')
  return numbers
}

/** Two releases at once, left alone. */
async function stepOver(scene: Scene): Promise<Course> {
  const { work, machine, systems, relay } = scene
  relay.takeCounts()
  const course = await followInstall(machine)
  await mustStand(scene, 'present')
  const whole = partsOf(systems).reduce((sum, part) => sum + statSync(join(work, distFile(part, 'present'))).size, 0)
  line('install', course.milliseconds / 1000, `${megabytes(relay.takeCounts().received)} received, for ${megabytes(whole)} of releases`)
  return course
}

type Kill = { readonly moment: Moment; readonly course: Course }

/** Of a recovery by bindery, so many kills more. */
const mostAgain = 4

async function killOnce(scene: Scene, { moment, course }: Kill, before: Numbers): Promise<Numbers> {
  try {
    const { isKilled, hasJournal } = await killInstall(scene.machine, moment)
    const byProgram = hasJournal && before.inCommit % 5 === 0
    const again = { milliseconds: Math.max(...course.commits), times: hasJournal && !byProgram ? mostAgain : 0 }
    const times = await killRecoveries(scene.machine, again)
    if (byProgram) inside(scene.machine, ['/bin/sh', '/var/db/bindery/recover'])
    else await bindery(scene.work, ['-C', scene.machine, 'recover'])
    const isFinished = Object.values(await findStanding(scene.standings, scene.machine)).includes('present')
    await backToRelease(scene)
    return isKilled ? addKill(before, { hasJournal, again: times, byProgram, isFinished }) : before
  } catch (error) {
    throw new Error(`after a kill ${showMoment(moment)}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

function addKill(
  before: Numbers,
  kill: { readonly hasJournal: boolean; readonly again: number; readonly byProgram: boolean; readonly isFinished: boolean },
): Numbers {
  const { byBindery, byProgram } = before.recovered
  return {
    kills: before.kills + 1 + kill.again,
    again: before.again + kill.again,
    inCommit: before.inCommit + Number(kill.hasJournal),
    recovered: { byBindery: byBindery + Number(!kill.byProgram), byProgram: byProgram + Number(kill.byProgram) },
    finished: before.finished + Number(kill.isFinished),
    untouched: before.untouched + Number(!kill.isFinished),
  }
}

async function backToRelease(scene: Scene): Promise<void> {
  const standing: Standing = await findStanding(scene.standings, scene.machine)
  const steps = Object.values(standing).filter((state) => state !== 'release').length
  if (steps > 0) await bindery(scene.work, ['-C', scene.machine, 'rollback', '--steps', String(steps)])
  await mustStand(scene, 'release')
}
