import { release, version } from 'node:os'
import { latin1 } from '../base/bytes.ts'
import { isBinderyError } from '../base/error.ts'
import type { Exec } from '../port/exec.ts'
import type { RunningKernel } from '../port/running-kernel.ts'

/** What a system says of itself: `release` and `version` are those of uname(3). */
export type System = { readonly platform: string; readonly release: string; readonly version: string; readonly exec: Exec }

export function hostKernel(exec: Exec): RunningKernel {
  return runningKernel({ platform: process.platform, release: release(), version: version(), exec })
}

export function runningKernel(system: System): RunningKernel {
  return { name: async () => await readers[system.platform]?.(system) }
}

const readers: Readonly<Record<string, (system: System) => Promise<string | undefined> | string | undefined>> = {
  // `GENERIC.MP#1397`: the name, and how many times it was built.
  openbsd: ({ version: text }) => /^([^#\s]+)#\d+/.exec(text)?.[1],
  // `NetBSD 10.0 (GENERIC) #0: Thu Mar 28 08:33:33 UTC 2024 …`
  netbsd: ({ version: text }) => /^NetBSD \S+ \(([^()\s]+)\)/.exec(text)?.[1],
  freebsd: identOf,
  dragonfly: identOf,
  linux: ({ release: text }) => flavourOf(text),
}

/** The version of FreeBSD's kernels ends with the name, or with the folder that they were built in; this is the name alone. */
async function identOf({ exec }: System): Promise<string | undefined> {
  try {
    const { status, stdout } = await exec.run('/sbin/sysctl', ['-n', 'kern.ident'])
    const name = latin1(stdout).trim()
    return status === 0 && name !== '' ? name : undefined
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

const versionWords = /^\d+(?:\.\d+)+(?:\+[a-z0-9.]+)?(?:-rc\d+)?(?:-\d[a-z0-9.]*)?$/
const flavourWords = /^(?:686|[A-Za-z][A-Za-z0-9_.]*)(?:-[A-Za-z][A-Za-z0-9_.]*)*$/

/**
 * Linux has no name of its own: distributions and CONFIG_LOCALVERSION put one behind the version. `6.1.0-18-cloud-amd64`
 * and `6.12.43+deb13-amd64` of Debian, `5.15.0-91-generic` of Ubuntu, `6.6.14-0-lts` of Alpine have one; a number behind
 * the words (`6.9.3-arch1-1`) is of the release, and `6.7.4-200.fc39.x86_64` is nothing but a version.
 */
function flavourOf(text: string): string | undefined {
  for (let at = text.indexOf('-'); at >= 0; at = text.indexOf('-', at + 1)) {
    const [before, flavour] = [text.slice(0, at), text.slice(at + 1)]
    if (versionWords.test(before) && flavourWords.test(flavour) && !/^rc\d+(?:-|$)/.test(flavour)) return flavour
  }
  return undefined
}
