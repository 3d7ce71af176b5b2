import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Programs that are started over and over inside a root, one after the other, until `stop`. */
export type Watch = { counts(): WatchCounts; stop(): Promise<WatchCounts>; kill(): void }
export type WatchCounts = { readonly started: number; readonly failures: readonly string[] }

const all: readonly (readonly [file: string, command: string])[] = [
  ['usr/bin/ls', 'ls /etc'],
  ['usr/bin/ssh', 'ssh -V'],
  ['usr/bin/openssl', 'openssl version'],
  ['usr/bin/perl', 'perl -e 1'],
  ['usr/bin/dash', 'dash -c :'],
  ['usr/bin/python3', "python3 -c 'import ssl'"],
  // The others have the other half of the processor time that one of them would take.
  ['usr/bin/sleep', 'sleep 0.1'],
]

export function programsOf(root: string): readonly string[] {
  return all.filter(([file]) => existsSync(join(root, file))).map(([, command]) => command)
}

/** By an account that may write nothing there. */
export function watchPrograms(root: string): Watch {
  const steps = programsOf(root).map(
    (command) => `m=$(${command} 2>&1) && echo || echo "${command.replaceAll(/["$\\]/g, '')}: status $?: $m"`,
  )
  const script = `while :; do\n${steps.join('\n')}\ndone`
  const child = spawn('chroot', ['--userspec=65534:65534', root, '/bin/sh', '-c', script], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let [started, rest, isStopping] = [0, '', false]
  const failures: string[] = []
  const take = (chunk: Buffer): void => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    started += lines.length
    failures.push(...lines.filter((line) => line !== ''))
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const ended = new Promise<void>((done) => {
    child.once('close', () => {
      if (!isStopping) failures.push('the shell that starts the programs ended')
      done()
    })
  })
  const kill = (): void => {
    isStopping = true
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL')
  }
  return {
    counts: () => ({ started, failures }),
    kill,
    stop: async () => {
      kill()
      await ended
      return { started, failures }
    },
  }
}
