import { statSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, line, megabytes, title } from '../demo/stage.ts'
import { follow, kill, killWhatRecovers, momentIn, momentsOf, showMoment, type Course, type Moment } from './kill.ts'
import { inside } from './machine.ts'
import { distFile, partsOf } from './publish.ts'
import { mustStand, type Scene } from './road.ts'
import { findStanding } from './standing.ts'

/** Kills, of what, and what came of them. */
export type Numbers = {
  readonly installs: number
  readonly rollbacks: number
  /** Of what recovers: `recover`, or the same verb once more. */
  readonly again: number
  /** Of installs and rollbacks, while files changed places. */
  readonly inCommit: number
  readonly byBindery: number
  readonly byProgram: number
  /** Installs that ended with the new state, and those of which nothing had begun. */
  readonly finished: number
  readonly untouched: number
}

const none: Numbers = { installs: 0, rollbacks: 0, again: 0, inCommit: 0, byBindery: 0, byProgram: 0, finished: 0, untouched: 0 }

export function killsOf({ installs, rollbacks, again }: Numbers): number {
  return installs + rollbacks + again
}

/** What a round comes to, on average. */
const killsOfRound = 5

/**
 * Rounds of an install from the release to the present state, and back, both killed, and what recovers them: `count` kills in all. Each
 * round ends with the release.
 */
export async function killAndRecover(scene: Scene, count: number): Promise<Numbers> {
  title(`The same in one step from two releases behind, and back, killed ${count} times`)
  const courses = await stepOverAndBack(scene)
  const started = performance.now()
  let numbers = none
  while (killsOf(numbers) < count) {
    // In pairs: somewhere in the whole run, and in a commit.
    const rounds = 2 * Math.ceil((count - killsOf(numbers)) / killsOfRound / 2)
    for (const moment of momentsOf(courses.install, rounds)) {
      const before = killsOf(numbers)
      numbers = await playRound(scene, courses, { moment, numbers })
      if (Math.floor(killsOf(numbers) / 10) > Math.floor(before / 10))
        line('killed, recovered, rolled back', (performance.now() - started) / 1000, `${killsOf(numbers)} times`)
    }
  }
  line('each time', (performance.now() - started) / 1000, 'the whole machine was one state or the other, and then the release again')
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

type Round = { readonly moment: Moment; readonly numbers: Numbers }

async function playRound(scene: Scene, courses: Courses, { moment, numbers }: Round): Promise<Numbers> {
  const forth = await killAndCount(scene, { verb: ['install'], moment, course: courses.install }, numbers)
  const steps = await stepsAhead(scene)
  const isFinished = steps > 0
  const counted = { ...forth, finished: forth.finished + Number(isFinished), untouched: forth.untouched + Number(!isFinished) }
  if (!isFinished) return await stand(scene, counted)
  const home = { verb: back(steps), moment: momentIn(courses.rollback), course: courses.rollback }
  const after = await killAndCount(scene, home, counted)
  const left = await stepsAhead(scene)
  if (left > 0) await bindery(scene.work, ['-C', scene.machine, ...back(left)])
  return await stand(scene, after)
}

async function stand(scene: Scene, numbers: Numbers): Promise<Numbers> {
  await mustStand(scene, 'release')
  return numbers
}

/** How many releases lie between the machine, which is whole, and the release. */
async function stepsAhead({ standings, machine }: Scene): Promise<number> {
  return Object.values(await findStanding(standings, machine)).filter((state) => state !== 'release').length
}

/** Of what recovers an interruption, so many kills at most. */
const mostAgain = 4

/** Each fifth interruption of a commit is recovered by the program beside the journal, in the machine itself. */
const byProgramEach = 5

type Run = { readonly verb: readonly string[]; readonly moment: Moment; readonly course: Course }

async function killAndCount({ work, machine }: Scene, { verb, moment, course }: Run, before: Numbers): Promise<Numbers> {
  try {
    const { isKilled, hasJournal } = await kill(machine, verb, moment)
    const byProgram = hasJournal && before.inCommit % byProgramEach === 0
    const times = hasJournal && !byProgram ? mostAgain : 0
    const again = await killWhatRecovers(machine, verb, { milliseconds: Math.max(...course.commits), times })
    if (byProgram) inside(machine, ['/bin/sh', '/var/db/bindery/recover'])
    else await bindery(work, ['-C', machine, 'recover'])
    if (!isKilled) return before
    return {
      ...before,
      [verb[0] === 'install' ? 'installs' : 'rollbacks']: before[verb[0] === 'install' ? 'installs' : 'rollbacks'] + 1,
      again: before.again + again,
      inCommit: before.inCommit + Number(hasJournal),
      byBindery: before.byBindery + Number(!byProgram),
      byProgram: before.byProgram + Number(byProgram),
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(`after a kill of ${verb.join(' ')} ${showMoment(moment)}: ${text}`, { cause: error })
  }
}
