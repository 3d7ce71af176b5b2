import { emptyKeyring } from '../engine/repo/keyring.ts'
import { executePrune, planPrune, usualKeep } from '../engine/repo/prune.ts'
import { openRepositoryFolder, writeRepositoryFolder } from '../host/repository-folder.ts'
import { sharedFlags } from './flags.ts'
import { keyringOf, lifetimeOptions, lifetimesOf } from './repository-options.ts'
import { wholeOf } from './whole-number.ts'
import type { PrunePlan } from '../engine/repo/prune.ts'
import type { Command, Context, Input } from './command.ts'

export const prune: Command = {
  name: 'prune',
  summary: 'drop old releases, and files that belong to nothing',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    repo: sharedFlags.repo,
    keys: sharedFlags.keys,
    keep: { kind: 'value', value: 'N', help: `how many releases of each channel stay (default: ${usualKeep})` },
    'dry-run': sharedFlags.dryRun,
    json: sharedFlags.json,
    ...lifetimeOptions,
  },
  examples: ['bindery prune -r repo --keep 4 -n', 'bindery prune -r repo -k keys --keep 4'],
  run: async (context, input) => {
    const keep = wholeOf(input, 'keep', 1, 100_000) ?? usualKeep
    if (input.flag('dry-run'))
      return await show(context, input, await planPrune({ store: await openRepositoryFolder(input.required('repo')), keep }))
    const folder = input.value('keys')
    await writeRepositoryFolder(input.required('repo'), 'prune', async (store) => {
      // Where only leavings go, nothing is signed, and no key is needed.
      const keyring = folder === undefined ? emptyKeyring : await keyringOf(context, folder)
      const plan = await planPrune({ store, keep })
      const files = await executePrune({ store, keep, keyring, clock: context.clock, lifetimes: lifetimesOf(input) }, plan)
      for (const { role, releases } of plan.channels) context.explain(`${role}: dropped ${releases.join(' ')}`)
      context.explain(`removed ${files.length} files, ${files.reduce((sum, { size }) => sum + size, 0)} bytes`)
    })
    return 0
  },
}

async function show({ out }: Context, input: Input, { channels, files }: PrunePlan): Promise<number> {
  const json = input.flag('json')
  for (const { role, releases } of channels) {
    for (const release of releases) await out(json ? `${JSON.stringify({ kind: 'release', role, release })}\n` : `release ${release}\n`)
  }
  for (const { key, size } of files) await out(json ? `${JSON.stringify({ kind: 'file', file: key, size })}\n` : `file ${key} ${size}\n`)
  return 0
}
