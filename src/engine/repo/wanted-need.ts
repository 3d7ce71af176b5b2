import { BinderyError } from '../../base/error.ts'
import { channelOf, formatChannel, parseChannel } from '../../base/name.ts'
import type { Channel, DistName } from '../../base/name.ts'
import type { Need, NeededRelease } from '../../format/need.ts'
import type { Update } from '../../format/update.ts'

/** The operand of `publish --needs`: revisions, of which the repository knows the place in their channel. */
export type WantedNeed = {
  readonly product: string
  /** That of the release which needs it, where it is not named. */
  readonly arch?: string
  readonly optional: boolean
  readonly from?: string
  readonly to?: string
}

const pattern =
  /^([A-Za-z0-9][A-Za-z0-9._+-]{0,63})(?:\/([A-Za-z0-9][A-Za-z0-9._+]{0,63}))?(\?)?(?:=([A-Za-z0-9][A-Za-z0-9._+]*)|(?:>=([A-Za-z0-9][A-Za-z0-9._+]*))?(?:,?<=([A-Za-z0-9][A-Za-z0-9._+]*))?)$/

/** `kernel-GENERIC>=7.5p3`, `base>=1.0,<=1.4`, `comp=7.5`, `kernel-GENERIC?>=7.5p3`. Throws `usage`. */
export function parseWantedNeed(text: string): WantedNeed {
  const [, product, arch, mark, only, from = only, to = only] = pattern.exec(text) ?? []
  if (product === undefined) {
    throw new BinderyError('usage', `'${text}' is no need`, {
      hint: `PRODUCT>=REVISION, PRODUCT<=REVISION, PRODUCT=REVISION; PRODUCT? where that channel is followed`,
    })
  }
  return {
    product,
    optional: mark !== undefined,
    ...(arch === undefined ? {} : { arch }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  }
}

/** The records of a channel, those that are being published included. */
export type RecordsOf = (channel: Channel) => Promise<readonly Update[]>

/** What a release needs; nothing of its own channel, since one need may be named for several. Throws `not-found` for a revision that is not there. */
export async function resolveNeeds(wanted: readonly WantedNeed[], release: DistName, recordsOf: RecordsOf): Promise<readonly Need[]> {
  const needs: Need[] = []
  for (const { product, arch = release.arch, optional, from, to } of wanted) {
    const channel = parseChannel(`${product}/${arch}`)
    if (formatChannel(channel) === formatChannel(channelOf(release))) continue
    const records = await recordsOf(channel)
    needs.push({
      channel,
      optional,
      ...(from === undefined ? {} : { from: neededRelease(channel, from, records) }),
      ...(to === undefined ? {} : { to: neededRelease(channel, to, records.toReversed()) }),
    })
  }
  return needs
}

/** Of several with that revision the first in this order. */
function neededRelease(channel: Channel, revision: string, records: readonly Update[]): NeededRelease {
  const found = records.find(({ release }) => release.name.revision === revision)
  if (found !== undefined) return { sequence: found.sequence, revision }
  throw new BinderyError('not-found', `--needs: no release of this channel has the revision ${revision}`, {
    subject: formatChannel(channel),
    hint: 'publish it first, or name its dist before the one that needs it',
  })
}
