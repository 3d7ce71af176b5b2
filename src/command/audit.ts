import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { channelRole, formatDistName } from '../base/name.ts'
import { matchesAny } from '../format/conf.ts'
import { audit as auditTree, explainMerged, findExtras } from '../engine/client/apply/audit.ts'
import { describeStanding, readPresentManifest } from '../engine/client/phase.ts'
import { selectChannels } from '../engine/client/fetch/offer.ts'
import { neededFiles, planRepair, runRepair } from '../engine/client/apply/repair.ts'
import { openRepairSource } from '../engine/client/fetch/repair-source.ts'
import { readEnrolled, readReleaseState } from '../engine/client/state.ts'
import { lookAtState } from './audit-state.ts'
import { betweenPhases } from './between-phases.ts'
import { changingRoot, channelsOf, openSession, refuseStranger, withLock } from './client-session.ts'
import { change } from './diff-text.ts'
import { bytesJson, entryJson } from './entry-json.ts'
import { sharedFlags } from './flags.ts'
import { refuseInterrupted } from './install.ts'
import { finishing } from './finish.ts'
import { conclude, recoverFirst, removeDownloads } from './outcome.ts'
import { planLines } from './plan-text.ts'
import { print } from './output.ts'
import type { Manifest } from '../base/entry.ts'
import type { Enrolled } from '../format/enrolled.ts'
import type { ReleaseState } from '../format/release-state.ts'
import type { Audit, Finding } from '../engine/client/apply/audit.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Command, Context, Input } from './command.ts'

/** Exit status when something differs, and still does. */
const different = 7

export const audit: Command = {
  name: 'audit',
  summary: 'compare the tree with the installed releases, check the state, and mend both',
  operands: '[CHANNEL ...]',
  operandCount: { min: 0, max: 64 },
  options: {
    'dry-run': sharedFlags.dryRun,
    json: sharedFlags.json,
    extra: { kind: 'flag', help: 'also name what no release brought into its directories' },
    repair: { kind: 'flag', help: 'make what differs what the release says' },
  },
  examples: ['bindery audit', 'bindery audit --extra --json', 'bindery audit --repair'],
  run: async (context, input) => {
    const repairs = input.flag('repair') && !input.flag('dry-run')
    const run = async (here: Context, session: Session): Promise<number> => await auditHere(here, session, input, repairs)
    return repairs ? await changingRoot(context, 'audit', run) : await run(context, await openSession(context))
  },
}

async function auditHere(context: Context, session: Session, input: Input, repairs: boolean): Promise<number> {
  await refuseStranger(session)
  const work = async (): Promise<number> => await auditAll(context, session, input)
  if (!repairs) return await withLock(context, 'audit', work)
  return (await withLock(context, 'audit', async () => await finishing(context, session, work))).result
}

type Installed = { readonly enrolled: Enrolled; readonly release: ReleaseState; readonly manifest: Manifest }

async function auditAll(context: Context, session: Session, input: Input): Promise<number> {
  const repairs = input.flag('repair') && !input.flag('dry-run')
  let status = repairs ? await recoverFirst(context, session) : await refuseInterrupted(session)
  const state = await lookAtState(context, session, input)
  if (state.blocks) return Math.max(status, state.status)
  status = Math.max(status, state.status)
  if (input.flag('repair')) await refuseBetweenPhases(context, session)
  const all = await readInstalled(session)
  const selected = new Set(
    selectChannels(
      all.map(({ enrolled }) => enrolled),
      channelsOf(input),
    ),
  )
  for (const one of all) if (selected.has(one.enrolled)) status = Math.max(status, await auditOne(context, session, input, one))
  if (!input.flag('extra')) return status
  const extras = await findExtras(
    session.disk,
    all.map(({ manifest }) => manifest),
    session.config,
  )
  await printFindings(context, input, extras)
  return extras.length > 0 ? Math.max(status, different) : status
}

/** What would be put back is of two releases. */
async function refuseBetweenPhases(context: Context, session: Session): Promise<void> {
  for (const [channel, standing] of await betweenPhases(context, session))
    throw new BinderyError('conflict', 'a release has come in part, and is not repaired', {
      subject: channel,
      hint: describeStanding(standing),
    })
}

async function readInstalled({ disk }: Session): Promise<readonly Installed[]> {
  const installed: Installed[] = []
  for (const enrolled of await readEnrolled(disk)) {
    const release = await readReleaseState(disk, enrolled.channel)
    installed.push({ enrolled, release, manifest: await readPresentManifest(disk, enrolled.channel, release) })
  }
  return installed
}

async function auditOne(context: Context, session: Session, input: Input, installed: Installed): Promise<number> {
  const found = await lookThrough(session, installed)
  if (!input.flag('repair')) await printFindings(context, input, await explainMerged(session.disk, found.findings))
  if (found.findings.length === 0) return 0
  return input.flag('repair') ? await mend(context, session, input, installed, found) : different
}

async function lookThrough({ disk, config, signal, progress }: Session, { manifest }: Installed): Promise<Audit> {
  const total = manifest.entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.size : 0), 0)
  const meter = progress.start('comparing', total)
  try {
    return await auditTree({ disk, manifest, config, signal, meter })
  } finally {
    meter.end()
  }
}

/** What bindery.conf protects is told, and left as it is. */
async function mend(
  context: Context,
  session: Session,
  input: Input,
  { enrolled, release, manifest }: Installed,
  found: Audit,
): Promise<number> {
  const { disk, config, clock, recovery, signal } = session
  const work = { disk, config, clock, recovery, signal, role: channelRole(enrolled.channel), release: formatDistName(release.name) }
  const kept = found.findings.filter(({ path }) => matchesAny(config.protect, path))
  const plan = await planRepair(
    work,
    found,
    found.findings.filter((finding) => !kept.includes(finding)),
  )
  if (input.flag('dry-run') || input.flag('json')) for (const line of planLines(plan, input.flag('json'))) await print(context, `${line}\n`)
  for (const { path } of kept) context.say(`/${showPath(path)} is protected, and differs`)
  if (input.flag('dry-run')) return different
  const files = neededFiles(plan, manifest)
  const read = await openRepairSource(session, { enrolled, installed: release, manifest, files })
  await session.beforeCommit()
  const status = await conclude(context, session, await runRepair(work, plan, files, read))
  const swept = await removeDownloads(context, disk, new Set())
  return kept.length > 0 ? different : Math.max(status, swept)
}

async function printFindings(context: Context, input: Input, findings: readonly Finding[]): Promise<void> {
  const write = input.flag('json') ? findingJson : findingText
  for (let at = 0; at < findings.length; at += 1000)
    await print(
      context,
      findings
        .slice(at, at + 1000)
        .map((finding) => `${write(finding)}\n`)
        .join(''),
    )
}

/** `missing /bin/sh`, `changed /etc/motd  content 12 bytes -> 14 bytes, mode 0644 -> 0600`: from the release's to ours. */
function findingText({ path, kind, aspects, wanted, live, isMerged }: Finding): string {
  const changes = wanted === undefined || live === undefined ? [] : aspects.map((aspect) => change(aspect, wanted, live))
  return `${kind} /${path === '.' ? '' : showPath(path)}${changes.length === 0 ? '' : `  ${changes.join(', ')}`}${isMerged === true ? ', merged by an install' : ''}`
}

function findingJson({ path, kind, aspects, wanted, live, isMerged }: Finding): string {
  const sides = { ...(wanted === undefined ? {} : { wanted: entryJson(wanted) }), ...(live === undefined ? {} : { live: entryJson(live) }) }
  return JSON.stringify({
    finding: kind,
    ...bytesJson('path', path),
    ...(kind === 'changed' ? { aspects } : {}),
    ...(isMerged === true ? { merged: true } : {}),
    ...sides,
  })
}
