import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chanceOf, countAt, readBlockLog, replay } from './block-log.ts'
import { copyImage, fileSystems, makeImage, onLoggingDisk, withImage } from './file-systems.ts'
import { fingerprintOf } from './fingerprint.ts'
import { journalOf, look, mixtureFaults, startFaults, wholeFaults } from './judge.ts'
import { recoverFaults, repositoryFaults } from './kill.ts'
import { makePlace, tryPoints } from './machines.ts'
import { environmentOf, recoveries, scenarios } from './scenarios.ts'
import { makeBundle } from './site.ts'
import { countFiles, readRepository } from './repository-judge.ts'
import type { BlockLog } from './block-log.ts'
import type { FileSystem } from './file-systems.ts'
import type { Machine, Sides } from './judge.ts'
import type { Counts, Known } from './kill.ts'
import type { Options, Point, Row } from './machines.ts'
import type { Place, Scenario } from './scenarios.ts'

/**
 * Power cuts: all that a run writes to its disk is written down, down to the sectors; what the disk would hold if the power failed is made
 * an image of, mounted, judged, recovered, and judged again.
 */

export type PowerOptions = Options & {
  /** File systems by name; all where it is undefined. */
  readonly systems: readonly string[] | undefined
  /** Of each run on each file system; undefined: as many as is usual for it. */
  readonly images: number | undefined
}

const names = ['install', 'rollback', 'recover', 'undo', 'publish', 'prune', 'bundle']

export async function torturePower(options: PowerOptions): Promise<readonly Row[]> {
  const place = await makePlace(options.work)
  if (options.only?.includes('bundle') !== false) makeBundle(place.work)
  const rows: Row[] = []
  for (const system of fileSystems.filter(({ name }) => options.systems?.includes(name) !== false)) {
    for (const scenario of scenarios.filter(({ name }) => names.includes(name) && options.only?.includes(name) !== false)) {
      const known = await record(system, scenario, place)
      const points = powerPoints(known, options.images ?? system.images)
      rows.push(await tryPoints(options, `${scenario.name}, power cut on ${system.name}`, points))
      options.tell(`    of ${known.log.records.length} writes and flushes; ${known.judged.size} different machines`)
    }
    if (system.name === 'ext4' && options.only?.includes('mutant') !== false) rows.push(await tryMutant(options, place))
  }
  return rows
}

/** A run that was written down. */
export type Recorded = {
  readonly system: FileSystem
  readonly scenario: Scenario
  /** Its root is below where images are mounted. */
  readonly place: Place
  readonly image: string
  readonly log: BlockLog
  /** How many records there were when it began, and when it had ended. */
  readonly begun: number
  readonly ended: number
  readonly known: Known
  /** What was found of machines that were judged, by their fingerprints. */
  readonly judged: Map<string, readonly string[]>
}

export async function record(system: FileSystem, scenario: Scenario, { work }: Place, words: readonly string[] = []): Promise<Recorded> {
  const [disk, image, file] = [join(work, 'disk'), join(work, `${system.name}.image`), join(work, 'blocks')]
  const place = { work, root: join(disk, 'root') }
  await makeImage(system, join(work, scenario.from), image)
  copyImage(image, `${image}.used`)
  const seen = await onLoggingDisk(system, { image: `${image}.used`, log: file, disk }, async (written) => {
    const before = await lookAt(scenario, place)
    const stop = keepSyncing(join(disk, 'bystander'))
    const begun = written()
    await runToEnd(scenario, place, words)
    const ended = written()
    await stop()
    return { begun, ended, known: await before.untilNow() }
  })
  const log = readBlockLog(file)
  const [begun, ended] = [countAt(log, seen.begun), countAt(log, seen.ended)]
  return { system, scenario, place, image, log, begun, ended, known: seen.known, judged: new Map() }
}

/** What is to be expected of the images: machines between two sides, or a repository of one of two versions. */
async function lookAt({ kind, sides }: Scenario, { work, root }: Place): Promise<{ untilNow(): Promise<Known> }> {
  if (kind === 'repository') {
    const { version } = readRepository(root)
    return { untilNow: async () => ({ versions: [version, readRepository(root).version], files: countFiles(root) }) }
  }
  const before = await look(sides === undefined ? root : join(work, sides[0]))
  return { untilNow: async () => ({ before, after: await look(sides === undefined ? root : join(work, sides[1])) }) }
}

async function runToEnd(scenario: Scenario, place: Place, words: readonly string[]): Promise<void> {
  const [program, ...rest] = scenario.command(place)
  const child = spawn(program, [...words, ...rest], { env: environmentOf(place), stdio: ['ignore', 'ignore', 'pipe'] })
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const status = await new Promise<number | null>((done) => child.once('close', done))
  if (status !== 0 && status !== 6) throw new Error(`${scenario.name}: exit status ${String(status)}: ${text}`)
}

/** Somebody else syncs files of his own, by which a file system writes down what others have done so far, their contents not yet. */
function keepSyncing(file: string): () => Promise<void> {
  const script = 'while [ ! -e "$0.stop" ]; do date >"$0"; sync "$0"; sleep 0.01; done'
  const child = spawn('sh', ['-c', script, file], { stdio: 'ignore' })
  const closed = new Promise<void>((done) => child.once('close', () => done()))
  return async () => {
    writeFileSync(`${file}.stop`, '')
    await closed
  }
}

/** Half of them in the order in which it was written, all over the run; half with any legal part of what was not flushed lost. */
export function powerPoints(recorded: Recorded, images: number): readonly Point[] {
  const { log, begun } = recorded
  const span = log.records.length - begun
  const inOrder = Math.min(Math.ceil(images / 2), span + 1)
  return Array.from({ length: images }, (_, i) => {
    const random = chanceOf(i)
    const isInOrder = i % 2 === 0 && i / 2 < inOrder
    const count = begun + (isInOrder ? Math.round(((i / 2) * span) / Math.max(inOrder - 1, 1)) : Math.floor(random() * (span + 1)))
    const chance = isInOrder ? 0 : ([0.1, 0.5, 0.9] as const)[Math.floor(random() * 3)]
    const name = `behind ${count} of ${log.records.length}, ${isInOrder ? 'in order' : `${String(chance)} lost, seed ${i}`}`
    return { name, faults: async () => await cutFaults(recorded, { count, chance: chance ?? 0, random }, i) }
  })
}

type Moment = { readonly count: number; readonly chance: number; readonly random: () => number }

async function cutFaults(recorded: Recorded, moment: Moment, turn: number): Promise<readonly string[]> {
  const { image, log, system, place } = recorded
  const left = `${image}.left`
  copyImage(image, left)
  replay(log, left, { ...moment, sector: system.sector })
  try {
    return await withImage(system, left, join(place.work, 'disk'), async () => await imageFaults(recorded, moment.count, turn))
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

async function imageFaults(recorded: Recorded, count: number, turn: number): Promise<readonly string[]> {
  const { scenario, place, judged } = recorded
  const recovery = scenario.kind === 'machine' ? recoveryOf(scenario, place, turn) : undefined
  const isDone = count >= recorded.ended
  const key = [fingerprintOf(place.root).machine, recovery?.at(0), recovery?.at(-1) === '--undo', isDone].join(' ')
  const before = judged.get(key)
  if (before !== undefined) return before
  const faults = await (recovery === undefined ? publishedFaults(recorded, isDone) : machineFaults(recorded, recovery, isDone))
  judged.set(key, faults)
  return faults
}

type Recovery = readonly [string, ...string[]]

/** Two turns by each of them, one forward and one back. */
function recoveryOf(scenario: Scenario, place: Place, turn: number): Recovery {
  const ways = recoveries(scenario, place)
  const way = ways[(turn >> 1) % ways.length] as Recovery
  return ((turn >> 2) & 1) === 1 ? [...way, '--undo'] : way
}

async function machineFaults({ scenario, place, known }: Recorded, recovery: Recovery, isDone: boolean): Promise<readonly string[]> {
  const sides = known as Sides
  const cut = await look(place.root)
  const done = isDone ? doneFaults(place, cut, scenario.name === 'undo' ? sides.before : sides.after) : []
  const faults = [...mixtureFaults(cut, sides), ...startFaults(place.root), ...done]
  return [...faults, ...(await recoverFaults(recovery, place, cut, sides))]
}

async function publishedFaults({ scenario, place, known }: Recorded, isDone: boolean): Promise<readonly string[]> {
  const counts = known as Counts
  const { version } = readRepository(place.root)
  const done = isDone && version !== counts.versions[1] ? [`it had ended: version ${version}`] : []
  return [...done, ...repositoryFaults(scenario, place, counts)]
}

/** What has ended well is not lost any more; rests may come back. */
function doneFaults({ root }: Place, seen: Machine, after: Machine): readonly string[] {
  const faults = wholeFaults(seen, after).filter((fault) => !fault.startsWith('left in the state'))
  return [...faults, ...(journalOf(root) === undefined ? [] : ['a journal'])].map((fault) => `it had ended: ${fault}`)
}

/** A client that syncs nothing: the row is bad if none of its images is. */
async function tryMutant(options: PowerOptions, place: Place): Promise<Row> {
  const started = performance.now()
  const what = 'install without syncs on ext4, to be found out'
  const found = await findMutant(place, 200)
  options.tell(`${what}: ${found.fault ?? 'it lost nothing'} (image ${found.tried})`)
  const minutes = (performance.now() - started) / 60_000
  return { what, points: 200, tried: found.tried, bad: found.fault === undefined ? 1 : 0, minutes }
}

/** How many images were tried until one was bad, and what is wrong with it. */
export async function findMutant(place: Place, images: number): Promise<{ readonly tried: number; readonly fault: string | undefined }> {
  const [system] = fileSystems as readonly [FileSystem]
  const install = scenarios.find(({ name }) => name === 'install') as Scenario
  const recorded = await record(system, install, place, ['--import', join(import.meta.dirname, 'without-sync.ts')])
  for (const [i, point] of powerPoints(recorded, images).entries()) {
    const [fault] = (await point.faults()) ?? []
    if (fault !== undefined) return { tried: i + 1, fault: `${point.name}: ${fault}` }
  }
  return { tried: images, fault: undefined }
}
