import { spawn } from 'node:child_process'
import { findAccount } from './account.ts'
import { programPath } from './exec.ts'
import type { ChildProcess } from 'node:child_process'
import type { Account } from './account.ts'
import type { ProxyEnvironment } from './http-proxy.ts'

export type FetcherInput = {
  /** The account that it runs under, undefined for the usual one. */
  readonly user: string | undefined
  readonly proxies: ProxyEnvironment
  /** The script and the word by which the runtime becomes the fetcher; uid and gid come behind. */
  readonly command: readonly string[]
  /** Told what it prints on stderr. */
  readonly say: (line: string) => void
}

export type Started = { readonly child: ChildProcess; readonly account: Account }

/** What the runtime, its TLS and the resolver of names go by. All else of root's environment stays with root. */
const passedOn =
  /^(?:(?:https?|all|no)_proxy|NODE_(?:EXTRA_CA_CERTS|OPTIONS|TLS_REJECT_UNAUTHORIZED|USE_SYSTEM_CA)|SSL_CERT_(?:FILE|DIR)|RES_OPTIONS|LOCALDOMAIN|LD_LIBRARY_PATH|TZ)$/i

/**
 * This program once more, with three pipes and nothing else of ours. It is root until it has been loaded, so that neither the runtime nor
 * bindery need be readable for others. Throws `not-found` where there is no account.
 */
export function startProcess({ user, proxies, command }: FetcherInput): Started {
  const account = findAccount(user)
  const own = [process.execPath, ...permissions(), ...command, String(account.uid), String(account.gid)]
  // No program with a set-user-ID bit makes root again of what has given it up.
  const setpriv = process.platform === 'linux' ? programPath('setpriv') : undefined
  const [program = '', ...words] = setpriv === undefined ? own : [setpriv, '--no-new-privs', ...own]
  return { child: spawn(program, words, { cwd: '/', env: environment(proxies), stdio: ['pipe', 'pipe', 'pipe'] }), account }
}

/** Proxies as bindery.conf or the environment says them. */
function environment(proxies: ProxyEnvironment): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name))
  const given = [...own, ...Object.entries(proxies)].filter(([name]) => passedOn.test(name))
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
