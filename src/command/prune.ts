import { formatDistName } from '../base/name.ts'
import { dropBundles } from '../engine/bundle/signed-list.ts'
import { readUpdates } from '../engine/repo/channel-draft.ts'
import { emptyKeyring } from '../engine/repo/keyring.ts'
import { executePrune, planPrune, usualKeep } from '../engine/repo/prune.ts'
import { loadRepository } from '../engine/repo/repository.ts'
import { openRepositoryFolder, writeRepositoryFolder } from '../host/repository-folder.ts'
import { listSigner } from './bundle-list.ts'
import { sharedFlags } from './flags.ts'
import { keyringOf, lifetimeOptions, lifetimesOf } from './repository-options.ts'
import { wholeOf } from './whole-number.ts'
import type { PrunePlan } from '../engine/repo/prune.ts'
import type { BundleStep } from '../format/bundle-index.ts'
import type { Store } from '../port/store.ts'
import type { Command, Context, Input } from './command.ts'

export const prune: Command = {
  name: 'prune',
  summary: 'drop old releases, and files that belong to nothing',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    repo: sharedFlags.repo,
    keys: sharedFlags.keys,
    seckey: { ...sharedFlags.seckey, help: 'drop the bundles that lead to dropped releases, too, and sign their list with this key' },
    keep: { kind: 'value', value: 'N', help: `how many releases of each channel stay (default: ${usualKeep})` },
    'dry-run': sharedFlags.dryRun,
    json: sharedFlags.json,
    ...lifetimeOptions,
  },
  examples: ['bindery prune -r repo --keep 4 -n', 'bindery prune -r repo -k keys --keep 4', 'bindery prune -r repo -k keys -s bundles.sec'],
  run: async (context, input) => {
    const keep = wholeOf(input, 'keep', 1, 100_000) ?? usualKeep
    if (input.flag('dry-run'))
      return await show(context, input, await planPrune({ store: await openRepositoryFolder(input.required('repo')), keep }))
    const folder = input.value('keys')
    const seckey = input.value('seckey')
    const signing = seckey === undefined ? undefined : await listSigner(context, seckey)
    await writeRepositoryFolder(input.required('repo'), 'prune', async (store) => {
      // Where only leavings go, nothing is signed, and no key is needed.
      const keyring = folder === undefined ? emptyKeyring : await keyringOf(context, folder)
      const plan = await planPrune({ store, keep })
      const files = await executePrune({ store, keep, keyring, clock: context.clock, lifetimes: lifetimesOf(input) }, plan)
      for (const { role, releases } of plan.channels) context.explain(`${role}: dropped ${releases.join(' ')}`)
      for (const name of signing === undefined ? [] : await dropBundles(store, { ...signing, isKept: await isReleased(store) }))
        context.explain(`removed bundles/${name}`)
      context.explain(`removed ${files.length} files, ${files.reduce((sum, { size }) => sum + size, 0)} bytes`)
    })
    return 0
  },
}

/** A bundle from a release that is dropped to one that stays serves machines that come late. */
async function isReleased(store: Store): Promise<(step: BundleStep) => boolean> {
  const names = new Set<string>()
  for (const { signed } of (await loadRepository(store)).channels.values())
    for (const { release } of await readUpdates(store, signed.value.targets)) names.add(formatDistName(release.name))
  return ({ next }) => names.has(formatDistName(next))
}

async function show({ out }: Context, input: Input, { channels, files }: PrunePlan): Promise<number> {
  const json = input.flag('json')
  for (const { role, releases } of channels) {
    for (const release of releases) await out(json ? `${JSON.stringify({ kind: 'release', role, release })}\n` : `release ${release}\n`)
  }
  for (const { key, size } of files) await out(json ? `${JSON.stringify({ kind: 'file', file: key, size })}\n` : `file ${key} ${size}\n`)
  return 0
}
