import { BinderyError } from '../base/error.ts'
import { describeFinding, findingOf } from '../engine/client/fetch/check.ts'
import { describeUnmet } from '../engine/client/fetch/fitting.ts'
import { fitOffers } from '../engine/client/fetch/fitting-offers.ts'
import { findOffers } from '../engine/client/fetch/offer.ts'
import { describeStanding, standingJson } from '../engine/client/phase.ts'
import { pendingReboots } from '../engine/client/reboot.ts'
import { channelsLeft, describeLeft } from '../engine/client/rest.ts'
import { betweenPhases } from './between-phases.ts'
import { checkUpd } from './check-upd.ts'
import { channelsOf, openSession, withLock } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import { tellOtherKernel } from './kernel-channel.ts'
import { print } from './output.ts'
import { tellProspects } from './prospects.ts'
import { pendingText } from './reboot.ts'
import type { Finding } from '../engine/client/fetch/check.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Standing } from '../engine/client/phase.ts'
import type { Command, Context, Input } from './command.ts'

const updatesAvailable = 10

export const check: Command = {
  name: 'check',
  summary: 'ask whether there are updates',
  operands: '[CHANNEL ...]',
  operandCount: { min: 0, max: 64 },
  options: {
    'exit-code': { kind: 'flag', short: 'e', help: 'exit 10 when there are updates' },
    json: sharedFlags.json,
    cron: sharedFlags.cron,
    upd: { kind: 'value', value: 'FILE', help: 'tell what an .upd list or file of PC-BSD says, and ask nobody' },
    pubkey: { ...sharedFlags.pubkey, help: 'the key, in PEM, that FILE.sha1 is verified with' },
  },
  examples: ['bindery check', 'bindery check --cron', 'bindery -q check -e || echo "there are updates"'],
  run: async (context, input) => {
    const upd = updOf(input)
    if (upd !== undefined) return (await checkUpd(context, input, upd)) && input.flag('exit-code') ? updatesAvailable : 0
    const session = await openSession(context, 'fetching')
    const checking = async (): Promise<readonly Finding[]> => await findAll(context, session, input)
    const findings = await (input.flag('cron') ? byCron : underLock)(context, session, checking)
    const standing = await betweenPhases(context, session)
    const left = await channelsLeft(session.disk)
    for (const finding of findings)
      await tell(context, input, finding, { phase: standing.get(finding.channel), isLeft: left.has(finding.channel) })
    await tellOtherKernel(context, session)
    const isWaiting = findings.some(({ route, held }) => route !== 'current' && !held)
    return input.flag('exit-code') && isWaiting ? updatesAvailable : 0
  },
}

async function byCron(context: Context, session: Session, work: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  const { unattended, waitForMoment } = await import('./cron.ts')
  await waitForMoment(context, session)
  return await unattended(context, session, { verb: 'check', quiet: [] }, work)
}

/** Who may not write the state keeps nothing, and needs no lock. */
async function underLock<T>(context: Context, { access }: Session, work: () => Promise<T>): Promise<T> {
  return access === 'write' ? await withLock(context, 'check', work) : await work()
}

function updOf(input: Input): string | undefined {
  const upd = input.value('upd')
  if (upd === undefined && input.value('pubkey') !== undefined) throw new BinderyError('usage', '--pubkey goes with --upd')
  if (upd !== undefined && input.operands.length > 0) throw new BinderyError('usage', '--upd takes no channel')
  if (upd !== undefined && input.flag('cron')) throw new BinderyError('usage', '--upd asks nobody, and has no use for --cron')
  return upd
}

async function findAll({ boot }: Context, session: Session, input: Input): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const pending = await pendingReboots(session.disk, boot)
  const offers = await findOffers(session, channelsOf(input))
  const { keptBack } = await fitOffers(session, offers, (offer) => (offer.isHeld ? [] : offer.goals))
  const waits = new Map(keptBack.map(({ channel, unmet }) => [channel, describeUnmet(unmet)]))
  await tellProspects(session, offers, input.flag('cron'))
  for (const offer of offers) {
    const finding = await findingOf(session, offer, pending)
    const why = waits.get(finding.channel)
    findings.push(why === undefined ? finding : { ...finding, waits: why })
  }
  return findings
}

type Begun = { readonly phase: Standing | undefined; readonly isLeft: boolean }

async function tell(context: Context, input: Input, finding: Finding, { phase, isLeft }: Begun): Promise<void> {
  if (input.flag('json')) {
    const begun = { ...(phase === undefined ? {} : { phase: standingJson(phase) }), ...(isLeft ? { left: true } : {}) }
    await print(context, `${JSON.stringify({ ...finding, ...begun })}\n`)
    return
  }
  if (isLeft) await print(context, `${describeLeft(finding.channel)}\n`)
  if (phase !== undefined) await print(context, `${describeStanding(phase)}\n`)
  else if (finding.pendingReboot !== 'none')
    await print(context, `${pendingText(finding.channel, finding.installed, finding.pendingReboot)}\n`)
  if (finding.route === 'current') context.explain(`${finding.channel}: ${finding.installed} is the newest`)
  else for (const line of describeFinding(finding)) await print(context, `${line}\n`)
}
