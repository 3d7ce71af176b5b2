import { digestStream } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { formatDistName } from '../../base/name.ts'
import { decompress } from '../dist/wire.ts'
import { openTarget, sourceStream } from './blob.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { ByteSource, Spool } from '../../port/source.ts'
import type { Store } from '../../port/store.ts'

type OpenSource = ByteSource & { close(): Promise<void> }

/** Uncompressed tars of releases, kept aside while deltas between them are made. Whoever made it closes it. */
export type TarShelf = {
  /** Takes over the tar of the newest release: it stays until the next one comes, and then as long as there is room. */
  put(name: string, tar: OpenSource): Promise<void>
  /** The tar of an older release of the repository, verified; to be used before the next call. */
  get(update: Update, targets: ReadonlyMap<string, TargetFile>): Promise<ByteSource>
  close(): Promise<void>
}

/** Each may be gigabytes in a temporary folder: the newest and so many others are kept. */
const room = 2

export function tarShelf(store: Store, spool: Spool): TarShelf {
  let newest: readonly [string, OpenSource] | undefined
  const others = new Map<string, OpenSource>()
  const keep = async (name: string, tar: OpenSource): Promise<void> => {
    others.delete(name)
    others.set(name, tar)
    for (const [oldest, unused] of others) {
      if (others.size <= room) return
      others.delete(oldest)
      await unused.close()
    }
  }
  return {
    put: async (name, tar) => {
      if (newest !== undefined) await keep(...newest)
      newest = [name, tar]
    },
    get: async (update, targets) => {
      const name = formatDistName(update.release.name)
      const tar = others.get(name) ?? (await fetchTar(store, spool, update, targets))
      await keep(name, tar)
      return tar
    },
    close: async () => {
      for (const tar of [...others.values(), ...(newest === undefined ? [] : [newest[1]])]) await tar.close()
    },
  }
}

async function fetchTar(
  store: Store,
  spool: Spool,
  { release, full }: Update,
  targets: ReadonlyMap<string, TargetFile>,
): Promise<OpenSource> {
  const name = formatDistName(release.name)
  const way = full.find(({ target }) => targets.has(target))
  if (way === undefined) throw new BinderyError('no-way', 'its dist is not in the repository', { subject: name })
  const wire = await openTarget(store, way.target, targets.get(way.target) as TargetFile)
  const tar = await spool(decompress(wire, release.tar.size))
  const found = await digestStream(sourceStream(tar))
  if (found.sha256 === release.tar.sha256 && found.size === release.tar.size) return tar
  await tar.close()
  throw new BinderyError('bad-digest', 'its dist does not hold the tar that its record names', { subject: name })
}
