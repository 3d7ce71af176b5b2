import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What /proc says of a process of Linux; undefined once it is gone. */
export type ProcessFacts = {
  readonly pid: number
  /** Real, effective, saved and of the file system. */
  readonly uids: string
  readonly gids: string
  readonly groups: string
  readonly capabilities: string
  readonly noNewPrivs: string
  /** What its descriptors are open on. */
  readonly open: readonly string[]
}

export function processFacts(pid: number): ProcessFacts | undefined {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n')
    const of = (name: string): string =>
      lines
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim() ?? ''
    if (of('State').startsWith('Z')) return undefined
    const facts = { uids: of('Uid'), gids: of('Gid'), groups: of('Groups'), capabilities: of('CapPrm'), noNewPrivs: of('NoNewPrivs') }
    return { pid, ...facts, open: openOf(pid) }
  } catch {
    return undefined
  }
}

function openOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
}

/** Who holds the end of a TCP connection over IPv4 loopback that has this port. */
export function holderOf(port: number): ProcessFacts | undefined {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find((fields) => fields[1] === local && fields[3] === '01')
  const inode = line?.[9]
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  const found = pids.map((pid) => processFacts(Number(pid))).find((facts) => facts?.open.includes(`socket:[${inode}]`))
  return inode === undefined ? undefined : found
}

/** Waits for what takes a moment. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}
