import type { DeltaAccount, MemberAccount } from '../engine/delta/account.ts'

/** What stands out in a delta, and what can be done about it. */

type Remark = {
  readonly isOne: (member: MemberAccount) => boolean
  readonly costOf?: (member: MemberAccount) => number
  readonly says: string
}

const packed: ReadonlySet<string> = new Set(['xz', 'zstd', 'bzip2', 'zip'])

/** A stamp or a build id takes no more than that. */
const stampCost = 40

const remarks: readonly Remark[] = [
  { isOne: ({ coding, from }) => coding === 'new' && from === undefined, says: 'new: nothing like it is in the old side' },
  {
    isOne: ({ isOutOfReach }) => isOutOfReach,
    says: 'moved too far in the archive to be copied: keep files in their old order, and large ones near their old place',
  },
  {
    isOne: ({ kind, coding }) => packed.has(kind) && coding === 'plain',
    says: 'compressed, and changed as a whole: put them in uncompressed; the dist is compressed anyway',
  },
  {
    isOne: ({ kind, coding }) => kind === 'gzip' && coding === 'plain',
    says: 'gzip files that were not opened: too many or too large, by another compressor than gzip or zlib, or effort below 2',
  },
  {
    isOne: (member) => member.kind === 'ELF' && member.coding === 'plain' && !isStamped(member),
    says: 'executables matched like other files: too many or too large for the time and memory of a reader, too different, of no known machine, or effort below 3',
  },
  {
    isOne: isStamped,
    says: 'of unchanged size, with a few bytes that differ: a time stamp or a build id; see https://reproducible-builds.org',
  },
  {
    isOne: ({ header }) => header > 0,
    costOf: ({ header }) => header,
    says: 'of their headers in the archive: times, owners or modes that changed',
  },
]

function isStamped({ coding, from, size, cost, header, streams }: MemberAccount): boolean {
  return coding === 'plain' && from?.size === size && cost - header <= stampCost && (streams.literals ?? 0) < 1
}

/** Less than one part in so many of a delta is not worth a remark. */
const leastPart = 50

export function remarksOn({ size, members }: DeltaAccount): readonly string[] {
  return remarks.flatMap(({ isOne, costOf = ({ cost }) => cost, says }) => {
    const some = members.filter((member) => member.path !== undefined && isOne(member))
    const cost = Math.round(some.reduce((sum, member) => sum + costOf(member), 0))
    if (some.length === 0 || cost * leastPart < size) return []
    return `${Math.round((100 * cost) / size)} % of the delta, ${some.length} ${some.length === 1 ? 'file' : 'files'}: ${says}`
  })
}
