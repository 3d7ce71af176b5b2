import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cut } from '../../src/command/cut.ts'
import { enroll } from '../../src/command/enroll.ts'
import { init } from '../../src/command/init.ts'
import { publish } from '../../src/command/publish.ts'
import { hostStepRunner } from '../../src/host/step-runner.ts'
import { runCommand } from './run-command.ts'
import type { Command, Context } from '../../src/command/command.ts'
import type { Outcome } from './run-command.ts'

/** A repository in a folder and machines that follow it, by the verbs themselves. The clock is ours. */
export type Fleet = {
  readonly at: (...names: readonly string[]) => string
  /** In milliseconds. */
  readonly clock: { now(): number; set(milliseconds: number): void; pass(days: number): void }
  /** Cuts and publishes a release of `base`. */
  release(revision: string, ...words: readonly string[]): Promise<Outcome>
  /** A verb on the repository's side. */
  run(command: Command, ...words: readonly string[]): Promise<Outcome>
  /** A machine with the release 1, that follows the channel. */
  machine(files?: Readonly<Record<string, string>>): Promise<Machine>
  remove(): void
}

export type Machine = {
  readonly root: string
  run(command: Command, words?: readonly string[], overrides?: Partial<Context>): Promise<Outcome>
  version(): string
  write(path: string, text: string): void
}

export const keysOf = (at: Fleet['at']): readonly string[] => ['-r', at('repo'), '-k', at('keys')]

export async function openFleet(start = Date.UTC(2026, 0, 1)): Promise<Fleet> {
  const work = mkdtempSync(join(tmpdir(), 'bindery-fleet-'))
  const at: Fleet['at'] = (...names) => join(work, ...names)
  let now = start
  const clock: Fleet['clock'] = { now: () => now, set: (to) => void (now = to), pass: (days) => void (now += days * 86_400_000) }
  const run: Fleet['run'] = async (command, ...words) => await runCommand(command, words, { clock })
  const good = async (command: Command, ...words: readonly string[]): Promise<void> => {
    const { status, error } = await run(command, ...words)
    assert.equal(status, 0, `${command.name}: ${error?.message ?? ''}`)
  }
  await good(init, ...keysOf(at), '--no-passphrase')
  let machines = 0
  return {
    at,
    clock,
    run,
    release: async (revision, ...words) => {
      writeFiles(at(`tree-${revision}`), { version: revision })
      const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
      await good(cut, at(`tree-${revision}`), '-o', at(`${revision}.tar`), ...name)
      return await run(publish, ...keysOf(at), ...words, at(`${revision}.tar`))
    },
    machine: async (files = {}) => {
      const machine = machineAt(at(`machine-${++machines}`), clock)
      writeFiles(machine.root, { version: '1', ...files })
      const words = [`file://${at('repo')}/`, at('repo/metadata/1.root.json'), 'base/amd64', '--release', 'base-1-20260101-amd64']
      const { status, error } = await machine.run(enroll, words)
      assert.equal(status, 0, error?.message)
      return machine
    },
    remove: () => rmSync(work, { recursive: true }),
  }
}

function machineAt(root: string, clock: Context['clock']): Machine {
  return {
    root,
    run: async (command, words = [], overrides = {}) =>
      await runCommand(command, words, { root, clock, steps: hostStepRunner(root), ...overrides }),
    version: () => readFileSync(join(root, 'version'), 'utf8'),
    write: (path, text) => writeFiles(root, { [path]: text }),
  }
}

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}
