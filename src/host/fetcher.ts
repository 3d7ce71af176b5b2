import { numberOf, pairsOf, textOf } from '../format/fetcher-message.ts'
import { findAccount } from './account.ts'
import { talkTo } from './fetcher-talk.ts'
import { hostHttp } from './http.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Field, Message, MessageKind } from '../format/fetcher-message.ts'
import type { Fetcher, LookAnswer, LookInput, LookQuestion, Looked } from '../port/fetcher.ts'
import type { HttpRequest, HttpResponse } from '../port/http.ts'
import type { Started } from './fetcher-process.ts'
import type { Call, Talk } from './fetcher-talk.ts'
import type { ProxyEnvironment } from './http-proxy.ts'

export type FetcherInput = {
  /** The account that it runs under, undefined for the usual one. */
  readonly user: string | undefined
  readonly proxies: ProxyEnvironment
  /** The process, started now or before. */
  readonly process: () => Started
  /** Told what it prints on stderr. */
  readonly say: (line: string) => void
}

/**
 * A process that has given up root before it reads a byte of others (doc/spec/fetcher.md). It becomes the user with the first request, or with
 * `start`, and ends with us. Files are read here: they may be root's alone, and reading one is no parsing. Throws `not-found` where there is no
 * account, `permission` where it cannot be used, `io` once the process has ended.
 */
export function hostFetcher(input: FetcherInput): Fetcher {
  let talk: Talk | undefined
  const started = (): Talk => (talk ??= begin(input))
  const files = hostHttp({})
  return {
    http: { get: async (request) => await (/^file:/i.test(request.url) ? files.get(request) : get(started(), request)) },
    look: async (about, answer) => await look(started(), about, answer),
    start: () => void started(),
    end: () => talk?.end(),
  }
}

function begin({ user, proxies, process: started, say }: FetcherInput): Talk {
  const account = findAccount(user)
  const talk = talkTo(started(), { account, say })
  talk.tell('become', account.uid, account.gid, ...Object.entries(proxies).flatMap(proxyPair))
  return talk
}

/** Nothing else of root's environment. */
function proxyPair([name, value]: [string, string | undefined]): readonly string[] {
  return value !== undefined && /^(?:https?|all|no)_proxy$/i.test(name) ? [name, value] : []
}

const usualTimeouts = { answerMs: 30_000, idleMs: 30_000 }

async function get(talk: Talk, { url, headers = {}, timeouts = usualTimeouts, signal }: HttpRequest): Promise<HttpResponse> {
  const call = talk.call(signal)
  const head = await call.ask('get', url, timeouts.answerMs, timeouts.idleMs, ...Object.entries(headers).flat())
  return { status: numberOf(head, 0), headers: pairsOf(head, 1), body: bodyOf(call) }
}

/** As many chunks are asked for ahead of who reads. */
const mostAhead = 4

/**
 * Few chunks ahead of who reads: not much lies between the two processes when one is killed, and what a server sends does not pile up in
 * its socket while one waits for the other. A small body is not worth it.
 */
function bodyOf(call: Call): ByteStream {
  const done = { done: true, value: undefined } as const
  const ahead: Promise<Message>[] = []
  let wanted = 1
  const askAhead = (): void => {
    while (ahead.length < wanted) {
      const asked = call.ask('next')
      // Told to who asks for it.
      asked.catch(() => {})
      ahead.push(asked)
    }
  }
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        askAhead()
        const { kind, fields } = await (ahead.shift() as Promise<Message>)
        if (kind !== 'chunk' || fields[0] === undefined) return done
        wanted = Math.min(wanted + 1, mostAhead)
        askAhead()
        return { done: false, value: fields[0] }
      },
      return: async () => {
        call.leave()
        return await Promise.resolve(done)
      },
    }),
  }
}

type Answer = (question: LookQuestion) => Promise<LookAnswer>

async function look(talk: Talk, { now, grace }: LookInput, answer: Answer): Promise<Looked> {
  const call = talk.call()
  await answering(call, answer, 'look', Math.floor(now), grace)
  let last = Promise.resolve()
  // One after the other, though they may be asked for together.
  const inTurn = async (kind: 'role' | 'target', name: string): Promise<void> => {
    const turn = last.then(async () => await answering(call, answer, kind, name))
    last = turn.catch(() => {})
    return await turn
  }
  return { role: async (name) => await inTurn('role', name), target: async (path) => await inTurn('target', path) }
}

/** Until it is done, whatever it asks meanwhile. */
async function answering(call: Call, answer: Answer, kind: MessageKind, ...fields: readonly Field[]): Promise<void> {
  let said = await call.ask(kind, ...fields)
  while (said.kind === 'ask') {
    const found = await answer(questionOf(said)).catch(async (error: unknown) => {
      // It may be asked for something else later on.
      await call.ask('answer', 'failed').catch(() => {})
      throw error
    })
    said = await call.ask('answer', ...fieldsOf(found))
  }
}

function questionOf(asked: Message): LookQuestion {
  const file = textOf(asked, 1) ?? ''
  if (textOf(asked, 0) === 'load') return { kind: 'load', file }
  const ifChangedFrom = textOf(asked, 3)
  return { kind: 'fetch', file, limit: numberOf(asked, 2), ...(ifChangedFrom === undefined ? {} : { ifChangedFrom }) }
}

function fieldsOf(answer: LookAnswer): readonly Field[] {
  if (answer.kind !== 'bytes') return [answer.kind]
  return [answer.kind, answer.bytes, ...(answer.etag === undefined ? [] : [answer.etag])]
}
