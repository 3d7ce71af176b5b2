import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { basename, join, resolve } from 'node:path'
import { sign } from '../../../src/command/sign.ts'
import { packageKey } from '../openbsd-mirror/mirror.ts'
import { plantPort, plantPorts, portsEnvironment } from '../ports-tree/plant.ts'
import { runCommand } from '../run-command.ts'
import { farmFolder } from '../farm-database.ts'
import type { ChildProcess } from 'node:child_process'
import type { PortFacts } from '../ports-tree/plant.ts'

/** A whole farm in folders: a ports tree in git, a signer with a key, a mirror, a controller that is run as a process. */
export type FarmWorld = {
  readonly folder: string
  readonly farm: string
  readonly mirror: string
  /** A commit to the stable branch. */
  commit(message: string, port: PortFacts): void
  /** Signs the requests on another machine, and drops what comes of them into the farm. */
  signAll(): Promise<number>
  /** Signs them, and answers the files that come of it. */
  sign(): Promise<readonly string[]>
  /** How many there are. */
  requests(): number
  /** Names of the published packages. */
  published(): readonly string[]
  /** With `path` before the programs of the system. */
  start(words: readonly string[], path?: string): Running
  remove(): void
}

export type Running = {
  readonly child: ChildProcess
  /** All that it has said until now. */
  said(): string
  /** Resolves when it has said something that matches; rejects when it ends before, or has not by and by. */
  heard(pattern: RegExp): Promise<void>
  ended(): Promise<number | NodeJS.Signals | null>
}

export async function farmWorld(databaseUrl: string | undefined, more = ''): Promise<FarmWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'bindery-world-'))
  const at = (name: string): string => join(folder, name)
  plantPorts(at('ports'), [port('net/a', '1.0'), port('net/b', '2.0')])
  git(at('ports'), 'init', '-q', '-b', 'stable')
  writeFileSync(join(at('ports'), '.gitignore'), 'packages/\npobj/\nbulk/\n*.tgz\n')
  commitAll(at('ports'), 'release')
  git(at('ports'), 'tag', 'release')
  await makeFarm(at('farm'), databaseUrl === undefined)
  writeFileSync(join(at('farm'), 'farm.toml'), configText(folder, more))
  const pair = await packageKey('farm-pkg', 1)
  writeFileSync(at('signer.sec'), pair.secretKeyFile)
  writeFileSync(join(at('farm'), 'signer.pub'), pair.publicKeyFile)
  mkdirSync(at('mirror'))
  return {
    folder,
    farm: at('farm'),
    mirror: at('mirror'),
    commit: (message, facts) => {
      plantPort(at('ports'), facts)
      commitAll(at('ports'), message)
    },
    signAll: async () => await signAll(folder),
    sign: async () => await signRequests(folder),
    requests: () =>
      existsSync(join(at('farm'), 'request'))
        ? readdirSync(join(at('farm'), 'request')).filter((name) => /^[^.].*\.tar$/.test(name)).length
        : 0,
    published: () => packagesIn(join(at('farm'), 'public/7.6/packages-stable/amd64')),
    start: (words, path) => start(words, databaseUrl, path),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

export function port(pkgpath: string, version: string, build?: string): PortFacts {
  return { pkgpath, version, ...(build === undefined ? {} : { build }) }
}

async function makeFarm(farm: string, isEmbedded: boolean): Promise<void> {
  mkdirSync(farm)
  if (!isEmbedded) return
  const template = await farmFolder()
  cpSync(template, farm, { recursive: true })
  rmSync(template, { recursive: true })
}

function configText(folder: string, more: string): string {
  const flags = ['--ports', join(folder, 'ports'), ...portsEnvironment('amd64').flatMap((setting) => ['--env', setting])]
  return `key = "signer.pub"
lease = 10

[branch.stable]
release = "7.6"
git = ${JSON.stringify(join(folder, 'ports'))}
from = "release"
to = "stable"
archs = ["amd64"]
every = 1

[builder.here]
arch = "amd64"
flags = ${JSON.stringify(flags)}

[retry]
first = 1

[mirrors]
bring = [${JSON.stringify(join(folder, 'mirror'))}]
${more}`
}

function commitAll(ports: string, message: string): void {
  git(ports, 'add', '-A')
  git(ports, '-c', 'user.name=p', '-c', 'user.email=p@example.org', 'commit', '-q', '-m', message)
}

function git(folder: string, ...words: readonly string[]): void {
  execFileSync('git', ['-C', folder, ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
}

let count = 0

async function signAll(folder: string): Promise<number> {
  const signed = join(folder, 'farm', 'signed')
  mkdirSync(signed, { recursive: true })
  const files = await signRequests(folder)
  for (const file of files) renameSync(file, join(signed, basename(file)))
  return files.length
}

async function signRequests(folder: string): Promise<readonly string[]> {
  const requests = join(folder, 'farm', 'request')
  const files: string[] = []
  for (const name of readdirSync(requests).filter((one) => one.endsWith('.tar') && !one.startsWith('.'))) {
    const out = join(folder, `${++count}.tar`)
    const { status, error } = await runCommand(sign, ['-s', join(folder, 'signer.sec'), '-o', out, join(requests, name)])
    if (status !== 0) throw new Error(`sign: ${status}`, { cause: error })
    files.push(out)
  }
  return files
}

function packagesIn(folder: string): readonly string[] {
  try {
    return readFileSync(join(folder, 'SHA256'), 'utf8')
      .split('\n')
      .flatMap((line) => /\((.*)\)/.exec(line)?.[1] ?? [])
  } catch {
    return []
  }
}

/** A test that hangs says what for. */
const mostWaitMs = 90_000

function start(words: readonly string[], databaseUrl: string | undefined, path: string | undefined): Running {
  const child = spawn(process.execPath, [resolve('dist/bindery.js'), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
      ...(path === undefined ? {} : { PATH: `${path}:${process.env['PATH'] ?? ''}` }),
    },
  })
  let text = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      for (const listener of listeners) listener()
    })
  const ended = new Promise<number | NodeJS.Signals | null>((done) => child.once('close', (code, signal) => done(code ?? signal)))
  return {
    child,
    said: () => text,
    heard: async (pattern) => {
      const heard = new Promise<void>((done) => {
        const look = (): void => {
          if (pattern.test(text)) done()
        }
        listeners.add(look)
        look()
      })
      const waited = new AbortController()
      const tooLong = sleep(mostWaitMs, 'too long', waited).catch(() => {})
      const status = await Promise.race([heard, ended, tooLong])
      waited.abort()
      if (!pattern.test(text))
        throw new Error(
          `${status === 'too long' ? 'took too long' : `ended with ${String(status)}`} before it said ${String(pattern)}:\n${text}`,
        )
    },
    ended: async () => await ended,
  }
}
