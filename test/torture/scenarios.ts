import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Run } from './strace.ts'

/** What is tortured: verbs of the client, of the repository, and the programs in sh. */

export type Scenario = {
  readonly name: string
  /** The folder of the site that is copied and worked on. */
  readonly from: string
  /** The folders of the site that are the machine before and after, where those are not `from` and what becomes of it. */
  readonly sides?: readonly [before: string, after: string]
  readonly kind: 'machine' | 'repository'
  readonly command: (place: Place) => readonly [string, ...string[]]
}

/** The site, and the copy in it that is worked on. */
export type Place = { readonly work: string; readonly root: string }

export const bindery = (...words: readonly string[]): readonly [string, ...string[]] => [
  process.execPath,
  '--max-semi-space-size=4',
  resolve('dist/bindery.js'),
  ...words,
]

const onMachine =
  (...words: readonly string[]): Scenario['command'] =>
  ({ root }) =>
    bindery('-C', root, ...words)

export const scenarios: readonly Scenario[] = [
  { name: 'fetch', from: 'enrolled', kind: 'machine', command: onMachine('fetch') },
  { name: 'install', from: 'fetched', kind: 'machine', command: onMachine('install') },
  { name: 'rollback', from: 'installed', kind: 'machine', command: onMachine('rollback') },
  { name: 'recover', from: 'interrupted', sides: ['fetched', 'installed'], kind: 'machine', command: onMachine('recover') },
  { name: 'undo', from: 'interrupted', sides: ['fetched', 'installed'], kind: 'machine', command: onMachine('recover', '--undo') },
  {
    name: 'publish',
    from: 'first',
    kind: 'repository',
    command: ({ work, root }) => bindery('publish', '-r', root, '-k', join(work, 'keys'), join(work, 'new.tar.zst')),
  },
  {
    name: 'prune',
    from: 'repo',
    kind: 'repository',
    command: ({ work, root }) => bindery('prune', '-r', root, '-k', join(work, 'keys'), '--keep', '1'),
  },
  { name: 'bundle', from: 'plain', kind: 'machine', command: ({ work, root }) => ['sh', join(work, 'update.sh'), '-R', root] },
]

export function runOf(scenario: Scenario, place: Place): Run {
  return { command: scenario.command(place), env: environmentOf(place), place: place.root }
}

/** One thread for what waits, so that the order of calls is always the same. */
export function environmentOf({ work }: Place): NodeJS.ProcessEnv {
  const PATH = `/usr/sbin:/sbin:${process.env['PATH'] ?? ''}`
  return { PATH, UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: join(work, 'compiled'), TMPDIR: work }
}

/** By bindery, and by a program in sh that has base tools alone: what is beside the journal, or the bundle itself. */
export function recoveries(scenario: Scenario, { work, root }: Place): readonly (readonly [string, ...string[]])[] {
  const program = join(root, 'var/db/bindery/recover')
  const byBindery = bindery('-C', root, 'recover')
  const sh = join(work, 'tools/sh')
  // Where nothing is enrolled and no bundle has begun, bindery says so, and does nothing.
  const isKnown = existsSync(join(root, 'var/db/bindery/receipt'))
  if (scenario.name === 'bundle') return [[sh, join(work, 'update.sh'), '-R', root, 'recover'], ...(isKnown ? [byBindery] : [])]
  return existsSync(program) ? [byBindery, [sh, program, '-R', root]] : [byBindery]
}
