import { mkdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { acceptSigned } from '../engine/farm/sign/accept.ts'
import { openRequest } from '../engine/farm/sign/request.ts'
import { bytesOfSource } from '../engine/farm/sign/transport.ts'
import { folderOf } from '../format/handover.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import { refuseExisting } from '../host/new-file.ts'
import { writeNewFolder } from '../host/new-folder.ts'
import { openSource, writeFileAtomically } from '../host/source.ts'
import { publishedFolder } from './farm-published.ts'
import type { HandedSet, Handover } from '../format/handover.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { ByteSource } from '../port/source.ts'

export type Acceptance = {
  readonly request: string
  readonly signed: string
  readonly key: SignifyPublicKey
  /** What `farm publish` writes to. */
  readonly last: string | undefined
}

/** All of it in a new folder, or nothing. */
export async function acceptInto(output: string, { request: requestFile, signed: signedFile, key, last }: Acceptance): Promise<Handover> {
  await refuseExisting(output)
  const sources = [await openSource(requestFile), await openSource(signedFile)] as const
  try {
    const request = await about(requestFile, async () => await openRequest(sources[0]))
    if (last !== undefined) await about(requestFile, async () => await refuseStale(request.handover, last))
    const files = await about(signedFile, async () => await acceptSigned(request, sources[1], key))
    await writeNewFolder(output, async (aside) => await writeFiles(aside, files))
    return request.handover
  } finally {
    for (const source of sources) await source.close()
  }
}

const maxList = 64 << 20

async function refuseStale({ sets }: Handover, published: string): Promise<void> {
  for (const set of sets) if ((await publishedBasis(resolve(published), set)) !== set.basis) throw staleError(set)
}

/** Of the list that is published now. */
export async function publishedBasis(published: string, set: HandedSet): Promise<string | undefined> {
  const list = await mirrorFolder(publishedFolder(published, set)).read('SHA256.sig', maxList)
  return list === undefined ? undefined : sha256(list)
}

export function staleError(set: HandedSet): BinderyError {
  return new BinderyError('downgrade', `was overtaken: another list of ${folderOf(set)} has been published since it was made`, {
    hint: 'make a new handover',
  })
}

async function writeFiles(folder: string, files: ReadonlyMap<string, ByteSource>): Promise<void> {
  for (const [name, source] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFileAtomically(join(folder, name), bytesOfSource(source))
  }
}
