import { spawn, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'

/** Runs bindery as a user would, one line of output for each step: what, how long, what came of it. */
export type Done = { readonly stdout: string; readonly stderr: string; readonly status: number | null; readonly seconds: number }

export function title(text: string): void {
  process.stdout.write(`\n${text}\n`)
}

export function line(what: string, seconds: number | undefined, result: string): void {
  process.stdout.write(`  ${what.padEnd(46)} ${seconds === undefined ? '       ' : `${seconds.toFixed(2).padStart(5)} s`}   ${result}\n`)
}

/** Runs `bindery ARGS…` below `cwd`; a status other than `wanted` ends the demo. */
export async function bindery(cwd: string, args: readonly string[], wanted = 0): Promise<Done> {
  const done = await finish(startBindery(cwd, args))
  if (done.status !== wanted)
    throw new Error(`bindery ${args.join(' ')}: exit status ${String(done.status)} instead of ${wanted}\n${done.stderr}`)
  return done
}

export function startBindery(cwd: string, args: readonly string[]): ChildProcess {
  return spawn(resolve('bin/bindery'), args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
}

export async function finish(child: ChildProcess): Promise<Done> {
  const started = performance.now()
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const status = await new Promise<number | null>((done, failed) => {
    child.once('close', done)
    child.once('error', failed)
  })
  return { stdout, stderr, status, seconds: (performance.now() - started) / 1000 }
}

export function megabytes(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : bytes >= 1e4 ? `${Math.round(bytes / 1e3)} kB` : `${bytes} bytes`
}

/** `serve` says where it listens, once it does. */
export async function portOf(server: ChildProcess): Promise<number> {
  return await new Promise((found, failed) => {
    let said = ''
    const listen = (chunk: Buffer): void => {
      said += chunk.toString()
      const port = /http:\/\/[^/\s]*:(\d+)/.exec(said)?.[1]
      if (port !== undefined) found(Number(port))
    }
    server.stdout?.on('data', listen)
    server.stderr?.on('data', listen)
    server.once('close', () => failed(new Error(`serve ended: ${said}`)))
  })
}
