import { BinderyError } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { emptyKeyring } from '../engine/repo/keyring.ts'
import { keyAccount } from '../engine/repo/key-account.ts'
import { loadRemoteRepository } from '../engine/repo/remote-repository.ts'
import { loadRepository } from '../engine/repo/repository.ts'
import { repositoryUrl } from '../format/conf.ts'
import { formatTime } from '../format/tuf.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { httpMetadata } from './http-metadata.ts'
import { print } from './output.ts'
import { readRootFile } from './root-file.ts'
import { openStageFolder, printStage } from './sign-stage.ts'
import type { RoleAccount } from '../engine/repo/key-account.ts'
import type { Context, Input } from './command.ts'
import type { KeysAction } from './keys.ts'

export const listKeys: KeysAction = async (context, input, operands) => {
  for (const account of await accountsOf(context, input, operands)) {
    const lines = input.flag('json') ? [JSON.stringify(accountJson(account))] : accountLines(account).map(showLine)
    for (const line of lines) await print(context, `${line}\n`)
  }
  return 0
}

/** Of a folder, or of one that is served, followed from a root that is trusted. */
export async function accountsOf(context: Context, input: Input, operands: readonly string[]): Promise<readonly RoleAccount[]> {
  const [url, rootFile, more] = operands
  if (url === undefined) return keyAccount(await loadRepository(await openRepositoryFolder(input.required('repo'))))
  if (rootFile === undefined || more !== undefined) throw new BinderyError('usage', 'takes URL and ROOT.json, or --repo')
  const source = httpMetadata(context.http, `${repositoryUrl(url)}metadata/`)
  return keyAccount(await loadRemoteRepository(source, await readRootFile(context, rootFile), context.clock))
}

function accountJson({ role, metadata, threshold, keys, next }: RoleAccount): object {
  return {
    role,
    ...(metadata === undefined ? {} : { version: metadata.version, expires: formatTime(metadata.expires) }),
    threshold,
    keys: keys.map(({ id, holder, hasSigned }) => ({ id, holder, signed: hasSigned })),
    next: next.map(({ id, holder }) => ({ id, holder })),
  }
}

function accountLines({ role, metadata, threshold, keys, next }: RoleAccount): readonly string[] {
  const state = metadata === undefined ? 'no channel yet' : `version ${metadata.version}, good until ${formatTime(metadata.expires)}`
  return [
    `${role}: ${threshold} of ${keys.length} keys; ${state}`,
    ...keys.map(({ id, holder, hasSigned }) => `  ${id.slice(0, 16)}${nameOf(holder)}${hasSigned ? ', signed' : ''}`),
    ...next.map(({ id, holder }) => `  ${id.slice(0, 16)}${nameOf(holder)}, announced`),
  ]
}

function nameOf(holder: string | undefined): string {
  return holder === undefined ? '' : ` ${holder}`
}

export const showStage: KeysAction = async (context, _, operands) => {
  const [folder, root, more] = operands
  if (folder === undefined || more !== undefined) throw new BinderyError('usage', "'show' takes a folder that --unsigned has made")
  await printStage(context, await openStageFolder(context, folder, root), emptyKeyring)
  return 0
}
