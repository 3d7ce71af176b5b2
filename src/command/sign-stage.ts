import { usualLifetimes } from '../engine/repo/commit.ts'
import { describeStage, stageLines } from '../engine/repo/stage-summary.ts'
import { signStage } from '../engine/repo/stage-sign.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { keyringOf } from './repository-options.ts'
import { print } from './output.ts'
import type { SignedRole } from '../engine/repo/stage-sign.ts'
import type { Context, Input } from './command.ts'

/** `sign -k KEYS DIR`: what is going to be signed is shown first, and the keys are opened after that. */
export async function signStaged(context: Context, input: Input, folder: string): Promise<number> {
  const keyring = await keyringOf(context, input.required('keys'))
  const stage = await openRepositoryFolder(folder)
  for (const line of stageLines(await describeStage(stage))) await print(context, `${line}\n`)
  const roles = await signStage({ stage, keyring, clock: context.clock, lifetimes: usualLifetimes })
  for (const role of roles) await print(context, `${signedLine(role)}\n`)
  return 0
}

function signedLine({ role, version, by, complete }: SignedRole): string {
  const done = by.length === 0 ? 'not signed now' : `signed by ${by.join(', ')}`
  return `role ${role}, version ${version}: ${done}; ${complete ? 'complete' : 'needs more signatures'}`
}
