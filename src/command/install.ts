import { BinderyError } from '../base/error.ts'
import { formatChannel, formatDistName } from '../base/name.ts'
import { showSize } from '../base/show-size.ts'
import { pathPattern } from '../format/conf.ts'
import { describeKeptBack, fitOffers, goalsNamed, refuseKeptBack } from '../engine/client/fetch/fitting-offers.ts'
import { installPlan, planInstall, summarize, unsettable } from '../engine/client/apply/install.ts'
import { nextParts } from '../engine/client/apply/phases.ts'
import { describeStanding } from '../engine/client/phase.ts'
import { pendingReboots } from '../engine/client/reboot.ts'
import { channelsLeft, restBeside } from '../engine/client/rest.ts'
import { newestOf } from '../engine/client/fetch/offer.ts'
import { withAllIncoming } from '../engine/client/fetch/together.ts'
import { readJournal } from '../engine/client/apply/receipts.ts'
import { changing, channelsOf, isInPlace, openSession, refuseReader, stagingOf, withLock } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import { reported } from './finish.ts'
import { tellOtherKernel } from './kernel-channel.ts'
import { conclude, needsAttention, recoverFirst, removeDownloads } from './outcome.ts'
import { conflictLines, planLines } from './plan-text.ts'
import { print } from './output.ts'
import { tellProspects } from './prospects.ts'
import { betweenPhases } from './between-phases.ts'
import { handOver, offersFor, ownFirst } from './own-update.ts'
import { strongestReboot } from '../format/update.ts'
import { rebootAsWished, rebootOption, rebootWish } from './reboot.ts'
import type { Incoming } from '../engine/client/incoming.ts'
import type { InstallInput } from '../engine/client/apply/install.ts'
import type { Plan } from '../engine/client/apply/plan.ts'
import type { ClientConfig } from '../format/conf.ts'
import type { Finished } from './finish.ts'
import type { Part } from '../engine/client/apply/parts.ts'
import type { FittingOffers } from '../engine/client/fetch/fitting-offers.ts'
import type { Offer } from '../engine/client/fetch/offer.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Standing } from '../engine/client/phase.ts'
import type { Verified } from '../base/verified.ts'
import type { Update } from '../format/update.ts'
import type { Standings } from './between-phases.ts'
import type { Went } from './own-update.ts'
import type { Command, Context, Input } from './command.ts'

export const install: Command = {
  name: 'install',
  summary: 'bring channels to their newest release',
  operands: '[CHANNEL ...]',
  operandCount: { min: 0, max: 64 },
  options: {
    'dry-run': sharedFlags.dryRun,
    json: sharedFlags.json,
    cron: sharedFlags.cron,
    now: { kind: 'flag', help: 'take releases that are not yet offered to all machines' },
    reboot: rebootOption,
    finish: { kind: 'flag', help: 'install nothing, and remove former libraries that nothing needs any more; list what needs the others' },
    to: { kind: 'value', value: 'RELEASE', help: 'bring the channels that have it to this release, or revision, and no further' },
    'config-protect': {
      kind: 'list',
      value: 'PATH',
      help: 'PATH and below is configuration: merged where both sides changed it; may be given again',
    },
    report: sharedFlags.report,
  },
  examples: [
    'bindery install',
    'bindery install -n',
    'bindery install --cron',
    'bindery install --reboot=now',
    'bindery install --finish',
    'bindery install --to 7.6p2',
    'bindery -C /mnt -q install base/amd64',
  ],
  run: async (context, input) => {
    const wish = rebootWish(context, input)
    const { program } = context
    const session = await sessionOf(context, input)
    if (input.flag('dry-run')) {
      await refuseReader(session)
      return await withLock(context, 'install', async () => (await workOf(context, session, input)).status)
    }
    if (input.flag('cron') && program.begunWith === undefined) await (await import('./cron.ts')).waitForMoment(context, session)
    let done: Installed = { ...nothingDone, goesOn: false }
    const work = async (here: Context): Promise<number> => {
      const mine = here === context ? session : await sessionOf(here, input)
      return await changing(here, mine, async (changed) => (done = await installHere(here, changed, input)).result)
    }
    const staging = isInPlace(context, session.config) ? undefined : await stagingOf(context)
    const own = staging === undefined ? await work(context) : await staging.installStaged(context, input, work)
    const status = Math.max(own, program.begunWith ?? 0)
    if (done.goesOn) await program.become?.(status)
    const before = program.begunWith === undefined ? [] : (await pendingReboots(session.disk, context.boot)).map((one) => one.class)
    const next = (await staging?.isNextWaiting(context)) === true ? (['reboot'] as const) : []
    await rebootAsWished(context, wish, strongestReboot([done.reboot, ...before, ...next]))
    return status
  },
}

type Installed = Finished<number> & Pick<Went, 'goesOn'>

export async function sessionOf(context: Context, input: Input): Promise<Session> {
  const opened = await openSession(context, 'fetching')
  return { ...opened, config: configOf(opened, input) }
}

/** Whoever names a release does not wait for its turn. */
function configOf({ config }: Session, input: Input): ClientConfig {
  return {
    ...config,
    configProtect: [...config.configProtect, ...input.list('config-protect').map(pathPattern)],
    rollout: config.rollout && !input.flag('now') && input.value('to') === undefined,
  }
}

async function installHere(context: Context, session: Session, input: Input): Promise<Installed> {
  await refuseReader(session)
  let goesOn = false
  const work = async (): Promise<number> => {
    const went = await workOf(context, session, input)
    goesOn = went.goesOn
    return went.status
  }
  const run = async (): Promise<Finished<number>> => await reported(context, session, { verb: 'install', input }, work)
  const done = input.flag('cron')
    ? await (await import('./cron.ts')).unattended(context, session, { verb: 'install', quiet: nothingDone }, run)
    : await withLock(context, 'install', run)
  return { ...done, goesOn }
}

async function workOf(context: Context, session: Session, input: Input): Promise<Went> {
  if (!input.flag('finish')) return await installAll(context, session, input)
  return { status: await (await import('./install-finish.ts')).finishInstalls(context, session, input), goesOn: false }
}

const nothingDone: Finished<number> = { result: 0, reboot: 'none' }

async function installAll(context: Context, session: Session, input: Input): Promise<Went> {
  const isDry = input.flag('dry-run')
  let status = isDry ? await refuseInterrupted(session) : await recoverFirst(context, session)
  if (context.program.isOther()) return await handOver(context, session, { status, hasRest: true })
  await tellOtherKernel(context, session)
  const { offers, areAll } = await offersFor(context, session, channelsOf(input))
  const standing = await betweenPhases(context, session)
  const { groups, keptBack } = await fitted(context, session, input, { offers, standing })
  for (const one of waitingFor(standing, input)) {
    context.say(describeStanding(one))
    status = Math.max(status, needsAttention)
  }
  for (const [i, group] of groups.entries()) {
    const later = groups.slice(i + 1).flat()
    status = Math.max(status, await installGroup(context, session, input, { group, later }))
    if (context.program.isOther()) return await handOver(context, session, { status, hasRest: later.length > 0 || !areAll })
  }
  await tellProspects(session, offers, input.flag('cron'))
  const [first] = keptBack
  if (first !== undefined && groups.length === 0) refuseKeptBack(first)
  if (first !== undefined) status = Math.max(status, needsAttention)
  const isOpen = (await betweenPhases(context, session)).size > 0
  if (!isDry && input.operands.length === 0 && !isOpen) status = Math.max(status, await removeDownloads(context, session.disk, new Set()))
  return { status, goesOn: false }
}

/** Of the channels that are asked for those that are not gone on with before the machine has started again. */
function waitingFor(standing: Standings, input: Input): readonly Standing[] {
  const asked = channelsOf(input).map(formatChannel)
  return [...standing].flatMap(([channel, one]) => (one.waits === 'reboot' && (asked.length === 0 || asked.includes(channel)) ? [one] : []))
}

/** What would be done cannot be said while something is half done, and a dry run does not finish it. */
export async function refuseInterrupted({ disk }: Session): Promise<0> {
  if ((await readJournal(disk)) === undefined) return 0
  throw new BinderyError('interrupted', 'an earlier run was interrupted', { hint: "'bindery recover' finishes it" })
}

type Fitting = { readonly offers: readonly Offer[]; readonly standing: Standings }

/** What is to come, and by which plans; says of the other channels why they stay. */
export async function fitted(context: Context, session: Session, input: Input, { offers, standing }: Fitting): Promise<FittingOffers> {
  const left = await channelsLeft(session.disk)
  const isHeld = ({ enrolled, isHeld: held }: Offer): boolean =>
    held && input.operands.length === 0 && !left.has(formatChannel(enrolled.channel))
  const to = input.value('to')
  const goals = to === undefined ? ({ goals: all }: Offer) => all : await goalsNamed(offers, to)
  for (const offer of offers) {
    const channel = formatChannel(offer.enrolled.channel)
    if (isHeld(offer)) context.explain(`${channel} is held`)
    else if (newestOf(offer) === undefined) context.explain(`${channel}: ${formatDistName(offer.installed.name)} is the newest`)
  }
  const goalsOf = (offer: Offer): readonly Verified<Update>[] => (isHeld(offer) ? [] : goingOn(standing, offer, goals(offer), to))
  const found = await fitOffers(session, offers, goalsOf)
  if (found.groups.length > 0) for (const one of found.keptBack) context.say(describeKeptBack(one))
  const alone = async (own: Offer): Promise<FittingOffers> => await fitOffers(session, [own], goalsOf)
  return { ...found, groups: await ownFirst(context, session, found.groups, alone) }
}

/** A release that has come in part is what comes next, if it is still there. */
function goingOn(
  standing: Standings,
  { enrolled }: Offer,
  goals: readonly Verified<Update>[],
  to: string | undefined,
): readonly Verified<Update>[] {
  const one = standing.get(formatChannel(enrolled.channel))
  if (one === undefined) return goals
  if (one.waits === 'reboot') return []
  const begun = goals.filter(({ value }) => formatDistName(value.release.name) === formatDistName(one.state.release))
  return to === undefined && begun.length > 0 ? begun : goals
}

/** Offers that come by one plan, and those of the plans behind it. */
type Group = { readonly group: readonly Offer[]; readonly later: readonly Offer[] }

async function installGroup(context: Context, session: Session, input: Input, { group, later }: Group): Promise<number> {
  const used = await withAllIncoming(session, group, async (all) => await takeIn(context, session, input, { all, later }))
  const status = used.broken.length > 0 ? needsAttention : used.result.status
  return used.result.goesOn ? Math.max(status, await installGroup(context, session, input, { group, later })) : status
}

type Coming = { readonly all: readonly Incoming[]; readonly later: readonly Offer[] }

/** `goesOn`: a phase has come of a root that nothing starts in between, and the next one follows at once. */
type TakenIn = { readonly status: number; readonly goesOn: boolean }

async function takeIn(context: Context, session: Session, input: Input, { all, later }: Coming): Promise<TakenIn> {
  const { disk, config, clock, recovery, progress, signal } = session
  const boot = await context.boot.ofRoot()
  if (await isUnwell(context, session, input, all)) return { status: needsAttention, goesOn: false }
  const parts = await nextParts(disk, all, boot)
  const [first, ...together] = parts as [Part, ...Part[]]
  const beside = await restBeside(disk, context.program.paths, {
    now: all.map(({ channel }) => channel),
    later: later.map(({ enrolled, installed }) => ({ channel: enrolled.channel, installed: installed.name })),
  })
  const work: InstallInput = { disk, ...first, together, beside, config, clock, recovery, progress, signal }
  const plan = await planInstall(work)
  if (input.flag('dry-run') || input.flag('json')) for (const line of planLines(plan, input.flag('json'))) await print(context, `${line}\n`)
  if (input.flag('dry-run')) return { status: 0, goesOn: false }
  await explainPlan(context, work, plan)
  await session.beforeCommit()
  const done = await installPlan(work, plan)
  // Who did not type it should hear that the machine has changed.
  const tell = input.flag('cron') ? context.say : context.explain
  for (const [i, { old, new: next }] of done.receipt.releases.entries())
    tell(`${formatChannel((parts[i] as Part).incoming.channel)}: ${old} -> ${next}`)
  const status = await conclude(context, session, done)
  const isPhase = parts.some(({ phase }) => phase !== undefined)
  if (isPhase && boot === undefined) return { status, goesOn: true }
  return { status: isPhase ? Math.max(status, await tellPhases(context, session)) : status, goesOn: false }
}

/** Behind a phase, and a start of the machine after which the release's check of it fails. */
async function isUnwell(context: Context, session: Session, input: Input, all: readonly Incoming[]): Promise<boolean> {
  if (input.flag('dry-run') || (await betweenPhases(context, session)).size === 0) return false
  return await (await import('./phase-check.ts')).failsItsCheck(context, session, all)
}

async function tellPhases(context: Context, session: Session): Promise<number> {
  for (const one of (await betweenPhases(context, session)).values()) context.say(describeStanding(one))
  return needsAttention
}

async function explainPlan(context: Context, work: InstallInput, plan: Plan): Promise<void> {
  const { files, bytes, removals } = summarize(plan)
  context.explain(`writing ${showSize(bytes)} in ${files} files, removing ${removals} paths`)
  const lost = await unsettable(work, plan)
  if (lost.xattrs > 0) context.say(`${lost.xattrs} paths have extended attributes, which cannot be set here`)
  if (lost.flags > 0) context.say(`${lost.flags} paths have file flags, which cannot be set here`)
  for (const line of conflictLines(plan)) context.say(line)
}
