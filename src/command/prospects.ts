import { formatChannel } from '../base/name.ts'
import { daysUntil, stageOf, prospectsOf } from '../engine/client/fetch/prospects.ts'
import { changeTold, readTold } from '../engine/client/told.ts'
import type { Offer } from '../engine/client/fetch/offer.ts'
import type { Prospects } from '../engine/client/fetch/prospects.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { ToldEnd } from '../format/told.ts'

/** Says of what is installed that it was withdrawn, or that its life ends; each stage of that once where `isCron`. */
export async function tellProspects(session: Session, offers: readonly Offer[], isCron: boolean): Promise<void> {
  const { endOfLife: before } = isCron ? await readTold(session.disk) : { endOfLife: [] }
  const told: ToldEnd[] = []
  for (const offer of offers) {
    const prospects = await prospectsOf(session.disk, offer)
    const { channel, endOfLife: date, withdrawn } = prospects
    if (withdrawn) session.say(`${nameOf(prospects)} was withdrawn; 'bindery rollback' goes back to what was before`)
    const days = date === undefined ? undefined : stageOf(date, offer.trust.now)
    if (date === undefined || days === undefined) continue
    const isTold = before.some((one) => isOf(one, prospects) && one.date === date && one.days <= days)
    if (!isTold) session.say(endLine(prospects, date, offer.trust.now))
    told.push({ channel, date, days })
  }
  if (!isCron) return
  const others = (ends: readonly ToldEnd[]): readonly ToldEnd[] => ends.filter((one) => !told.some((now) => isOf(one, now)))
  await changeTold(session, (all) => ({ ...all, endOfLife: [...others(all.endOfLife), ...told] }))
}

function isOf(one: ToldEnd, { channel }: Pick<Prospects, 'channel'>): boolean {
  return formatChannel(one.channel) === formatChannel(channel)
}

function nameOf({ channel, release }: Prospects): string {
  return `${formatChannel(channel)}: ${release}`
}

function endLine(prospects: Prospects, date: string, now: number): string {
  const days = daysUntil(date, now)
  if (days <= 0) return `${nameOf(prospects)} has had its end of life on ${date}: no more updates are to be expected`
  return `${nameOf(prospects)} has its end of life on ${date}, in ${days === 1 ? '1 day' : `${days} days`}`
}
