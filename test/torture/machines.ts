import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { baseTools } from '../helpers/base-tools.ts'
import { errorFaults, errors } from './errors.ts'
import { killFaults } from './kill.ts'
import { interruptInstall, prepare } from './prepare.ts'
import { runOf, scenarios } from './scenarios.ts'
import { makeSite } from './site.ts'
import { withSameNames } from './strace.ts'
import type { Place, Scenario } from './scenarios.ts'
import type { Call, FailingCall } from './strace.ts'

/** Which points are tried: every `slice`th, the first being `turn`; of the scenarios all or `only` these. */
export type Options = {
  readonly work: string
  readonly slice: number
  readonly turn: number
  /** Points before that one are left out. */
  readonly from?: number
  readonly only: readonly string[] | undefined
  readonly tell: (line: string) => void
}

/** A line of the table: how many points there are, how many were tried, how many of those came out wrong. */
export type Row = { readonly what: string; readonly points: number; readonly tried: number; readonly bad: number; readonly minutes: number }

export async function tortureKills(options: Options): Promise<readonly Row[]> {
  return await tortureAll(options, scenarios, 'killed', killPoints)
}

export async function tortureErrors(options: Options): Promise<readonly Row[]> {
  return await tortureAll(options, scenarios, 'calls failed', errorPoints)
}

/** Behind each call that changes something. */
export async function killPoints(scenario: Scenario, place: Place): Promise<readonly Point[]> {
  const { calls, known } = await prepare(scenario, place)
  return calls.map((call, i) => ({
    name: `behind ${show(call)}`,
    faults: async () => await killFaults(scenario, place, { known, call, turn: i }),
  }))
}

/**
 * Each such call with each error. Calls of several threads that have the same number fail together, and of programs in sh, which start another
 * one for each call, all of a kind that have a name.
 */
export async function errorPoints(scenario: Scenario, place: Place): Promise<readonly Point[]> {
  const { calls, known } = await prepare(scenario, place, withSameNames(runOf(scenario, place)))
  const whichOf = ({ kind, file, inThread, inFile }: FailingCall): string => [kind, file, file === '' ? inThread : inFile].join(' ')
  const failing = scenario.name === 'bundle' ? calls.flatMap(ofName) : calls
  const apart = [...new Map(failing.map((call) => [whichOf(call), call])).values()]
  const names = Object.keys(errors)
  // One after the other has another error, so that a slice has all of them.
  const pairs = names.flatMap((_, turn) => apart.map((call, i) => ({ call, error: names[(i + turn) % names.length] as string })))
  return pairs.map(({ call, error }) => ({
    name: `${error} of ${show(call)}`,
    faults: async () => await errorFaults(scenario, place, { known, call, error }),
  }))
}

/** By the name as it is written, which strace(1) compares; a lock and what mktemp(1) makes have another name each time, and go by number. */
function ofName(call: Call): readonly FailingCall[] {
  if (call.path === '') return []
  const [, name = call.path] = /AT_FDCWD<[^>]*>, "([^"]+)"/.exec(call.text) ?? []
  return [/\/lock\/\d+\.|\/bindery\.\w{10}/.test(name) ? { ...call, file: '' } : { ...call, file: name, inFile: 'each' }]
}

/** `undefined`: the point was not reached, and counts as not tried. */
export type Point = { readonly name: string; readonly faults: () => Promise<readonly string[] | undefined> }

async function tortureAll(
  options: Options,
  all: readonly Scenario[],
  what: string,
  pointsOf: (scenario: Scenario, place: Place) => Promise<readonly Point[]>,
): Promise<readonly Row[]> {
  const place = await makePlace(options.work)
  const rows: Row[] = []
  for (const scenario of all) {
    if (options.only?.includes(scenario.name) === false) continue
    const points = await pointsOf(scenario, place)
    rows.push(await tryPoints(options, `${scenario.name}, ${what}`, points))
  }
  return rows
}

/** Of what is being tried, for who stops it. */
let soFar: (() => Row) | undefined

export function rowSoFar(): Row | undefined {
  return soFar?.()
}

export async function tryPoints({ slice, turn, from = 0, tell }: Options, what: string, points: readonly Point[]): Promise<Row> {
  const started = performance.now()
  let [tried, bad] = [0, 0]
  const row = (): Row => ({ what, points: points.length, tried, bad, minutes: (performance.now() - started) / 60_000 })
  soFar = row
  for (const { name, faults } of points.filter((_, i) => i >= from && i % slice === turn % slice)) {
    // So that a signal is heard.
    await setImmediate()
    const found = await faults()
    if (found === undefined) tell(`${what}: ${name}: was not reached`)
    else tried++
    if (found === undefined || found.length === 0) continue
    bad++
    tell(
      `${what}: ${name}\n${found
        .slice(0, 6)
        .map((fault) => `    ${fault}`)
        .join('\n')}`,
    )
  }
  soFar = undefined
  const done = row()
  tell(`${what}: ${tried} of ${points.length}, ${bad} bad, ${done.minutes.toFixed(1)} min`)
  return done
}

function show({ kind, nth, text }: Pick<Call, 'kind' | 'nth' | 'text'>): string {
  return `${kind} ${nth} (${text.slice(0, 120)}`
}

const made = new Map<string, Promise<Place>>()

/** Once for all that is tried. */
export async function makePlace(work: string): Promise<Place> {
  const known = made.get(work) ?? preparePlace(work)
  made.set(work, known)
  return await known
}

async function preparePlace(work: string): Promise<Place> {
  const place = { work, root: join(work, 'root') }
  baseTools(join(work, 'tools'), 'dash', ['getfattr', 'setfattr'])
  makeSite(work)
  await interruptInstall(scenarios.find(({ name }) => name === 'install') as Scenario, place)
  return place
}
