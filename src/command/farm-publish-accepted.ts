import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes } from '../base/bytes.ts'
import { requestName } from '../engine/farm/sign/request.ts'
import { decodeHandover, folderOf } from '../format/handover.ts'
import { hostLocker } from '../host/lock.ts'
import { openInput } from '../host/source.ts'
import { publishSet } from './farm-publish-set.ts'
import type { HandedSet, Handover } from '../format/handover.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { Context } from './command.ts'
import type { PublishedSet } from './farm-publish-set.ts'

export type PublishOrder = {
  readonly accepted: string
  readonly output: string
  readonly key: SignifyPublicKey
  readonly graceSeconds: number
}

export async function publishAccepted(
  context: Context,
  { accepted, output, key, graceSeconds }: PublishOrder,
  tell: (set: HandedSet, done: PublishedSet) => Promise<void>,
): Promise<void> {
  const { sets } = await readRequest(context, join(accepted, requestName))
  await mkdir(join(output, '.lock'), { recursive: true })
  const lock = await hostLocker(join(output, '.lock')).take('farm publish')
  try {
    for (const set of sets)
      await tell(set, await publishSet(context, { set, from: join(resolve(accepted), folderOf(set)), output, key, graceSeconds }))
  } finally {
    await lock.release()
  }
}

const maxRecord = 256 << 20

export async function readRequest(context: Context, file: string): Promise<Handover> {
  const bytes = await collectBytes(await openInput(file, context.stdin), maxRecord)
  return await about(file, () => decodeHandover(bytes ?? new Uint8Array(0)))
}
