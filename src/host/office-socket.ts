import { chmod, unlink } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { BinderyError, exitStatusOf } from '../base/error.ts'
import { systemError } from './system-error.ts'
import type { Socket } from 'node:net'
import type { ErrorCode } from '../base/error.ts'

/**
 * Calls between processes of one machine, over a socket that only its owner can open: a line of JSON with a name and arguments, a line with
 * what came of it. For whoever finds a database in another process's hands.
 */
export type Calls = Readonly<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>

const maxLine = 64 << 20

/** What a controller that was killed has left is removed: whoever calls holds the lock of the folder. */
export async function listenForCalls(file: string, calls: Calls): Promise<{ close(): Promise<void> }> {
  await unlink(file).catch(() => {})
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => socket.destroy())
    void answerOn(socket, calls).catch(() => socket.destroy())
  })
  // Nobody else may connect, not even before the mode is set.
  const before = process.umask(0o077)
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(file, resolve))
  } catch (cause) {
    throw systemError(cause, file)
  } finally {
    process.umask(before)
  }
  await chmod(file, 0o600)
  return {
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function answerOn(socket: Socket, calls: Calls): Promise<void> {
  const { name, args } = JSON.parse(await readLine(socket)) as { name: string; args: unknown[] }
  socket.end(`${JSON.stringify(await answerTo(calls, name, args))}\n`)
}

type Answer =
  | { readonly value: unknown }
  | { readonly code: ErrorCode; readonly message: string; readonly subject: string | undefined; readonly hint: string | undefined }

async function answerTo(calls: Calls, name: string, args: readonly unknown[]): Promise<Answer> {
  try {
    const call = Object.hasOwn(calls, name) ? calls[name] : undefined
    if (call === undefined) throw new BinderyError('not-supported', `the running controller does not know '${name}'`)
    return { value: await call(...args) }
  } catch (error) {
    if (error instanceof BinderyError) return { code: error.code, message: error.message, subject: error.subject, hint: error.hint }
    return { code: 'io', message: error instanceof Error ? error.message : String(error), subject: undefined, hint: undefined }
  }
}

/** Undefined where nobody listens. */
export async function callOver(file: string, name: string, args: readonly unknown[]): Promise<{ readonly value: unknown } | undefined> {
  const socket = await connected(file)
  if (socket === undefined) return undefined
  socket.write(`${JSON.stringify({ name, args })}\n`)
  const answer = JSON.parse(await readLine(socket)) as Answer
  if ('value' in answer || !('code' in answer)) return { value: 'value' in answer ? answer.value : undefined }
  const code = Object.hasOwn(exitStatusOf, answer.code) ? answer.code : 'io'
  throw new BinderyError(code, answer.message, { subject: answer.subject, hint: answer.hint })
}

async function connected(file: string): Promise<Socket | undefined> {
  return await new Promise((resolve, reject) => {
    const socket = connect(file)
    socket.once('connect', () => resolve(socket))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? resolve(undefined) : reject(systemError(error, file)),
    )
  })
}

async function readLine(socket: Socket): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    parts.push(chunk)
    size += chunk.length
    if (size > maxLine) throw new BinderyError('over-limit', 'the call is too long')
    if (chunk.at(-1) === 0x0a) return Buffer.concat(parts).toString('utf8')
  }
  throw new BinderyError('network', 'the controller ended before it had answered')
}
