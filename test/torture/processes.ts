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

/** Lets those go on that have stopped. */
export function continueBelow(pid: number): void {
  for (const one of descendants(pid)) if (isStopped(one)) send(one, 'SIGCONT')
}

/** Whether a thread of them is held by who traces it. */
export function isAnyHeld(pid: number): boolean {
  return descendants(pid).some((one) => threadsOf(one).some(isStopped))
}

/** By a signal, or by who traces it; of a process or a thread. */
function isStopped(id: number): boolean {
  try {
    return /^State:\s+[tT]/m.test(readFileSync(`/proc/${id}/status`, 'utf8'))
  } catch {
    return false
  }
}

function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return []
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
