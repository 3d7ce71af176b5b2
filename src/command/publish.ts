import { BinderyError } from '../base/error.ts'
import { formatDistName } from '../base/name.ts'
import { publish as publishDists, usualDeltas } from '../engine/repo/publish.ts'
import { stageReleases } from '../engine/repo/stage.ts'
import { publishStage } from '../engine/repo/stage-publish.ts'
import { emptyKeyring } from '../engine/repo/keyring.ts'
import { parseUpgradeSlice } from '../engine/repo/upgrade-slice.ts'
import { folderStore } from '../host/folder-store.ts'
import { openRepositoryFolder, writeRepositoryFolder } from '../host/repository-folder.ts'
import { openSource, spoolToSource } from '../host/source.ts'
import { isCommand, stepsOfCommands } from '../format/post-step.ts'
import { isDetailsUrl, isTitle, rebootClasses } from '../format/update.ts'
import { sharedFlags } from './flags.ts'
import { makingOf, makingOptions } from './making.ts'
import { keyringOf, lifetimeOptions, lifetimesOf } from './repository-options.ts'
import { wholeOf } from './whole-number.ts'
import type { PublishInput } from '../engine/repo/publish.ts'
import type { DraftedRelease } from '../engine/repo/release-draft.ts'
import type { UpdateNotes } from '../engine/update/compose.ts'
import type { RebootClass } from '../format/update.ts'
import type { ByteSource } from '../port/source.ts'
import type { Store } from '../port/store.ts'
import type { Command, Context, Input } from './command.ts'

export const publish: Command = {
  name: 'publish',
  summary: 'add releases to their channels',
  operands: 'DIST ...',
  operandCount: { min: 0, max: Infinity },
  options: {
    repo: sharedFlags.repo,
    keys: sharedFlags.keys,
    unsigned: { kind: 'value', value: 'DIR', help: 'write into DIR what is to be signed elsewhere; no key is needed' },
    signed: { kind: 'value', value: 'DIR', help: 'publish what was signed in DIR' },
    deltas: { kind: 'value', value: 'N', help: `make deltas from at most N earlier releases (default: ${usualDeltas})` },
    ...makingOptions,
    title: { kind: 'value', value: 'TEXT', help: 'what people call the update: one line' },
    url: { kind: 'value', value: 'URL', help: 'where more is said about it' },
    notice: { kind: 'list', value: 'TEXT', help: 'a notice for whoever installs the release; may be repeated' },
    'post-step': { kind: 'list', value: 'COMMAND', help: 'run by sh when the release has been installed; may be repeated' },
    upgrade: { kind: 'value', value: 'PATH', help: "a folder of the dist: 'make upgrade' in it is the last step of an install" },
    security: { kind: 'flag', help: 'the release mends a security problem' },
    reboot: { kind: 'value', value: 'CLASS', help: 'none, restart (of services), reboot or careful (default: none)' },
    ...lifetimeOptions,
  },
  examples: [
    'bindery publish -r repo -k keys base-7.6-20260101-amd64.tar.zst',
    "bindery publish -r repo -k keys --security --reboot restart --title 'Repairs sshd' base.tar.zst",
    'bindery publish -r repo -k keys --post-step /usr/libexec/reorder_kernel base.tar.zst',
    'bindery publish -r repo -k keys --upgrade /usr/share/upgrade base.tar.zst',
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
  await withSources(input.operands, async (dists) => {
    tell(context, await publishDists({ ...publishInput(context, input, store), dists, keyring }))
  })
}

async function publishUnsigned(context: Context, input: Input, store: Store): Promise<void> {
  const stage = folderStore(input.required('unsigned'))
  await withSources(input.operands, async (dists) => {
    tell(context, await stageReleases({ ...publishInput(context, input, store), dists, stage }))
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

function publishInput(context: Context, input: Input, store: Store): Omit<PublishInput, 'dists'> {
  const upgrade = input.value('upgrade')
  return {
    store,
    clock: context.clock,
    spool: spoolToSource,
    deltas: wholeOf(input, 'deltas', 0, 64) ?? usualDeltas,
    making: makingOf(context, input),
    notes: notesOf(input),
    upgrade: upgrade === undefined ? undefined : parseUpgradeSlice(upgrade),
    lifetimes: lifetimesOf(input),
    progress: context.progress,
    signal: context.signal,
    explain: context.explain,
  }
}

function notesOf(input: Input): UpdateNotes {
  const [title, url] = [input.value('title'), input.value('url')]
  if (title !== undefined && !isTitle(title)) throw new BinderyError('usage', '--title takes one line of at most 200 characters')
  if (url !== undefined && !isDetailsUrl(url)) throw new BinderyError('usage', '--url takes an address of http or https')
  return {
    ...(title === undefined ? {} : { title }),
    ...(url === undefined ? {} : { url }),
    notices: input.list('notice'),
    postSteps: stepsOfCommands(input.list('post-step').map(commandOf)),
    reboot: rebootOf(input.value('reboot') ?? 'none'),
    security: input.flag('security'),
  }
}

function commandOf(text: string): string {
  if (!isCommand(text)) throw new BinderyError('usage', '--post-step takes a command of one line')
  return text
}

function rebootOf(text: string): RebootClass {
  const found = rebootClasses.find((known) => known === text)
  if (found === undefined) throw new BinderyError('usage', `--reboot takes none, restart, reboot or careful, not '${text}'`)
  return found
}

async function withSources<T>(files: readonly string[], work: (sources: readonly ByteSource[]) => Promise<T>): Promise<T> {
  const sources: Awaited<ReturnType<typeof openSource>>[] = []
  try {
    for (const file of files) sources.push(await openSource(file))
    return await work(sources)
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
