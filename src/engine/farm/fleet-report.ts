import { BinderyError } from '../../base/error.ts'
import { lastText } from '../../format/report.ts'
import { publicKeyLine } from '../../format/signify.ts'
import { verifyMessage } from '../repo/verify-message.ts'
import type { SignedReport } from '../../format/report.ts'
import type { Report } from '../../port/farm-catalog.ts'

export type ReportCheck = {
  /** Of the machine: its key as a line of base64, and when it last reported; undefined where it was never heard of. */
  readonly known: { readonly key: string; readonly last: number } | undefined
  readonly enroll: 'first-use' | 'known'
  readonly now: number
}

const hour = 3_600_000

/**
 * What is to be kept of a report. Throws `bad-signature`, `wrong-key` for a machine that is known by another key (or, with
 * `known`, by none), and `downgrade` for a report that is no newer than the last one: an old one sent again, most likely.
 */
export function verifyReport({ report, signed }: SignedReport, { known, enroll, now }: ReportCheck): readonly Report[] {
  const { machine, time, last, reboot, releases } = report
  verifyMessage(report.key, signed.signature, signed.message)
  const text = publicKeyLine(report.key)
  if (known === undefined && enroll === 'known') throw new BinderyError('wrong-key', 'is not known here', { subject: machine })
  if (known !== undefined && known.key !== text) throw new BinderyError('wrong-key', 'is known by another key', { subject: machine })
  const at = time * 1000
  // From then on nothing else of this machine would be taken.
  if (at > now + hour) throw new BinderyError('bad-format', 'is of the future', { subject: machine })
  if (known !== undefined && at <= known.last) throw new BinderyError('downgrade', 'has reported since', { subject: machine })
  return releases.map(({ channel, release }) => ({ machine, channel, release, at, key: text, lastRun: lastText(last), reboot }))
}
