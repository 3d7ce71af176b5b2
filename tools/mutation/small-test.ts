import { counters } from './counters.ts'
import { cpuTime } from './cpu-time.ts'

/**
 * What our tests use of `node:test`, for tests that are run over and over in one process, any of them at any time. The process of
 * tests puts it in the place of `node:test`, whose tests run once.
 */

type Hook = () => unknown
type Hooks = { readonly before: Hook[]; readonly beforeEach: Hook[]; readonly afterEach: Hook[] }
type Suite = Hooks & { readonly name: string; readonly outer?: Suite; isReady: boolean }
type Context = {
  readonly after: (hook: Hook) => void
  readonly test: (...call: Call) => Promise<void>
  readonly skip: () => void
  readonly diagnostic: () => void
}
type Body = (context: Context) => unknown
type Options = { readonly skip?: unknown; readonly todo?: unknown }
type Call = readonly [name: string, ...(readonly [Body] | readonly [Options, Body])]

export type Case = {
  /** `FILE > NAME`, with the names of the suites around it. */
  readonly id: string
  /** With the names of the suites around it, but not of the file. */
  readonly name: string
  readonly file: string
  /** Of its definition, from 0. */
  readonly line: number
  readonly column: number
  readonly suite: Suite
  readonly body: Body
}

const emptySuite = (name: string, outer?: Suite): Suite => ({
  name,
  ...(outer === undefined ? {} : { outer }),
  isReady: false,
  before: [],
  beforeEach: [],
  afterEach: [],
})

const cases: Case[] = []
let file = ''
let suite = emptySuite('')

/** What the file defines while `load` imports it. */
export async function casesOf(name: string, load: () => Promise<unknown>): Promise<readonly Case[]> {
  cases.length = 0
  file = name
  suite = emptySuite('')
  await load()
  return [...cases]
}

export function test(...call: Call): Promise<void> {
  const [title, options, body] = parts(call)
  if (isSkipped(options)) return Promise.resolve()
  const name = [...namesOf(suite), title]
  cases.push({ id: [file, ...name].join(' > '), name: name.join(' '), file, ...position(), suite, body })
  return Promise.resolve()
}

export function describe(...call: Call): void {
  const [title, options, body] = parts(call)
  if (isSkipped(options)) return
  const outer = suite
  suite = emptySuite(title, outer)
  body(context([]))
  suite = outer
}

export const before = (hook: Hook): unknown => suite.before.push(hook)
/** Never: what is there stays for the next time, and its process is killed in the end. */
export const after = (_: Hook): void => {}
export const beforeEach = (hook: Hook): unknown => suite.beforeEach.push(hook)
export const afterEach = (hook: Hook): unknown => suite.afterEach.push(hook)

/** Runs these, up to the first that fails, which is answered with its error. Milliseconds are those of a processor. */
export async function runCases(
  chosen: readonly Case[],
  onPass: (one: Case, milliseconds: number) => void = () => undefined,
): Promise<{ readonly one: Case; readonly error: unknown } | undefined> {
  for (const one of chosen) {
    counters.currentTestId = one.id
    const started = usedTime()
    try {
      await enter(one.suite)
      await runCase(one)
    } catch (error) {
      return { one, error }
    } finally {
      delete counters.currentTestId
    }
    onPass(one, usedTime() - started)
  }
  return undefined
}

/** With that of the programs that tests start, which is most of it for some of them. */
function usedTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000 + (cpuTime(process.pid)?.ofChildren ?? 0)
}

/** What a suite makes for its tests is made once. */
async function enter(suiteOfCase: Suite): Promise<void> {
  for (const one of [...suitesAround(suiteOfCase)].reverse()) {
    if (one.isReady) continue
    for (const hook of one.before) await hook()
    one.isReady = true
  }
}

async function runCase({ suite: around, body }: Case): Promise<void> {
  const suites = [...suitesAround(around)]
  try {
    for (const hook of suites.toReversed().flatMap((one) => one.beforeEach)) await hook()
    await runBody(body)
  } finally {
    for (const hook of suites.flatMap((one) => one.afterEach)) await hook()
  }
}

async function runBody(body: Body): Promise<void> {
  const cleanups: Hook[] = []
  try {
    await body(context(cleanups))
  } finally {
    for (const hook of cleanups) await hook()
  }
}

function context(cleanups: Hook[]): Context {
  return {
    after: (hook) => void cleanups.push(hook),
    test: async (...call) => {
      const [, options, body] = parts(call)
      if (!isSkipped(options)) await runBody(body)
    },
    skip: () => undefined,
    diagnostic: () => undefined,
  }
}

function parts([name, first, second]: Call): readonly [string, Options, Body] {
  return typeof first === 'function' ? [name, {}, first] : [name, first, second as Body]
}

function isSkipped({ skip, todo }: Options): boolean {
  return [skip, todo].some((why) => why !== undefined && why !== false)
}

function* suitesAround(inner: Suite): Iterable<Suite> {
  for (let one: Suite | undefined = inner; one !== undefined; one = one.outer) yield one
}

function namesOf(inner: Suite): readonly string[] {
  return [...suitesAround(inner)]
    .map(({ name }) => name)
    .filter((name) => name !== '')
    .reverse()
}

/** Where in the file of tests, by the call that leads to here. */
function position(): { readonly line: number; readonly column: number } {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 20
  const { stack = '' } = new Error()
  Error.stackTraceLimit = limit
  const frame = stack.split('\n').find((line) => line.includes(`/${file}:`)) ?? ''
  const [, line = '1', column = '1'] = /:(\d+):(\d+)\)?$/.exec(frame) ?? []
  return { line: Number(line) - 1, column: Number(column) - 1 }
}
