import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { latin1 } from '../base/bytes.ts'
import { isBinderyError } from '../base/error.ts'
import type { Boot } from '../port/boot.ts'
import type { Exec } from '../port/exec.ts'

export type BootSystem = {
  readonly platform: string
  readonly exec: Exec
  readonly readText: (file: string) => Promise<string | undefined>
}

export function hostBoot(exec: Exec, root: string): Boot {
  return systemBoot({ platform: process.platform, exec, readText }, () => resolve(root) === '/')
}

/** The twin in memory: `id` is that of the moment; an `image` is a root that does not run. */
export function memoryBoot(now: { readonly id: string | undefined; readonly image?: boolean }): Boot {
  const id = async (): Promise<string | undefined> => await Promise.resolve(now.id)
  return { id, ofRoot: async () => (now.image === true ? undefined : await id()) }
}

/** `isRunning`: whether the root is that of the system that runs here; asked when it matters, since the current folder may be gone. */
export function systemBoot(system: BootSystem, isRunning = (): boolean => true): Boot {
  const id = async (): Promise<string | undefined> => {
    if (system.platform === 'linux') return wordOf((await system.readText('/proc/sys/kernel/random/boot_id')) ?? '')
    // FreeBSD has a number of chance since 14; elsewhere, and before, it is the time of the start.
    const chance = system.platform === 'freebsd' ? wordOf(await sysctl(system, 'kern.boot_id')) : undefined
    return chance ?? timeOf(await sysctl(system, 'kern.boottime'))
  }
  return { id, ofRoot: async () => (isRunning() ? await id() : undefined) }
}

function wordOf(text: string): string | undefined {
  const word = text.trim()
  return /^[A-Za-z0-9._:-]{1,128}$/.test(word) ? word : undefined
}

/** `{ sec = 1764300000, usec = 120000 } Fri Nov 28 …` of FreeBSD and DragonFly, `1764300000` or `Fri Nov 28 03:20:00 2025` of the others. */
function timeOf(text: string): string | undefined {
  const seconds = /\bsec = (\d+)/.exec(text)?.[1]
  return wordOf(seconds ?? text.trim().replaceAll(/\s+/g, '_'))
}

async function sysctl({ exec }: BootSystem, name: string): Promise<string> {
  try {
    const { status, stdout } = await exec.run('/sbin/sysctl', ['-n', name])
    return status === 0 ? latin1(stdout) : ''
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return ''
    throw error
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'latin1')
  } catch {
    return undefined
  }
}
