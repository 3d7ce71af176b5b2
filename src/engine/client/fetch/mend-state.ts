import { BinderyError, failureIn } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { channelFile, channelFiles, readEnrolled, readReleaseState, statePaths, writeStateFile } from '../state.ts'
import { sweepCache } from './cache.ts'
import { draftChannel, saveChannel } from './enroll.ts'
import { openRepository, selectChannels } from './offer.ts'
import type { Channel } from '../../../base/name.ts'
import type { ReleaseState } from '../../../format/release-state.ts'
import type { StateFinding } from '../audit-state.ts'
import type { Session } from './session.ts'

export type Mended = { readonly finding: StateFinding; /** Why it is not. */ readonly error?: BinderyError }

/** What is found damaged in the state becomes what it was, as far as that is known here, or from the network. */
export async function mendState(session: Session, findings: readonly StateFinding[]): Promise<readonly Mended[]> {
  const mended: Mended[] = []
  const isOfChannel = ({ mend }: StateFinding): boolean => mend.kind === 'channel'
  for (const finding of findings.filter((one) => !isOfChannel(one))) mended.push(await trying(finding, () => mendFile(session, finding)))
  // What the others had of the channel, `enrolled` for instance, is mended by now.
  const byChannel = Map.groupBy(findings.filter(isOfChannel), channelOf)
  for (const damaged of byChannel.values()) {
    const first = damaged[0] as StateFinding
    const { error } = await trying(first, () => mendChannel(session, damaged))
    mended.push(...damaged.map((finding) => ({ finding, ...(error === undefined ? {} : { error }) })))
  }
  return mended
}

async function trying(finding: StateFinding, work: () => Promise<void>): Promise<Mended> {
  try {
    await work()
    return { finding }
  } catch (error) {
    if (!(error instanceof BinderyError) || error.code === 'stopped') throw error
    return { finding, error }
  }
}

async function mendFile({ disk, recovery }: Session, { path, code, message, mend }: StateFinding): Promise<void> {
  switch (mend.kind) {
    case 'bytes':
      return await writeStateFile(disk, path, mend.bytes, (await disk.lstat(path))?.mode)
    case 'remove':
      return await disk.unlink(path)
    case 'program':
      return await writeStateFile(disk, statePaths.recover, await recovery(), 0o700)
    default:
      throw new BinderyError(code, message, mend.kind === 'none' ? { hint: mend.hint } : {})
  }
}

function channelOf({ mend }: StateFinding): string {
  return mend.kind === 'channel' ? formatChannel(mend.channel) : ''
}

/** As enroll does, of the release that is installed: its record and manifest come from the network, the base from the tree where it can. */
async function mendChannel(session: Session, damaged: readonly StateFinding[]): Promise<void> {
  const channel = damaged.flatMap(({ mend }) => (mend.kind === 'channel' ? [mend.channel] : []))[0] as Channel
  const [enrolled] = selectChannels(await readEnrolled(session.disk), [channel]) as [ReturnType<typeof selectChannels>[number]]
  const isLost = damaged.some(({ path }) => path === channelFile(channel, channelFiles.release))
  const installed = isLost ? undefined : await readReleaseState(session.disk, channel)
  // What is installed comes back by its name, however old the news are.
  const trust = await openRepository(session, [enrolled], Infinity)
  const release = installed === undefined ? {} : { release: formatDistName(installed.name) }
  const draft = await draftChannel(session, { urls: enrolled.urls, basis: enrolled.basis, ...release }, trust, channel)
  if (installed !== undefined) refuseOther(draft.state, installed)
  await saveChannel(session, draft, new Set([channelFiles.obsolete, channelFiles.phase, channelFiles.nextManifest]))
  // What cannot go is for the next fetch.
  await failureIn(async () => await sweepCache(session.disk, new Set()))
}

function refuseOther({ name, tar }: ReleaseState, installed: ReleaseState): void {
  if (tar.sha256 !== installed.tar.sha256)
    throw new BinderyError('no-way', 'has other contents in the repository', { subject: formatDistName(name) })
}
