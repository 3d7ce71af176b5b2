import { openChannel, channelTargets } from '../../src/engine/repo/channel-draft.ts'
import { commitFiles, onlineSigners, signedFile, usualLifetimes } from '../../src/engine/repo/commit.ts'
import { blobOfBytes, putBlob, targetOf } from '../../src/engine/repo/blob.ts'
import { requireSigners } from '../../src/engine/repo/keyring.ts'
import { loadRepository, roleKeysOf } from '../../src/engine/repo/repository.ts'
import type { Channel } from '../../src/base/name.ts'
import type { ChannelDraft } from '../../src/engine/repo/channel-draft.ts'
import type { JsonObject } from '../../src/format/strict-json.ts'
import type { Store } from '../../src/port/store.ts'
import type { Workshop } from './repository.ts'

/** A target's new bytes; without, it is not listed any more. */
export type Changed = { readonly target: string; readonly bytes: Uint8Array | undefined; readonly custom?: JsonObject }

/** A publisher's mistake: targets of a channel that are not what they should be, well signed. */
export async function resign(
  workshop: Pick<Workshop<Store>, 'store' | 'clock' | 'keyring'>,
  change: (draft: ChannelDraft) => readonly Changed[],
  channel: Channel = { product: 'base', arch: 'amd64' },
): Promise<void> {
  const { store, clock, keyring } = workshop
  const repository = await loadRepository(store)
  const draft = await openChannel(store, repository, channel)
  for (const { target, bytes, custom } of change(draft)) {
    if (bytes === undefined) draft.targets.delete(target)
    else {
      const blob = blobOfBytes(target, bytes)
      await putBlob(store, blob)
      draft.targets.set(target, targetOf(blob, custom))
    }
  }
  const signers = await requireSigners(keyring, draft.role, roleKeysOf(repository, draft.role))
  const files = [signedFile(draft.role, channelTargets(draft, clock, usualLifetimes), signers)]
  await commitFiles({ store, repository, files, clock, lifetimes: usualLifetimes, signers: await onlineSigners(keyring, repository) })
}
