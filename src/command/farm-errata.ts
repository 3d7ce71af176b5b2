import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fromLatin1 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { decodePublicKey } from '../format/signify.ts'
import { systemError } from '../host/system-error.ts'
import { readErrata } from './errata-file.ts'
import { readKeyFile, readMessage } from './signed-files.ts'
import type { Commit, Revision } from '../base/source-change.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { SourceControl } from '../port/source-control.ts'
import type { Context } from './command.ts'

/** A folder of signed errata patches, as a source that a farm watches: each is a commit. */

export type ErrataFile = { readonly name: string; readonly bytes: Uint8Array; readonly number: number; readonly commit: Commit }

/** In the order of their numbers. One that is not signed by the key, or cannot be read, stands for the whole folder. */
export async function readErrataFolder(context: Context, folder: string, keyFile: string): Promise<readonly ErrataFile[]> {
  const key = await readKeyFile(context, keyFile, decodePublicKey)
  const names = await readdir(folder).catch((cause: unknown) => Promise.reject(systemError(cause, folder)))
  // What is being copied has a hidden name, as rsync gives it.
  const patches = names.filter((name) => name.endsWith('.patch.sig') && !name.startsWith('.')).toSorted()
  const files: ErrataFile[] = []
  for (const name of patches) files.push(await readOne(context, { folder, name, key }))
  return inOrder(files, folder)
}

type Patch = { readonly folder: string; readonly name: string; readonly key: SignifyPublicKey }

async function readOne(context: Context, { folder, name, key }: Patch): Promise<ErrataFile> {
  const file = join(folder, name)
  const bytes = await readMessage(context, file)
  const { value: errata } = await readErrata(bytes, file, key)
  const { mtimeMs } = await stat(file).catch((cause: unknown) => Promise.reject(systemError(cause, file)))
  const message = `${errata.apply.name}: ${errata.description.trim().replaceAll(/\s+/g, ' ')}`
  return {
    name,
    bytes,
    number: Number(errata.number),
    commit: { id: sha256(bytes), seconds: Math.floor(mtimeMs / 1000), message, paths: [name] },
  }
}

function inOrder(files: readonly ErrataFile[], folder: string): readonly ErrataFile[] {
  const ordered = files.toSorted((a, b) => a.number - b.number)
  const twin = ordered.find((file, index) => file.number === ordered[index - 1]?.number)
  if (twin === undefined) return ordered
  throw new BinderyError('conflict', `has the number of another one in the folder: ${twin.number}`, { subject: join(folder, twin.name) })
}

export function errataSource(files: readonly ErrataFile[]): SourceControl {
  return {
    pinned: async () => await Promise.resolve(errataRevision(files).name),
    changes: async () => await Promise.resolve(files.map(({ name }) => ({ kind: 'added', path: name }))),
    commits: async () => await Promise.resolve(files.map(({ commit }) => commit).toReversed()),
  }
}

/** By all of their bytes. */
export function errataRevision(files: readonly ErrataFile[]): Revision {
  return { name: sha256(fromLatin1(files.map(({ name, commit: { id } }) => `${id} ${name}\n`).join(''))), seconds: undefined }
}
