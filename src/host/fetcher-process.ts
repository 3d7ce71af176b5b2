import { spawn } from 'node:child_process'
import { programPath } from './exec.ts'
import type { ChildProcess } from 'node:child_process'

export type Started = {
  readonly child: ChildProcess
  /** Why it could not be started, once that is known. */
  readonly failed: () => Error | undefined
}

/** What the runtime, its TLS and the resolver of names go by. All else of root's environment stays with root. */
const passedOn =
  /^(?:NODE_(?:EXTRA_CA_CERTS|OPTIONS|TLS_REJECT_UNAUTHORIZED|USE_SYSTEM_CA)|SSL_CERT_(?:FILE|DIR)|RES_OPTIONS|LOCALDOMAIN|LD_LIBRARY_PATH|TZ)$/i

/**
 * This program once more, with three pipes and nothing else of ours, ending with us. It is root until it is told whom to become, so that neither
 * the runtime nor bindery need be readable for others. `command`: the script and the word by which the runtime becomes the fetcher.
 */
export function startProcess(command: readonly string[]): Started {
  const own = [process.execPath, ...permissions(), ...command]
  // No program with a set-user-ID bit makes root again of what has given it up.
  const setpriv = process.platform === 'linux' ? programPath('setpriv') : undefined
  const [program = '', ...words] = setpriv === undefined ? own : [setpriv, '--no-new-privs', ...own]
  const child = spawn(program, words, { cwd: '/', env: environment(), stdio: ['pipe', 'pipe', 'pipe'] })
  let failure: Error | undefined
  child.once('error', (error) => (failure = error))
  // It ends with its stdin, but not in the middle of what takes it for ever.
  process.once('exit', () => child.kill('SIGKILL'))
  return { child, failed: () => failure }
}

function environment(): NodeJS.ProcessEnv {
  const given = Object.entries(process.env).filter(([name]) => passedOn.test(name))
  return { PATH: '/usr/bin:/bin', HOME: '/', ...Object.fromEntries(given) }
}

/** All that is left to it by the runtime itself: no writing, no programs, no add-ons. */
function permissions(): readonly string[] {
  const cache = process.getBuiltinModule('node:module').getCompileCacheDir()
  return [
    '--permission',
    '--allow-fs-read=*',
    ...(Number.parseInt(process.versions.node, 10) < 25 ? [] : ['--allow-net']),
    // While it is root.
    ...(cache === undefined ? [] : [`--allow-fs-write=${cache}`, `--allow-fs-write=${cache}/*`]),
  ]
}
