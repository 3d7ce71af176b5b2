import { resolve } from 'node:path'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { seenNow, unseenOf } from '../engine/farm/seen-files.ts'
import { s3Target } from '../host/mirror-s3.ts'
import { folderTarget, rsyncTarget } from '../host/mirror-target.ts'
import { s3Bucket } from '../host/s3-bucket.ts'
import { isUrl, mirrorAt } from './pkgindex-mirror.ts'
import type { SeenFiles } from '../engine/farm/seen-files.ts'
import type { ListedFile } from '../format/openbsd/index-txt.ts'
import type { MirrorTarget } from '../host/mirror-target.ts'
import type { Context } from './command.ts'

export type MirrorWorld = Pick<Context, 'http' | 'exec' | 'environment' | 'clock' | 'signal'>

export function targetAt(context: MirrorWorld, place: string): MirrorTarget {
  if (isUrl(place)) return httpTarget(context, place)
  if (place.startsWith('s3://')) return bucketTarget(context, place)
  return /^rsync:\/\/|^[^/]+:/.test(place) ? rsyncTarget(context.exec, place) : folderTarget(resolve(place))
}

function bucketTarget(context: MirrorWorld, place: string): MirrorTarget {
  const [, name, folder] = /^s3:\/\/([a-z0-9][a-z0-9.-]*)(?:\/(.*))?$/.exec(place) ?? []
  if (name === undefined) throw new BinderyError('usage', `'${place}' names no bucket`, { hint: 's3://BUCKET or s3://BUCKET/FOLDER' })
  const path = withoutTrailing((folder ?? '').replace(/^\/+/, ''), '/')
  return s3Target(place, s3Bucket(name, context.environment, context.signal), path === '' ? '' : `${path}/`)
}

const maxIndex = 64 << 20

/** Looked at only. It remembers what it saw, since each package costs a request. */
function httpTarget(context: MirrorWorld, place: string): MirrorTarget {
  const url = `${withoutTrailing(place, '/')}/`
  const seen = new Map<string, SeenFiles>()
  return {
    place,
    bring: undefined,
    read: async (name) => {
      const slash = name.lastIndexOf('/')
      return await mirrorAt(context, `${url}${name.slice(0, slash)}/`).read(name.slice(slash + 1), maxIndex)
    },
    sizes: async (folder, listed) => {
      const { sizes, ask } = unseenOf(seen.get(folder) ?? new Map(), listed, context.clock.now())
      const asked = await sizesByHttp(context, `${url}${folder}/`, ask)
      seen.set(folder, seenNow(seen.get(folder) ?? new Map(), listed, asked, context.clock.now()))
      return new Map([...sizes, ...asked])
    },
  }
}

async function sizesByHttp(context: MirrorWorld, url: string, files: readonly ListedFile[]): Promise<ReadonlyMap<string, number>> {
  const mirror = mirrorAt(context, url)
  const sizes = new Map<string, number>()
  for (const { name } of files) {
    try {
      const opened = await mirror.open({ name, size: 1, stamp: undefined }, undefined)
      if (opened === 'unchanged') continue
      if (opened.size !== undefined) sizes.set(name, opened.size)
      await opened.close()
    } catch (error) {
      if (!isBinderyError(error) || error.code === 'stopped') throw error
    }
  }
  return sizes
}
