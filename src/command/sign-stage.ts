import { about } from '../base/about.ts'
import { BinderyError } from '../base/error.ts'
import { usualLifetimes } from '../engine/repo/commit.ts'
import { openKeyring } from '../engine/repo/keyring.ts'
import { describeStage, stageLines } from '../engine/repo/stage-summary.ts'
import { signStage } from '../engine/repo/stage-sign.ts'
import { openStage } from '../engine/repo/stage.ts'
import { readKeyFiles } from '../host/key-folder.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { keyringOf } from './repository-options.ts'
import { print } from './output.ts'
import { readRootFile } from './root-file.ts'
import type { Keyring } from '../engine/repo/keyring.ts'
import type { SignedRole } from '../engine/repo/stage-sign.ts'
import type { Stage } from '../engine/repo/stage.ts'
import type { Context, Input } from './command.ts'

/** `sign -k KEYS DIR`: read once, shown, and the keys are opened after that. */
export async function signStaged(context: Context, input: Input, folder: string): Promise<number> {
  const keyring = await keyringHere(context, input)
  const stage = await openStageFolder(context, folder, input.operands[1])
  await printStage(context, stage, keyring)
  const roles = await signStage({ stage, keyring, clock: context.clock, lifetimes: usualLifetimes })
  for (const role of roles) await print(context, `${signedLine(role)}\n`)
  return 0
}

/** A folder of keys, or the one that somebody carries along. */
async function keyringHere(context: Context, input: Input): Promise<Keyring> {
  const seckey = input.value('seckey')
  if (seckey === undefined) return await keyringOf(context, input.required('keys'))
  if (input.value('keys') !== undefined) throw new BinderyError('usage', '--keys and --seckey exclude each other')
  return openKeyring([await readKeyFiles(seckey)], context.askPassphrase)
}

/** `rootFile` is one that this machine trusts. */
export async function openStageFolder(context: Pick<Context, 'stdin'>, folder: string, rootFile: string | undefined): Promise<Stage> {
  const store = await openRepositoryFolder(folder)
  if (rootFile === undefined) return await openStage(store)
  const trusted = await readRootFile(context, rootFile)
  return await about(folder, async () => await openStage(store, trusted))
}

export async function printStage(context: Context, stage: Stage, keyring: Keyring): Promise<void> {
  for (const line of stageLines(await describeStage(stage), keyring.nameOf)) await print(context, `${line}\n`)
}

function signedLine({ role, version, by, complete }: SignedRole): string {
  const done = by.length === 0 ? 'not signed now' : `signed by ${by.join(', ')}`
  return `role ${role}, version ${version}: ${done}; ${complete ? 'complete' : 'needs more signatures'}`
}
