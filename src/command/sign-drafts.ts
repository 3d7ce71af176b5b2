import { commitKeyDrafts, stageKeyDrafts } from '../engine/repo/key-commit.ts'
import { folderStore } from '../host/folder-store.ts'
import { keyringOf, lifetimesOf } from './repository-options.ts'
import type { MakeDrafts } from '../engine/repo/key-commit.ts'
import type { Store } from '../port/store.ts'
import type { Context, Input } from './command.ts'

/** Metadata that changes: signed by the keys of --keys, or written into the folder of --unsigned for others to sign. */
export async function signOrStage(context: Context, input: Input, store: Store, make: MakeDrafts): Promise<void> {
  const unsigned = input.value('unsigned')
  const drafting = { store, make, clock: context.clock, lifetimes: lifetimesOf(input) }
  const roles =
    unsigned === undefined
      ? await commitKeyDrafts({ ...drafting, keyring: await keyringOf(context, input.required('keys')) })
      : await stageKeyDrafts({ ...drafting, stage: folderStore(unsigned) })
  context.explain(`${unsigned === undefined ? 'signed' : 'to be signed'}: ${roles.join(', ')}`)
}
