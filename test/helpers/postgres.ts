import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { ChildProcess } from 'node:child_process'

/** A PostgreSQL of its own for one test file, on a socket in a temporary folder; nothing of the system's own is touched. */
export type Cluster = {
  /** A new and empty database. */
  database(): Promise<string>
  stop(): Promise<void>
  /** As after a power cut of the server, or an upgrade; what happens meanwhile. */
  restart(meanwhile?: () => Promise<void>): Promise<void>
}

export function needsPostgres(): { readonly skip?: string } {
  if (programs() === undefined) return { skip: 'not installed: postgresql' }
  if (process.getuid?.() === 0 && spawnSync('id', ['postgres']).status !== 0) return { skip: 'no user postgres to run a server as' }
  return {}
}

function programs(): string | undefined {
  return globSync('/usr/lib/postgresql/*/bin').findLast((folder) => existsSync(join(folder, 'initdb')))
}

/** `durable`: as a server is run, and not as tests are in a hurry. */
export async function startCluster({ durable = false } = {}): Promise<Cluster> {
  const bin = programs() as string
  const folder = mkdtempSync(join(tmpdir(), 'bindery-postgres-'))
  if (process.getuid?.() === 0) run('chown', ['postgres', folder])
  chmodSync(folder, 0o755)
  asOwner(join(bin, 'initdb'), ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'])
  let server = await startServer(bin, folder, durable)
  let count = 0
  const url = (name: string): string => `postgresql://postgres@localhost/${name}?host=${encodeURIComponent(folder)}`
  return {
    database: async () => {
      const name = `farm_${++count}`
      const client = new pg.Client({ connectionString: url('postgres') })
      await client.connect()
      await client.query(`create database ${name}`)
      await client.end()
      return url(name)
    },
    stop: async () => {
      await stopServer(server)
      rmSync(folder, { recursive: true, force: true })
    },
    restart: async (meanwhile) => {
      await stopServer(server)
      await meanwhile?.()
      server = await startServer(bin, folder, durable)
    },
  }
}

function owned(program: string, args: readonly string[]): readonly [string, readonly string[]] {
  return process.getuid?.() === 0
    ? ['setpriv', ['--reuid=postgres', '--regid=postgres', '--init-groups', program, ...args]]
    : [program, args]
}

function asOwner(program: string, args: readonly string[]): void {
  run(...owned(program, args))
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8', cwd: '/' })
  if (status !== 0) throw new Error(`${program} failed: ${stderr}`, { cause: error })
}

async function startServer(bin: string, folder: string, durable: boolean): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '',
    fsync: durable ? 'on' : 'off',
    shared_buffers: '32MB',
    max_connections: '60',
    unix_socket_directories: folder,
  }
  const args = ['-D', join(folder, 'data'), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  const [program, words] = owned(join(bin, 'postgres'), args)
  const server = spawn(program, words, { cwd: '/', stdio: 'ignore' })
  for (let tries = 0; tries < 600; tries++) {
    if (server.exitCode !== null) throw new Error('postgres did not start')
    const client = new pg.Client({ host: folder, user: 'postgres', database: 'postgres' })
    try {
      await client.connect()
      await client.end()
      return server
    } catch {
      await sleep(100)
    }
  }
  throw new Error('postgres does not answer')
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = new Promise((resolve) => server.once('exit', resolve))
  // Fast shutdown: it does not wait for its clients.
  server.kill('SIGINT')
  await ended
}
