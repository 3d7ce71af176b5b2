import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** When a run is killed: so long after its start, or in its nth journal, from which on files change places, after so much of the time that this takes. */
export type Moment =
  | { readonly kind: 'from start'; readonly milliseconds: number }
  | { readonly kind: 'in commit'; readonly journal: number; readonly share: number }

/** How long a run takes, and how long each of its journals lay there. */
export type Course = { readonly milliseconds: number; readonly commits: readonly Commit[] }
type Commit = { readonly channels: string; readonly milliseconds: number }

/** Anywhere in the whole run. */
export function momentAnywhere({ milliseconds }: Course): Moment {
  return { kind: 'from start', milliseconds: Math.random() * milliseconds }
}

/** While files change places, which is short and would be missed; of the first channel that is left, or of any. */
export function momentInCommit({ commits }: Course, which: 'first' | 'any' = 'any'): Moment {
  return { kind: 'in commit', journal: which === 'first' ? 0 : Math.floor(Math.random() * commits.length), share: Math.random() }
}

/** A verb takes so long to find that one before it was interrupted. */
const startMilliseconds = 500

/** In a run that first recovers the interrupted one that has left its journal. */
export function momentInRecovery(course: Course, machine: string): Moment {
  return { kind: 'from start', milliseconds: Math.random() * (lengthOfCommit(course, machine) + startMilliseconds) }
}

/** How long the journal that lies there takes by itself. */
function lengthOfCommit({ commits }: Course, machine: string): number {
  const channels = channelsOf(machine)
  const same = commits.find((commit) => commit.channels === channels)
  return same?.milliseconds ?? Math.max(...commits.map(({ milliseconds }) => milliseconds))
}

/** A run that is left alone, watched. */
export async function follow(machine: string, verb: readonly string[]): Promise<Course> {
  const started = performance.now()
  const commits: Commit[] = []
  const { ended } = start(machine, verb)
  let isOver = false
  const status = ended.finally(() => (isOver = true))
  while (await journalIs(machine, 'there', () => isOver)) {
    const written = performance.now()
    const channels = channelsOf(machine)
    await journalIs(machine, 'gone', () => isOver)
    commits.push({ channels, milliseconds: performance.now() - written })
  }
  const { code, text } = await status
  if (code !== 0) throw new Error(`${verb.join(' ')}: exit status ${String(code)}\n${text}`)
  return { milliseconds: performance.now() - started, commits }
}

export type Killed = { readonly isKilled: boolean; readonly hasJournal: boolean }

/** All its processes at once, without warning, as a power cut does; not killed when it was over before. */
export async function kill(machine: string, verb: readonly string[], moment: Moment, course: Course): Promise<Killed> {
  const { child, ended } = start(machine, verb)
  let isOver = false
  const over = ended.finally(() => (isOver = true))
  for (let journal = 0; moment.kind === 'in commit' && journal <= moment.journal; journal++) {
    if (journal > 0) await journalIs(machine, 'gone', () => isOver)
    await journalIs(machine, 'there', () => isOver)
  }
  const milliseconds = moment.kind === 'from start' ? moment.milliseconds : moment.share * lengthOfCommit(course, machine)
  await Promise.race([sleep(milliseconds), over])
  if (!isOver && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  const { code, text } = await over
  if (code !== null && code !== 0) throw new Error(`${verb.join(' ')}: exit status ${code}\n${text}`)
  return { isKilled: code === null, hasJournal: existsSync(journalOf(machine)) }
}

export function showMoment(moment: Moment): string {
  return moment.kind === 'from start'
    ? `${moment.milliseconds.toFixed(0)} ms after its start`
    : `behind ${(100 * moment.share).toFixed(0)} % of its journal ${moment.journal + 1}`
}

type Running = { readonly child: ChildProcess; readonly ended: Promise<{ readonly code: number | null; readonly text: string }> }

/** What runs on the machine: whoever ends the rehearsal ends them. */
const running = new Set<ChildProcess>()

export function endRunning(): void {
  for (const { pid } of running) if (pid !== undefined) process.kill(-pid, 'SIGKILL')
}

function start(machine: string, verb: readonly string[]): Running {
  const child = spawn(resolve('bin/bindery'), ['-C', machine, ...verb], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  running.add(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const ended = new Promise<{ code: number | null; text: string }>((done) => child.once('close', (code) => done({ code, text })))
  return { child, ended: ended.finally(() => running.delete(child)) }
}

async function journalIs(machine: string, state: 'there' | 'gone', isOver: () => boolean): Promise<boolean> {
  const wanted = state === 'there'
  while (existsSync(journalOf(machine)) !== wanted) {
    if (isOver()) return false
    await sleep(1)
  }
  return true
}

/** Whose files the journal moves; of nobody where it is gone again. */
function channelsOf(machine: string): string {
  try {
    return [...readFileSync(journalOf(machine), 'latin1').matchAll(/^release (\S+)/gm)].map(([, channel]) => channel).join()
  } catch {
    return ''
  }
}

function journalOf(machine: string): string {
  return join(machine, 'var/db/bindery/journal')
}
