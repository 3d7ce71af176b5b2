import { statSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, line, megabytes, title } from '../demo/stage.ts'
import {
  follow,
  kill,
  momentAnywhere,
  momentInCommit,
  momentInRecovery,
  showMoment,
  type Course,
  type Killed,
  type Moment,
} from './kill.ts'
import { inside } from './machine.ts'
import { distFile, partsOf } from './publish.ts'
import { failIfAnyFailed, mustStand, type Scene } from './road.ts'
import { findStanding } from './standing.ts'

/** Kills, of what, and what came of them. */
export type Numbers = {
  /** Those that were started again after a kill, too. */
  installs: number
  rollbacks: number
  /** Of `recover` behind a killed rollback. */
  recoveries: number
  /** Of all these: while files changed places. */
  inCommit: number
  byBindery: number
  byProgram: number
  /** Rounds that ended with a new state, and those in which nothing had changed places. */
  finished: number
  untouched: number
}

/**
 * Rounds of an install from the release to the present state, and back, both killed: `count` installs in all. Each round ends with the
 * release.
 */
export async function killAndRecover(scene: Scene, count: number): Promise<Numbers> {
  title(`The same in one step from two releases behind, and back, killed ${count} times`)
  const courses = await stepOverAndBack(scene)
  const started = performance.now()
  const numbers = { installs: 0, rollbacks: 0, recoveries: 0, inCommit: 0, byBindery: 0, byProgram: 0, finished: 0, untouched: 0 }
  for (let round = 0; numbers.installs < count; round++) {
    await playRound(scene, courses, { numbers, round, most: Math.min(mostOfRound, count - numbers.installs) })
    const { installs, rollbacks, recoveries } = numbers
    const kills = `killed by now: ${installs} installs, ${rollbacks} rollbacks, ${recoveries} recoveries`
    line('and the release again', (performance.now() - started) / 1000, kills)
  }
  return numbers
}

type Courses = { readonly install: Course; readonly rollback: Course }

/** Two releases at once, left alone. */
async function stepOverAndBack(scene: Scene): Promise<Courses> {
  const { work, machine, systems, relay } = scene
  relay.takeCounts()
  const install = await follow(machine, ['install'])
  await mustStand(scene, 'present')
  const whole = partsOf(systems).reduce((sum, part) => sum + statSync(join(work, distFile(part, 'present'))).size, 0)
  line('install', install.milliseconds / 1000, `${megabytes(relay.takeCounts().received)} received, for ${megabytes(whole)} of releases`)
  const rollback = await follow(machine, back(partsOf(systems).length))
  await mustStand(scene, 'release')
  line('rollback', rollback.milliseconds / 1000, '')
  return { install, rollback }
}

function back(steps: number): readonly string[] {
  return ['rollback', '--steps', String(steps)]
}

type Round = { readonly numbers: Numbers; readonly round: number; readonly most: number }

async function playRound(scene: Scene, courses: Courses, { numbers, round, most }: Round): Promise<void> {
  const isInterrupted = await killInstalls(scene, courses.install, { numbers, round, most })
  // Where there is no node left, nor bindery: by that system's own shell and tools, in the half-replaced system.
  if (isInterrupted && numbers.byProgram * 3 <= round) {
    inside(scene.machine, ['/bin/sh', '/var/db/bindery/recover'])
    numbers.byProgram++
  } else await recover(scene, numbers)
  const steps = await stepsAhead(scene)
  numbers[steps > 0 ? 'finished' : 'untouched']++
  if (steps > 0) await killRollback(scene, { course: courses.rollback, steps, numbers })
  failIfAnyFailed(scene)
}

/** So many at most before the machine is recovered and compared. */
const mostOfRound = 10

/**
 * An install, killed, and started again as somebody would do, which recovers it first; until `most` are killed, or one comes to
 * its end. Answers whether the last left a journal.
 */
async function killInstalls({ machine }: Scene, course: Course, { numbers, round, most }: Round): Promise<boolean> {
  let isInterrupted = false
  for (let nth = 0; nth < most; nth++) {
    const fresh = nth === 0 && round % 2 === 1 ? momentAnywhere(course) : momentInCommit(course, 'first')
    const { isKilled, hasJournal } = await killAt(machine, ['install'], isInterrupted ? momentInRecovery(course, machine) : fresh, course)
    if (!isKilled) return false
    numbers.installs++
    numbers.inCommit += Number(hasJournal)
    isInterrupted = hasJournal
  }
  return isInterrupted
}

type Way = { readonly course: Course; readonly steps: number; readonly numbers: Numbers }

/** And what recovers it; then the rest of the way. */
async function killRollback(scene: Scene, { course, steps, numbers }: Way): Promise<void> {
  const rollback = await killAt(scene.machine, back(steps), momentInCommit(course), course)
  numbers.rollbacks += Number(rollback.isKilled)
  numbers.inCommit += Number(rollback.hasJournal)
  if (rollback.hasJournal) {
    const recovery = await killAt(scene.machine, ['recover'], momentInRecovery(course, scene.machine), course)
    numbers.recoveries += Number(recovery.isKilled)
    numbers.inCommit += Number(recovery.hasJournal)
  }
  if (rollback.isKilled) await recover(scene, numbers)
  const left = await stepsAhead(scene)
  if (left === 0) return
  await bindery(scene.work, ['-C', scene.machine, ...back(left)])
  await mustStand(scene, 'release')
}

async function recover({ work, machine }: Scene, numbers: Numbers): Promise<void> {
  await bindery(work, ['-C', machine, 'recover'])
  numbers.byBindery++
}

async function killAt(machine: string, verb: readonly string[], moment: Moment, course: Course): Promise<Killed> {
  try {
    return await kill(machine, verb, moment, course)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(`${verb.join(' ')}, to be killed ${showMoment(moment)}: ${text}`, { cause: error })
  }
}

/** How many releases lie between the machine, which is whole, and the release. */
async function stepsAhead({ standings, machine }: Scene): Promise<number> {
  return Object.values(await findStanding(standings, machine)).filter((state) => state !== 'release').length
}
