import { spawn } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { honest, mirrorServer } from '../helpers/mirror-server.ts'
import { killBelow } from './processes.ts'
import { bindery, environmentOf } from './scenarios.ts'
import { copyFolder, runScript } from './site.ts'
import type { Behaviour, MirrorServer, Served } from '../helpers/mirror-server.ts'

/** A repository behind three mirrors, and a machine with its first release that has heard of the second. */
export type NetworkSite = {
  readonly mirrors: readonly [MirrorServer, MirrorServer, MirrorServer]
  /** Bytes of the delta from the first release to the second, and of the whole second release. */
  readonly delta: number
  readonly full: number
  /** On a copy of the machine: what `fetch` comes to, and what each mirror served meanwhile. */
  fetch(behaviours: readonly Behaviour[], options?: FetchOptions): Promise<Fetched>
  /** Of a file of the repository by its path in a URL, what a client may have to read of it. */
  signedSize(path: string): number
  close(): Promise<void>
}

export type FetchOptions = {
  /** Runs on what the run before has left. */
  readonly goesOn?: boolean
  /** Lines of bindery.conf. */
  readonly conf?: string
  /** It is killed then, with all its processes. */
  readonly killed?: AbortSignal
}

export type Fetched = {
  readonly status: number | null
  readonly text: string
  readonly seconds: number
  readonly served: readonly (readonly Served[])[]
  /** Whether what leads to the second release is here, verified. */
  readonly isHere: boolean
}

/** So much of the new release is new that a delta is worth being cut in a hundred places; three frames of its dist hold nothing of that. */
const releases = `
mkdir -p OLD/share OLD/var/db NEW
for i in $(seq 8); do head -c 1500000 /dev/urandom >OLD/share/$i; done
cp -a OLD/. NEW; head -c 600000 /dev/urandom >NEW/share/new
bindery init -r repo -k keys --no-passphrase
bindery cut OLD -o old.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
bindery cut NEW -o new.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
bindery publish -r repo -k keys old.tar.zst
cp -a repo yesterday
`

/** Silence, a rate and a deadline that a test can wait for. */
const usualConf = 'answer-timeout 2\nidle-timeout 2\nminimum-rate 2000\nrate-window 2\ndownload-deadline 20\n'

export async function makeNetworkSite(work: string): Promise<NetworkSite> {
  mkdirSync(work, { recursive: true })
  runScript(work, releases)
  const repository = join(work, 'repo')
  const mirrors = [await mirrorServer(repository), await mirrorServer(repository), await mirrorServer(repository)] as const
  const [first, ...others] = mirrors.map(({ url }) => url) as [string, ...string[]]
  const run = async (words: readonly string[], killed?: AbortSignal): Promise<Ended> =>
    await runAside(bindery(...words), environmentOf({ work, root: work }), killed)
  runScript(work, 'cp -a OLD machine')
  const more = others.flatMap((url) => ['--mirror', url])
  await good(run(['-C', join(work, 'machine'), 'enroll', first, join(repository, 'metadata/1.root.json'), 'base/amd64', ...more]))
  runScript(work, 'bindery publish -r repo -k keys new.tar.zst')
  await good(run(['-C', join(work, 'machine'), 'check']))
  const sizeOf = (pattern: string): number => statSync(join(repository, globSync(pattern, { cwd: repository })[0] as string)).size
  return {
    mirrors,
    delta: sizeOf('blobs/base/amd64/*-amd64.delta'),
    full: sizeOf('blobs/base/amd64/*base-1.1-*.tar.zst'),
    fetch: async (behaviours, { goesOn = false, conf = usualConf, killed } = {}) => {
      if (!goesOn) copyFolder(work, 'machine', 'root')
      writeFileSync(join(work, 'conf'), conf)
      for (const [i, mirror] of mirrors.entries()) {
        mirror.behave = behaviours[i] ?? honest
        mirror.served.length = 0
      }
      const started = performance.now()
      const { status, text } = await run(['-C', join(work, 'root'), '-f', join(work, 'conf'), 'fetch'], killed)
      const seconds = (performance.now() - started) / 1000
      const served = mirrors.map((mirror) => mirror.served.map((one) => ({ ...one })))
      return {
        status,
        text,
        seconds,
        served,
        isHere: globSync('root/var/db/bindery/cache/*', { cwd: work }).some((file) => isBlob(work, file)),
      }
    },
    signedSize: (path) => signedSize(repository, path),
    close: async () => void (await Promise.all(mirrors.map(async ({ close }) => await close()))),
  }

  function isBlob(folder: string, file: string): boolean {
    const names = globSync('blobs/base/amd64/*{-amd64.delta,base-1.1-*.tar.zst}', { cwd: repository })
    return names.some((name) => Buffer.compare(readFileSync(join(repository, name)), readFileSync(join(folder, file))) === 0)
  }
}

/** What the specification lets a client read of metadata whose length nobody has signed. */
const unsigned = { timestamp: 16_384, root: 512_000 }

function signedSize(repository: string, path: string): number {
  if (path.endsWith('/timestamp.json')) return unsigned.timestamp
  if (path.endsWith('.root.json')) return unsigned.root
  return statSync(join(repository, decodeURIComponent(path)), { throwIfNoEntry: false })?.size ?? 0
}

type Ended = { readonly status: number | null; readonly text: string }

async function good(ended: Promise<Ended>): Promise<void> {
  const { status, text } = await ended
  if (status !== 0) throw new Error(`the site could not be made: exit status ${String(status)}\n${text}`)
}

/** The servers are in this process: it must go on meanwhile. What does not end within two minutes hangs. */
async function runAside([program, ...words]: readonly [string, ...string[]], env: NodeJS.ProcessEnv, killed?: AbortSignal): Promise<Ended> {
  const child = spawn(program, words, { env, stdio: ['ignore', 'ignore', 'pipe'], timeout: 120_000, killSignal: 'SIGKILL' })
  killed?.addEventListener('abort', () => {
    if (child.pid !== undefined) killBelow(child.pid)
    child.kill('SIGKILL')
  })
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return await new Promise((done) => child.once('close', (status) => done({ status, text: text.trim() })))
}
