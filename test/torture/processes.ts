import { readFileSync, readdirSync } from 'node:fs'

/** Who waits for another goes before it; some helpers of a run have a process group of their own. Whoever started them buries them. */
export function killBelow(pid: number): true {
  for (const one of descendants(pid)) send(one, 'SIGKILL')
  return true
}

export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself.
  }
}

function descendants(pid: number): readonly number[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    )
    return children.flatMap((child) => [child, ...descendants(child)])
  } catch {
    return []
  }
}
