import { fromUtf8, utf8 } from '../../../base/bytes.ts'
import type { PageCache } from '../../../port/page-cache.ts'

/**
 * What was answered last time, and to what: while neither the packages of the machine nor any page of the mirrors has changed, the answer is the same,
 * and nothing has to be read (doc/decisions/0133).
 */
export type Question = {
  /** The program, the root, and what was asked for. */
  readonly asked: string
  readonly machine: string
  /** What servers call their pages. */
  readonly pages: string
}

export type Answer = { readonly stderr: string; readonly stdout: string }

type Memory = Question & Answer

/** Undefined where nothing is remembered of this root and these packages. */
export function recall(cache: PageCache, root: string, asked: Omit<Question, 'pages'>): Memory | undefined {
  const content = cache.load(keyOf(root))?.content()
  const memory = content === undefined ? undefined : decode(content)
  return memory?.asked === asked.asked && memory.machine === asked.machine ? memory : undefined
}

export function remember(cache: PageCache, root: string, question: Question, answer: Answer): void {
  cache.save(keyOf(root), { content: utf8(JSON.stringify({ ...question, ...answer })) })
}

function keyOf(root: string): string {
  return `answer ${root}`
}

function decode(content: Uint8Array): Memory | undefined {
  try {
    const value = JSON.parse(fromUtf8(content)) as Partial<Record<keyof Memory, unknown>>
    const { asked, machine, pages, stderr, stdout } = value
    const texts = [asked, machine, pages, stderr, stdout]
    return texts.every((text) => typeof text === 'string') ? (value as Memory) : undefined
  } catch {
    return undefined
  }
}
