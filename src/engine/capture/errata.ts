import { concatBytes, utf8 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { errataName } from '../../format/errata.ts'
import { checkErrataOrder } from './errata-order.ts'
import { checkScript, noFolderStatus, patchCommand, stepLine, stepsOf, stepsScript, watchLines } from './errata-script.ts'
import type { Errata } from '../../format/errata.ts'
import type { Sandbox, SandboxJob, SandboxResult } from '../../port/sandbox.ts'
import type { Verified } from '../../base/verified.ts'
import type { AppliedErrata } from './errata-order.ts'

/** Runs errata patches by their own instructions in a sandbox (doc/spec/errata.md). */

/** What is run is signed, or somebody has said that it need not be. */
export type GivenErrata =
  | { readonly kind: 'signed'; readonly errata: Verified<Errata> }
  | { readonly kind: 'unsigned'; readonly errata: Errata }

/** The time limit is for each command that the sandbox is given, not for all of them. */
export type ErrataJob = Pick<SandboxJob, 'network' | 'timeLimitMs' | 'output' | 'signal'>

export function errataOf(given: GivenErrata): Errata {
  return given.kind === 'signed' ? given.errata.value : given.errata
}

/**
 * In the order given. Nothing runs before the order and every step's syntax are good; no patch is applied that does not
 * fit as a whole. Answers with the commands that made changes, in their order, for the record of the capture.
 */
export async function applyErrata(
  sandbox: Sandbox,
  given: readonly GivenErrata[],
  applied: readonly AppliedErrata[],
  job: ErrataJob,
): Promise<readonly (readonly string[])[]> {
  // There, the paths of the instructions would be those of the machine that captures.
  if (sandbox.kind === 'destdir') throw new BinderyError('not-supported', 'errata patches need a sandbox whose root is the tree')
  const all = given.map(errataOf)
  const missing = checkErrataOrder(applied, all)
  for (const errata of all) await checkSteps(sandbox, errata, job)
  const commands: (readonly string[])[] = []
  for (const errata of all) {
    const earlier = missing.filter((number) => number < errata.number)
    commands.push(await patchSources(sandbox, errata, earlier, job))
    if (stepsOf(errata).length > 0) commands.push(await runSteps(sandbox, errata, job))
  }
  return commands
}

async function checkSteps(sandbox: Sandbox, errata: Errata, job: ErrataJob): Promise<void> {
  const said = collector()
  const watch = watchLines(said.add)
  const result = await sandbox.run({ ...job, command: ['sh', '-c', checkScript(errata)], output: watch.output })
  if (statusOf(result, errata, 'the check of its instructions') === 0) return
  job.output(said.bytes())
  const line = watch.last()
  if (line === undefined) throw new BinderyError('not-supported', 'sh does not run in the tree', facts(errata))
  throw new BinderyError('bad-format', `line ${line}: is no complete command of sh: '${textOf(errata, line)}'`, facts(errata))
}

async function patchSources(sandbox: Sandbox, errata: Errata, missing: readonly string[], job: ErrataJob): Promise<readonly string[]> {
  const said = collector()
  const trial = { ...job, command: patchCommand(errata, ['--dry-run']), input: errata.diff, output: said.add }
  const status = statusOf(await sandbox.run(trial), errata, 'patch')
  if (status !== 0) {
    job.output(said.bytes())
    throw misfit(errata, status, missing)
  }
  job.output(utf8(`bindery: line ${errata.apply.line}: patch -p${errata.apply.strip} in ${errata.apply.folder}\n`))
  const command = patchCommand(errata, [])
  const done = statusOf(await sandbox.run({ ...trial, command, output: job.output }), errata, 'patch')
  if (done !== 0) throw failure(errata, errata.apply.line, `patch failed with status ${done}`)
  return command
}

const notFoundStatus = 127

function misfit(errata: Errata, status: number, missing: readonly string[]): BinderyError {
  const { folder } = errata.apply
  const subject = errataName(errata)
  if (status === noFolderStatus)
    return new BinderyError('not-found', `there is no ${folder} in the tree`, { subject, hint: 'unpack the sources of the release there' })
  if (status === notFoundStatus) return new BinderyError('not-supported', 'there is no patch(1) in the tree', { subject })
  const earlier = missing.length === 0 ? '' : `, or does it need an earlier patch (not known to be applied: ${missing.join(' ')})`
  const hint = `is it applied already${earlier}, or is ${folder} not the source of ${errata.release ?? 'its release'}?`
  return new BinderyError('wrong-base', `does not fit the sources in ${folder}`, { subject, hint })
}

async function runSteps(sandbox: Sandbox, errata: Errata, job: ErrataJob): Promise<readonly string[]> {
  const watch = watchLines(job.output)
  const command = ['sh', '-c', stepsScript(errata)]
  const result = await sandbox.run({ ...job, command, output: watch.output })
  const line = watch.last() ?? errata.apply.line
  const what = watch.last() === undefined ? `the shell in ${errata.apply.startFolder}` : `'${textOf(errata, line)}'`
  const status = statusOf(result, errata, what, line)
  if (status !== 0) throw failure(errata, line, `${what} failed with status ${status}`)
  // A step such as `exit 0`.
  if (line !== stepsOf(errata).at(-1)?.line) throw failure(errata, line, `${what} ended the shell before the last step`)
  return command
}

function statusOf(result: SandboxResult, errata: Errata, what: string, line: number = errata.apply.line): number {
  if (result.kind === 'out of time') throw failure(errata, line, `${what} ran out of time`)
  return result.status
}

function failure(errata: Errata, line: number, what: string): BinderyError {
  return new BinderyError('command-failed', `line ${line}: ${what}`, facts(errata))
}

function facts(errata: Errata): { readonly subject: string } {
  return { subject: errataName(errata) }
}

function textOf(errata: Errata, line: number): string {
  const step = stepsOf(errata).find((step) => step.line === line)
  return step === undefined ? '' : stepLine(step)
}

/** Enough of what a command says to see why it failed. */
const maxSaid = 64 << 10

function collector(): { readonly add: (bytes: Uint8Array) => void; readonly bytes: () => Uint8Array } {
  const parts: Uint8Array[] = []
  let size = 0
  return {
    add: (bytes) => {
      if (size < maxSaid) parts.push(bytes.slice(0, maxSaid - size))
      size += bytes.length
    },
    bytes: () => concatBytes(parts),
  }
}
