import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { memoryBoot } from '../../src/host/boot.ts'
import { hostHttp } from '../../src/host/http.ts'
import { runCommand } from './run-command.ts'
import type { Command, Context } from '../../src/command/command.ts'
import type { HttpClient } from '../../src/port/http.ts'
import type { StepRunner } from '../../src/port/step-runner.ts'
import type { Outcome } from './run-command.ts'

/** Where the repository of a fixture was when it was made; the state says so for ever. */
export const address = 'file:///tmp/bindery-fixture/repo/'
export const name = ['--date', '20260101', '--arch', 'amd64']

/** A machine with its repository, as `make fixtures` packs them: `root`, `repo`, `keys`, `made` (its time), `formats`. */
export type Fixture = {
  readonly folder: string
  /** On the machine, at the time of the fixture, in the nth start of it. */
  on(command: Command, words?: readonly string[], change?: Partial<Context>): Promise<Outcome>
  /** The maker's half. */
  maker(command: Command, ...words: readonly string[]): Promise<Outcome>
}

const steps: StepRunner = { run: async () => await Promise.resolve({ kind: 'ended', status: 0, lastLine: '' }) }

export function openFixture(folder: string): Fixture {
  const made = Number(readFileSync(join(folder, 'made'), 'utf8'))
  const clock = { now: () => made + 3_600_000 }
  const http = movedTo(folder)
  return {
    folder,
    on: async (command, words = [], change = {}) =>
      await runCommand(command, words, { root: join(folder, 'root'), clock, http, steps, boot: memoryBoot({ id: 'another' }), ...change }),
    maker: async (command, ...words) => await runCommand(command, words, { clock }),
  }
}

function movedTo(folder: string): HttpClient {
  const http = hostHttp()
  return { get: async (request) => await http.get({ ...request, url: request.url.replace(address, `file://${folder}/repo/`) }) }
}

export function unpackFixture(archive: string, folder: string): Fixture {
  execFileSync('tar', ['-xpf', archive, '--numeric-owner', '-C', folder])
  return openFixture(folder)
}

export const fixtures = globSync('test/fixtures/machine-*.tar.gz').sort()

/** `journal 1`: the formats that the code names, with their versions. */
export function formatsOfCode(): readonly string[] {
  const texts = globSync('src/{format,engine/client,command,host}/**/*.ts').map((file) => readFileSync(file, 'utf8'))
  const found = texts.flatMap((text) => [...text.matchAll(/['`]bindery-([a-z-]+ [1-9][0-9]*)(?=['`\\])/g)].map(([, format = '']) => format))
  return [...new Set(found)].sort()
}
