import { flushCompileCache, registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { counters } from './counters.ts'
import { cpuTime } from './cpu-time.ts'
import { casesOf, runCases, type Case } from './small-test.ts'
import type { RunTest, TestReport, TestRequest } from './protocol.ts'

/** Runs some tests in this process for each message, ends at the first one that fails, and tells its parent what came of them. */

// Whether a mutant is found must not hang on the cases that are drawn; what is found need not be small.
fc.configureGlobal({ seed: 1, endOnFailure: true })

const urlOf = (name: string): string => new URL(name, import.meta.url).href
const ours = new Map([
  ['node:test', urlOf('small-test.ts')],
  ['node:assert/strict', urlOf('small-assert.ts')],
])
registerHooks({
  resolve: (specifier, context, next) => {
    const url = ours.get(specifier)
    return url === undefined || url === context.parentURL ? next(specifier, context) : { url, shortCircuit: true }
  },
})

const loaded = new Map<string, readonly Case[]>()
/** Ends the run from outside of its test. */
let strayError: (error: unknown) => void = () => undefined

process.on('message', (request) => void answer(request as TestRequest))
process.on('uncaughtException', (error) => strayError(error))
process.on('unhandledRejection', (error) => strayError(error))
// Nothing is left that could go on: the test waits for what never comes.
process.on('beforeExit', () => strayError(new Error('a promise is still pending')))

async function answer({ files, leaveOut, only, mutant, whileLoading, hitLimit }: TestRequest): Promise<void> {
  // The channel alone does not keep a process in which a test waits for ever.
  process.channel?.unref()
  if (whileLoading === true) switchOn(mutant, hitLimit)
  const chosen = chosenOf(await loadedCases(files, only), leaveOut, only)
  switchOn(mutant, hitLimit)
  const tests: RunTest[] = []
  const failure = await attempt(chosen, (one, milliseconds) => tests.push(told(one, milliseconds)))
  const endless = (counters.hitCount ?? 0) > (hitLimit ?? Infinity)
  const { mutantCoverage: coverage } = counters
  switchOn()
  if (mutant === undefined) flushCompileCache()
  process.channel?.ref()
  const failed = failure && { id: failure.one?.id ?? chosen[0]?.id ?? '', message: String(failure.error) }
  const milliseconds = cpuTime(process.pid)?.used ?? 0
  const report: TestReport = {
    tests,
    milliseconds,
    ...(failed && { failed, passesOtherwise: await passes(failure.one) }),
    coverage,
    endless,
  }
  process.send?.(report)
}

/** No mutant, if none is given. */
function switchOn(mutant?: string, hitLimit?: number): void {
  delete counters.activeMutant
  delete counters.hitLimit
  if (mutant !== undefined) counters.activeMutant = mutant
  if (hitLimit !== undefined) Object.assign(counters, { hitCount: 0, hitLimit })
}

async function loadedCases(files: readonly string[], only?: readonly string[]): Promise<readonly Case[]> {
  const needed = only === undefined ? files : files.filter((file) => only.some((id) => id.startsWith(`${file} > `)))
  for (const file of needed) if (!loaded.has(file)) loaded.set(file, await casesOf(file, () => import(pathToFileURL(file).href)))
  return needed.flatMap((file) => loaded.get(file) ?? [])
}

/** In the order of `only`, where it is given. */
function chosenOf(cases: readonly Case[], leaveOut: readonly string[], only?: readonly string[]): readonly Case[] {
  const kept = cases.filter(({ name }) => !leaveOut.some((one) => name === one || name.endsWith(` ${one}`)))
  const byId = new Map(kept.map((one) => [one.id, one]))
  return only === undefined ? kept : only.flatMap((id) => byId.get(id) ?? [])
}

type Failure = { readonly one?: Case; readonly error: unknown }

async function attempt(chosen: readonly Case[], onPass?: (one: Case, milliseconds: number) => void): Promise<Failure | undefined> {
  const { promise, resolve } = Promise.withResolvers<Failure>()
  strayError = (error) => resolve({ error })
  return await Promise.race([promise, runCases(chosen, onPass)])
}

/** Whether what failed is the mutant, and not something that an earlier one has left behind in this process. */
async function passes(one?: Case): Promise<boolean> {
  return one !== undefined && (await attempt([one])) === undefined
}

function told({ id, file, line, column }: Case, milliseconds: number): RunTest {
  return { id, file, milliseconds, line, column }
}
