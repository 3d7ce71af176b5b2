import { BinderyError } from '../base/error.ts'
import { draftAmendment } from '../engine/repo/amend.ts'
import { writeRepositoryFolder } from '../host/repository-folder.ts'
import { sharedFlags } from './flags.ts'
import { listingOf, listingOptions } from './listing-options.ts'
import { lifetimeOptions } from './repository-options.ts'
import { signOrStage } from './sign-drafts.ts'
import type { Amendment } from '../engine/repo/amend.ts'
import type { MakeDrafts } from '../engine/repo/key-commit.ts'
import type { Command, Input } from './command.ts'

export const amend: Command = {
  name: 'amend',
  summary: 'withdraw releases, or change to whom they are offered and when their life ends',
  operands: 'RELEASE ...',
  operandCount: { min: 1, max: 1000 },
  options: {
    repo: sharedFlags.repo,
    keys: sharedFlags.keys,
    unsigned: { kind: 'value', value: 'DIR', help: 'write into DIR what is to be signed elsewhere; no key is needed' },
    withdraw: { kind: 'flag', help: 'offer them to nobody any more' },
    restore: { kind: 'flag', help: 'offer them again' },
    ...listingOptions,
    ...lifetimeOptions,
  },
  examples: [
    'bindery amend -r repo -k keys --withdraw base-7.6p3-20260301-amd64',
    'bindery amend -r repo -k keys --rollout 50 base-7.6p3-20260301-amd64',
    'bindery amend -r repo -k keys --end-of-life 2027-05-31 base-7.6p3-20260301-amd64',
    'bindery amend -r repo --unsigned outbox --restore base-7.6p3-20260301-amd64',
  ],
  run: async (context, input) => {
    const amendment = amendmentOf(input)
    const make: MakeDrafts = (repository, drafting) => draftAmendment(repository, drafting, input.operands, amendment)
    await writeRepositoryFolder(input.required('repo'), 'amend', async (store) => await signOrStage(context, input, store, make))
    return 0
  },
}

function amendmentOf(input: Input): Amendment {
  const [withdraw, restore] = [input.flag('withdraw'), input.flag('restore')]
  if (withdraw && restore) throw new BinderyError('usage', '--withdraw and --restore exclude each other')
  const amendment = { ...listingOf(input), ...(withdraw || restore ? { withdrawn: withdraw } : {}) }
  if (Object.keys(amendment).length === 0)
    throw new BinderyError('usage', 'nothing is to be changed', { hint: '--withdraw, --restore, --rollout or --end-of-life says what' })
  return amendment
}
