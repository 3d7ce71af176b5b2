import { BinderyError } from '../../../base/error.ts'

/** What a repository's URL depends on. */
export type Machine = {
  /** `7.8`, `10.0`. */
  readonly version: string
  readonly arch: string
  /** Whether it follows snapshots: it runs one, or that was asked for. */
  readonly isSnapshot: boolean
}

/** `OpenBSD 7.8-current (GENERIC.MP) #123: …`, of any length: OpenBSD 10.0 has two digits before the dot. */
export function machineOf(kernVersion: string, arch: string, forceSnapshot: boolean): Machine {
  const version = /^OpenBSD (\d{1,4}\.\d{1,4})(?!\d)/.exec(kernVersion)?.[1]
  if (version === undefined)
    throw new BinderyError('bad-format', `'${kernVersion.split('\n')[0]?.slice(0, 80) ?? ''}' is no version of OpenBSD`, {
      subject: 'kern.version',
      hint: "--kern-version says it where this is no OpenBSD: 'OpenBSD 7.8'",
    })
  if (!/^[a-z0-9_]{1,32}$/.test(arch)) throw new BinderyError('bad-format', `'${arch.slice(0, 80)}' is no architecture`)
  return { version, arch, isSnapshot: forceSnapshot || /-current|-beta/.test(kernVersion) }
}
