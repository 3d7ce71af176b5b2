import { randomUUID } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { constants } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { maxLog, maxStepOutput } from '../port/step-runner.ts'
import { programPath } from './exec.ts'
import { endGroup, exitStatus, spawnLed } from './job-group.ts'
import { systemError } from './system-error.ts'
import type { ChildProcess } from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'
import type { StepEnd, StepJob, StepRunner } from '../port/step-runner.ts'

export function hostStepRunner(root: string): StepRunner {
  return { run: async (job) => await runStep(resolve(root), job) }
}

/** Its output goes into the file itself: through a pipe of ours a service that it leaves would end with us. */
async function runStep(root: string, job: StepJob): Promise<StepEnd> {
  if (job.signal.aborted) return { kind: 'stopped' }
  const file = job.log === undefined ? undefined : join(root, job.log)
  const log = file === undefined ? await openScratch() : await openLog(file)
  try {
    await writeTitle(log, job)
    const begin = (await log.stat()).size
    const child = spawnLed({ cwd: root, env: job.env, words: wordsOf(root, job.text), stdio: ['ignore', log.fd, log.fd, 'pipe'] })
    const end = await attend(child, job, async () => (await log.stat()).size - begin > maxStepOutput)
    if (typeof end !== 'number' && end.kind === 'too much output') await log.truncate(begin + maxStepOutput)
    return typeof end === 'number' ? { kind: 'ended', status: end, lastLine: await lastLineOf(log, begin) } : end
  } catch (error) {
    throw systemError(error, file ?? job.title)
  } finally {
    await log.close()
  }
}

async function openLog(file: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants
  try {
    return await open(file, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600)
  } catch (cause) {
    throw systemError(cause, file)
  }
}

/** Without a name, so that it goes with its last reader. */
async function openScratch(): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_EXCL, O_APPEND, O_NOFOLLOW } = constants
  const file = join(tmpdir(), `bindery-${randomUUID()}`)
  try {
    const log = await open(file, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0o600)
    await unlink(file)
    return log
  } catch (cause) {
    throw systemError(cause, file)
  }
}

/** A step that never succeeds is tried again by each run: what they printed long ago makes room. */
async function writeTitle(log: FileHandle, { title }: StepJob): Promise<void> {
  if ((await log.stat()).size > maxLog) await log.truncate()
  await log.write(`== ${title}\n`)
}

function wordsOf(root: string, text: string): readonly string[] {
  const shell = ['/bin/sh', '-c', text]
  return root === '/' ? shell : [programPath('chroot') ?? 'chroot', '.', ...shell]
}

const lookEveryMs = 100

/** The status, or why it was ended. */
async function attend(child: ChildProcess, { seconds, signal }: StepJob, isTooMuch: () => Promise<boolean>): Promise<number | StepEnd> {
  let ending: { readonly why: StepEnd; readonly done: Promise<void> } | undefined
  const end = (kind: 'out of time' | 'too much output' | 'stopped'): void => void (ending ??= { why: { kind }, done: endGroup(child) })
  const look = async (): Promise<void> => ((await isTooMuch().catch(() => false)) ? end('too much output') : undefined)
  const stop = (): void => end('stopped')
  const [limit, looking] = [setTimeout(() => end('out of time'), seconds * 1000), setInterval(() => void look(), lookEveryMs)]
  signal.addEventListener('abort', stop, { once: true })
  try {
    const status = await exitStatus(child)
    await ending?.done
    return ending?.why ?? status
  } finally {
    clearTimeout(limit)
    clearInterval(looking)
    signal.removeEventListener('abort', stop)
    for (const stream of child.stdio) stream?.destroy()
  }
}

const tailBytes = 4096

async function lastLineOf(log: FileHandle, begin: number): Promise<string> {
  const { size } = await log.stat()
  const start = Math.max(begin, size - tailBytes)
  const { buffer, bytesRead } = await log.read(Buffer.alloc(size - start), 0, size - start, start)
  return buffer.subarray(0, bytesRead).toString('utf8').trimEnd().split('\n').at(-1) ?? ''
}
