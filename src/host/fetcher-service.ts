import { emptyBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { encodeMessage, failure, message, messageReader, numberOf, pairsOf, textOf } from '../format/fetcher-message.ts'
import { hostHttp } from './http.ts'
import type { Field, Message, MessageKind } from '../format/fetcher-message.ts'
import type { Look, LookAnswer, LookQuestion, Looked } from '../port/fetcher.ts'
import type { HttpClient } from '../port/http.ts'

/** The process that fetches: what it is asked on stdin it answers on stdout, until stdin ends. The first that it is told is whom to become. */
export async function serveFetcher(look: Look): Promise<void> {
  // Ctrl-C goes to all of a terminal's group. Who asks us decides what ends; we end with it.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {})
  const calls = new Map<number, Call>()
  const read = messageReader(maxAsked)
  let work: Work | undefined
  for await (const bytes of process.stdin)
    for (const asked of read(bytes as Uint8Array)) {
      if (work !== undefined) void serve(calls, asked, work)
      else if ((work = begin(asked, look)) === undefined) return
    }
  // Root is gone, perhaps killed: whatever else came would be sent in vain, also while the runtime clears up.
  process.kill(process.pid, 'SIGKILL')
}

/** More than metadata may have. */
const maxAsked = 65 << 20

/** By whom answers are made. */
type Work = { readonly http: HttpClient; readonly look: Look }

/** As nobody; undefined where that cannot be. Before here there are but these few bytes, and they are root's own. */
function begin(told: Message, look: Look): Work | undefined {
  try {
    if (told.kind !== 'become') throw new BinderyError('bad-format', `'${told.kind}' comes before whom to become`)
    giveUpRoot(numberOf(told, 0), numberOf(told, 1))
    return { http: hostHttp(pairsOf(told, 2)), look }
  } catch (error) {
    return void send(failure(0, error))
  }
}

/** For good: of the groups, of the real, effective and saved ids. Throws `permission`. */
function giveUpRoot(uid: number, gid: number): void {
  // What only root may read, perhaps.
  if (process.env['NODE_EXTRA_CA_CERTS'] !== undefined) process.getBuiltinModule('node:tls').getCACertificates('extra')
  // Where root alone may write.
  process.getBuiltinModule('node:module').flushCompileCache()
  try {
    process.setgroups?.([])
    process.setgid?.(gid)
    process.setuid?.(uid)
  } catch (cause) {
    throw stillRoot(uid, cause)
  }
  if (mayBeRoot() || process.getgid?.() !== gid) throw stillRoot(uid, undefined)
}

function mayBeRoot(): boolean {
  try {
    process.setuid?.(0)
    return true
  } catch {
    return false
  }
}

function stillRoot(uid: number, cause: unknown): BinderyError {
  const hint = "'fetch-user none' in bindery.conf has root itself fetch, where this root is confined already"
  return new BinderyError('permission', 'the process that fetches may not give up root', { subject: `user ${uid}`, hint, cause })
}

/** A call that has begun: a response, or a look at a repository. */
type Call = {
  readonly stop: AbortController
  body?: AsyncIterator<Uint8Array>
  /** Until its last chunk that was asked for has come. */
  turn: Promise<unknown>
  looked?: Looked
  answered?: (answer: Message) => void
}

async function serve(calls: Map<number, Call>, asked: Message, work: Work): Promise<void> {
  const call = calls.get(asked.call) ?? { stop: new AbortController(), turn: Promise.resolve() }
  if (asked.kind === 'answer') return call.answered?.(asked)
  if (asked.kind === 'leave') {
    calls.delete(asked.call)
    call.stop.abort(new BinderyError('stopped', 'left'))
    return void (await call.body?.return?.())
  }
  calls.set(asked.call, call)
  const answer = await answerTo(call, asked, work).catch((error: unknown) => failure(asked.call, error))
  if (call.stop.signal.aborted) return
  if (answer.kind === 'end' || (answer.kind === 'failed' && call.looked === undefined)) calls.delete(asked.call)
  send(answer)
}

async function answerTo(call: Call, asked: Message, { http, look }: Work): Promise<Message> {
  const answer = (kind: MessageKind, ...fields: readonly Field[]): Message => message(asked.call, kind, ...fields)
  switch (asked.kind) {
    case 'get': {
      const timeouts = { answerMs: numberOf(asked, 1), idleMs: numberOf(asked, 2) }
      const response = await http.get({ url: textOf(asked, 0) ?? '', timeouts, headers: pairsOf(asked, 3), signal: call.stop.signal })
      call.body = response.body[Symbol.asyncIterator]()
      return answer('head', response.status, ...Object.entries(response.headers).flat())
    }
    case 'next': {
      // Several may have been asked for.
      const turn = call.turn.then(async () => await call.body?.next())
      call.turn = turn.catch(() => {})
      const chunk = await turn
      return chunk === undefined || chunk.done === true ? answer('end') : answer('chunk', chunk.value)
    }
    case 'look': {
      const ask = async (question: LookQuestion): Promise<LookAnswer> => await askBack(call, asked.call, question)
      call.looked = await look({ now: numberOf(asked, 0), grace: numberOf(asked, 1) }, ask)
      return answer('done')
    }
    case 'role':
    case 'target':
      if (call.looked === undefined) throw new BinderyError('bad-format', 'nothing was looked at')
      await call.looked[asked.kind](textOf(asked, 0) ?? '')
      return answer('done')
    default:
      throw new BinderyError('bad-format', `'${asked.kind}' is no question`)
  }
}

async function askBack(call: Call, number: number, question: LookQuestion): Promise<LookAnswer> {
  const { kind, file } = question
  const more = kind === 'load' ? [] : [question.limit, ...(question.ifChangedFrom === undefined ? [] : [question.ifChangedFrom])]
  const { promise, resolve } = Promise.withResolvers<Message>()
  call.answered = resolve
  send(message(number, 'ask', kind, file, ...more))
  const answer = await promise
  const found = textOf(answer, 0)
  if (found === 'failed') throw new BinderyError('stopped', 'there is no answer')
  if (found !== 'bytes') return { kind: found === 'unchanged' ? 'unchanged' : 'absent' }
  const etag = textOf(answer, 2)
  return { kind: 'bytes', bytes: answer.fields[1] ?? emptyBytes, ...(etag === undefined ? {} : { etag }) }
}

function send(answer: Message): void {
  process.stdout.write(encodeMessage(answer))
}
