import { BinderyError } from '../../base/error.ts'
import { defaultLimits } from './refresh-session.ts'
import { refreshTrust } from './trust.ts'
import type { Look, LookAnswer, LookQuestion } from '../../port/fetcher.ts'
import type { MetadataSource, RefreshInput, SourceAnswer, Trust, TrustStore } from './trust-types.ts'

/**
 * The trust workflow twice: first by one who may do nothing and asks for all that it reads, then by us over the very answers that passed.
 * A parser meets bytes that nobody has verified in the first of the two alone (doc/decisions/0207).
 */

export type Refresh = (input: Pick<RefreshInput, 'store' | 'source' | 'clock' | 'grace'>) => Promise<Trust>

/** The first of the two. */
export const lookFirst: Look = async ({ now, grace }, ask) => {
  const source: MetadataSource = {
    fetch: async (file, limit, ifChangedFrom) =>
      await ask({ kind: 'fetch', file, limit, ...(ifChangedFrom === undefined ? {} : { ifChangedFrom }) }),
  }
  const trust = await refreshTrust({ store: askingStore(ask), source, clock: { now: () => now }, grace })
  return {
    role: async (name) => void (await trust.targetsOf(name)),
    target: async (path) => void (await trust.target(path)),
  }
}

/** Keeps what it is given for as long as the process lives. */
function askingStore(ask: (question: LookQuestion) => Promise<LookAnswer>): TrustStore {
  const changed = new Map<string, Uint8Array | undefined>()
  const load = async (file: string): Promise<Uint8Array | undefined> => {
    const answer = await ask({ kind: 'load', file })
    return answer.kind === 'bytes' ? answer.bytes : undefined
  }
  return {
    load: async (file) => (changed.has(file) ? changed.get(file) : await load(file)),
    save: async (file, bytes) => void changed.set(file, bytes),
    remove: async (file) => void changed.set(file, undefined),
  }
}

/** The second: asks the source for nothing that was not looked at. */
export function refreshAfter(look: Look): Refresh {
  return async (input) => {
    const now = input.clock.now()
    const heard = new Map<string, SourceAnswer[]>()
    const looked = await look({ now, grace: input.grace ?? 0 }, answerer(input, heard))
    const trust = await refreshTrust({ ...input, clock: { now: () => now }, source: heardSource(heard) })
    return {
      ...trust,
      targetsOf: async (role) => {
        await looked.role(role)
        return await trust.targetsOf(role)
      },
      target: async (path) => {
        await looked.target(path)
        return await trust.target(path)
      },
    }
  }
}

/** No workflow comes near it. */
const maxQuestions = 4096

/** Gives bytes that we have not read to one who may lie: names that lead out of the folders, and numbers, are ours to check. */
function answerer({ store, source }: Pick<RefreshInput, 'store' | 'source'>, heard: Map<string, SourceAnswer[]>): Parameters<Look>[1] {
  let questions = 0
  return async (question) => {
    const { kind, file } = question
    if (++questions > maxQuestions || !/^(?:[A-Za-z0-9._~%-]+\.json|checked)$/.test(file))
      throw new BinderyError('hostile', 'asked for what is no metadata', { subject: file })
    if (kind === 'load') {
      const bytes = await store.load(file)
      return bytes === undefined ? { kind: 'absent' } : { kind: 'bytes', bytes }
    }
    const answer = await source.fetch(file, Math.min(question.limit, defaultLimits.ceiling), question.ifChangedFrom)
    heard.set(file, [...(heard.get(file) ?? []), answer])
    return answer
  }
}

/** What was heard, in its order: timestamp.json is asked for again after a new root. */
function heardSource(heard: ReadonlyMap<string, SourceAnswer[]>): MetadataSource {
  return {
    fetch: async (file) => {
      const answers = heard.get(file) ?? []
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      if (answer === undefined) throw new BinderyError('hostile', 'was passed over by the process that looks first', { subject: file })
      return await Promise.resolve(answer)
    },
  }
}
