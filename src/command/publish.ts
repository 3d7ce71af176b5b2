import { BinderyError } from '../base/error.ts'
import { formatDistName } from '../base/name.ts'
import { publish as publishDists, usualDeltas } from '../engine/repo/publish.ts'
import { stageReleases } from '../engine/repo/stage-releases.ts'
import { publishStage } from '../engine/repo/stage-publish.ts'
import { emptyKeyring } from '../engine/repo/keyring.ts'
import { parseUpgradeSlice } from '../engine/repo/upgrade-slice.ts'
import { parseWantedNeed } from '../engine/repo/wanted-need.ts'
import { folderStore } from '../host/folder-store.ts'
import { openRepositoryFolder, writeRepositoryFolder } from '../host/repository-folder.ts'
import { openSource, spoolToSource } from '../host/source.ts'
import { advise } from '../engine/update/advise.ts'
import { eventsBetween } from '../engine/update/events.ts'
import { parseWantedPhases, phasesOfRules } from '../engine/update/phases.ts'
import { systemOf } from '../engine/update/system.ts'
import { openComposed } from './composed.ts'
import { sharedFlags } from './flags.ts'
import { listingOf, listingOptions } from './listing-options.ts'
import { makingOf, makingOptions } from './making.ts'
import { keyringOf, lifetimeOptions, lifetimesOf } from './repository-options.ts'
import { ruleOptions, rulesOf } from './rules-input.ts'
import { isTree } from './tree-input.ts'
import { answersOf, noteOptions, notesOfFlags, titleOf } from './update-notes.ts'
import { wholeOf } from './whole-number.ts'
import type { PublishInput } from '../engine/repo/publish.ts'
import type { Advisor, DraftedRelease } from '../engine/repo/release-draft.ts'
import type { UpdateNotes } from '../engine/update/compose.ts'
import type { OpenSource } from '../host/source.ts'
import type { ByteSource } from '../port/source.ts'
import type { Store } from '../port/store.ts'
import type { Command, Context, Input } from './command.ts'

export const publish: Command = {
  name: 'publish',
  summary: 'add releases to their channels',
  operands: 'DIST | UPDATE ...',
  operandCount: { min: 0, max: Infinity },
  options: {
    repo: sharedFlags.repo,
    keys: sharedFlags.keys,
    unsigned: { kind: 'value', value: 'DIR', help: 'write into DIR what is to be signed elsewhere; no key is needed' },
    signed: { kind: 'value', value: 'DIR', help: 'publish what was signed in DIR' },
    deltas: { kind: 'value', value: 'N', help: `make deltas from at most N earlier releases (default: ${usualDeltas})` },
    ...makingOptions,
    name: { kind: 'value', value: 'TEXT', help: 'what people call the update: one line' },
    url: { kind: 'value', value: 'URL', help: 'where more is said about it' },
    ...noteOptions,
    ...ruleOptions,
    upgrade: { kind: 'value', value: 'PATH', help: "a folder of the dist: 'make upgrade' in it is the last step of an install" },
    needs: {
      kind: 'list',
      value: 'NEED',
      help: 'what has to be installed of another channel: PRODUCT>=REVISION; may be given again',
    },
    ...listingOptions,
    phase: {
      kind: 'list',
      value: 'PHASE',
      help: 'NAME or NAME=PATTERN: comes before the rest, with a reboot behind it; may be given again',
    },
    'phase-check': {
      kind: 'list',
      value: 'NAME=COMMAND',
      help: 'has to succeed when the machine has started again behind the phase NAME, before it goes on',
    },
    ...lifetimeOptions,
  },
  examples: [
    'bindery publish -r repo -k keys base-7.6-20260101-amd64.tar.zst',
    "bindery publish -r repo -k keys --security --reboot restart --name 'Repairs sshd' base.tar.zst",
    'bindery publish -r repo -k keys --post-step /usr/libexec/reorder_kernel base.tar.zst',
    'bindery publish -r repo -k keys --upgrade /usr/share/upgrade base.tar.zst',
    "bindery publish -r repo -k keys --needs 'kernel-GENERIC?>=7.6p2' base.tar.zst",
    'bindery publish -r repo -k keys --rollout 10/7d --end-of-life 2027-05-31 base.tar.zst',
    'bindery publish -r repo -k keys --phase kernel base.tar.zst',
    'bindery publish -r repo --unsigned outbox base.tar.zst',
    'bindery publish -r repo -k online-keys --signed outbox',
  ],
  run: async (context, input) => {
    checkWay(input)
    await writeRepositoryFolder(input.required('repo'), 'publish', async (store) => await wayOf(input)(context, input, store))
    return 0
  },
}

function checkWay(input: Input): void {
  const signed = input.value('signed') !== undefined
  if (signed && input.value('unsigned') !== undefined) throw new BinderyError('usage', '--unsigned and --signed exclude each other')
  if (input.flag('security') && input.value('rollout') !== undefined)
    throw new BinderyError('usage', '--security and --rollout exclude each other: what mends a hole is offered to all machines at once')
  if (signed && input.operands.length > 0) throw new BinderyError('usage', '--signed takes no DIST: they are in its folder')
  if (!signed && input.operands.length === 0) throw new BinderyError('usage', 'an operand is missing')
}

type Way = (context: Context, input: Input, store: Store) => Promise<void>

function wayOf(input: Input): Way {
  if (input.value('signed') !== undefined) return publishSigned
  return input.value('unsigned') === undefined ? publishHere : publishUnsigned
}

async function publishHere(context: Context, input: Input, store: Store): Promise<void> {
  const keyring = await keyringOf(context, input.required('keys'))
  await withSources(input, async (dists, composed) => {
    tell(context, await publishDists({ ...publishInput(context, input, store), dists, composed, keyring }))
  })
}

async function publishUnsigned(context: Context, input: Input, store: Store): Promise<void> {
  const stage = folderStore(input.required('unsigned'))
  await withSources(input, async (dists, composed) => {
    tell(context, await stageReleases({ ...publishInput(context, input, store), dists, composed, stage }))
  })
}

async function publishSigned(context: Context, input: Input, store: Store): Promise<void> {
  const stage = await openRepositoryFolder(input.required('signed'))
  const keys = input.value('keys')
  // Whoever holds all keys offline has signed snapshot and timestamp there too.
  const keyring = keys === undefined ? emptyKeyring : await keyringOf(context, keys)
  const roles = await publishStage({ store, stage, keyring, clock: context.clock, lifetimes: lifetimesOf(input) })
  context.explain(roles.length === 0 ? 'already there' : `published ${roles.join(', ')}`)
}

function tell({ explain }: Context, releases: readonly DraftedRelease[]): void {
  for (const release of releases) explain(storyOf(release))
}

function publishInput(context: Context, input: Input, store: Store): Omit<PublishInput, 'dists' | 'composed'> {
  const title = input.value('name')
  const upgrade = input.value('upgrade')
  return {
    store,
    clock: context.clock,
    spool: spoolToSource,
    deltas: wholeOf(input, 'deltas', 0, 64) ?? usualDeltas,
    making: makingOf(context, input),
    notes: notesOfFlags(input, title === undefined ? undefined : titleOf(title, '--name')),
    advisor: advisorOf(context, input),
    upgrade: upgrade === undefined ? undefined : parseUpgradeSlice(upgrade),
    needs: input.list('needs').map(parseWantedNeed),
    listing: listingOf(input),
    lifetimes: lifetimesOf(input),
    progress: context.progress,
    signal: context.signal,
    explain: context.explain,
  }
}

/** What the rules of the dist's system say. */
function advisorOf(context: Context, input: Input): Advisor {
  const answers = answersOf(input)
  const phases = parseWantedPhases(input.list('phase'), input.list('phase-check'))
  return async (old, next) => {
    const rules = await rulesOf(context, input, systemOf(next.entries.map(({ path }) => path)))
    const events = old === undefined ? [] : eventsBetween(old, next)
    const advice = advise(rules, events, answers)
    return phases.length === 0 || old === undefined ? advice : { ...advice, phases: phasesOfRules(phases, rules, { events, answers }) }
  }
}

type Sources = (sources: readonly ByteSource[], composed: ReadonlyMap<ByteSource, UpdateNotes>) => Promise<void>

/** Dists, and updates that were composed: these are folders. */
async function withSources(input: Input, work: Sources): Promise<void> {
  const sources: OpenSource[] = []
  const composed = new Map<ByteSource, UpdateNotes>()
  try {
    for (const operand of input.operands) {
      if (!isTree(operand)) {
        sources.push(await openSource(operand))
        continue
      }
      if (input.list('phase').length > 0)
        throw new BinderyError('usage', '--phase goes with a dist, not with an update', { subject: operand })
      const { source, notes } = await openComposed(operand)
      sources.push(source)
      composed.set(source, notes)
    }
    await work(sources, composed)
  } finally {
    for (const source of sources) await source.close()
  }
}

function storyOf({ kind, update }: DraftedRelease): string {
  const name = formatDistName(update.release.name)
  if (kind === 'present') return `${name}: already there`
  const ways = [
    ...update.full.map(({ size }) => `whole ${size} bytes`),
    ...update.deltas.map(({ from, size }) => `from ${from} ${size} bytes`),
  ]
  return `${name}: release ${update.sequence} of its channel; ${ways.join(', ')}`
}
