import { BinderyError } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { encodeMessage, failureOf, message, messageReader } from '../format/fetcher-message.ts'
import type { ChildProcess } from 'node:child_process'
import type { Field, Message, MessageKind } from '../format/fetcher-message.ts'
import type { Account } from './account.ts'
import type { Started } from './fetcher-process.ts'

/** Calls go on beside each other; in each the answers come in the order of the questions. */
export type Talk = {
  call(signal?: AbortSignal): Call
  /** What is no call, and has no answer. */
  tell(kind: MessageKind, ...fields: readonly Field[]): void
  end(): void
}

export type Call = {
  /** Throws what is answered as a failure, the reason of the signal, and `io` once the process has ended. */
  ask(kind: MessageKind, ...fields: readonly Field[]): Promise<Message>
  leave(): void
}

/** More than a chunk of a body: longer messages only go the other way. */
const maxAnswer = 1 << 20

type Waiting = { resolve(answer: Message): void; reject(error: unknown): void }
/** By call, who asked first is first. */
type AllWaiting = Map<number, Waiting[]>

export function talkTo({ child, failed }: Started, { account, say }: { readonly account: Account; say(line: string): void }): Talk {
  const waiting: AllWaiting = new Map()
  const state: { ended?: Error } = {}
  const end = (error: Error): void => {
    state.ended ??= error
    for (const { reject } of [...waiting.values()].flat()) reject(state.ended)
    waiting.clear()
    child.kill('SIGKILL')
  }
  const gone = (how: string): void => end(new BinderyError('io', `the process that fetches (user ${account.name}) ended: ${how}`))
  const whenEnded = (): void => gone(failed()?.message ?? child.signalCode ?? `status ${child.exitCode}`)
  child.on('error', whenEnded)
  child.on('close', whenEnded)
  // Before anybody listened.
  if (failed() !== undefined || child.exitCode !== null || child.signalCode !== null) whenEnded()
  // Told by its end.
  child.stdin?.on('error', () => {})
  sayLines(child, say)
  readAnswers(child, waiting, end)
  let last = 0
  const send = (sent: Message): void => void child.stdin?.write(encodeMessage(sent))
  return {
    call: (signal) => callOf({ number: ++last, waiting, state, send, signal }),
    tell: (kind, ...fields) => send(message(0, kind, ...fields)),
    end: () => gone('left'),
  }
}

function readAnswers({ stdout }: ChildProcess, waiting: AllWaiting, end: (error: Error) => void): void {
  const read = messageReader(maxAnswer)
  stdout?.on('data', (bytes: Uint8Array) => {
    try {
      for (const answer of read(bytes)) {
        // What is nobody's call is why it could not begin.
        if (answer.call === 0) return end(failureOf(answer))
        const asked = waiting.get(answer.call)
        asked?.shift()?.resolve(answer)
        if (asked?.length === 0) waiting.delete(answer.call)
      }
    } catch (error) {
      end(error as Error)
    }
  })
}

/** As many as a failure has, not as many as somebody likes. */
const maxLines = 32

function sayLines({ stderr }: ChildProcess, say: (line: string) => void): void {
  let lines = 0
  stderr?.on('data', (bytes: Uint8Array) => {
    for (const line of Buffer.from(bytes).toString('latin1').split('\n')) if (line !== '' && lines++ < maxLines) say(showLine(line))
  })
}

type Line = {
  readonly number: number
  readonly waiting: AllWaiting
  readonly state: { readonly ended?: Error }
  readonly send: (sent: Message) => void
  readonly signal: AbortSignal | undefined
}

function callOf({ number, waiting, state, send, signal }: Line): Call {
  const leave = (): void => {
    waiting.delete(number)
    send(message(number, 'leave'))
  }
  const ask = async (kind: MessageKind, ...fields: readonly Field[]): Promise<Message> => {
    signal?.throwIfAborted()
    if (state.ended !== undefined) throw state.ended
    const { promise, resolve, reject } = Promise.withResolvers<Message>()
    const stop = (): void => {
      leave()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', stop, { once: true })
    const asked = waiting.get(number) ?? []
    asked.push({ resolve, reject })
    waiting.set(number, asked)
    send(message(number, kind, ...fields))
    const answer = await promise.finally(() => signal?.removeEventListener('abort', stop))
    if (answer.kind === 'failed') throw failureOf(answer)
    return answer
  }
  return { ask, leave }
}
