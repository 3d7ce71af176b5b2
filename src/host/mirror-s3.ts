import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { oneChunk } from '../base/bytes.ts'
import { sha256Hasher } from '../base/digest.ts'
import { filesOf, inOrder } from './mirror-files.ts'
import { openInput } from './source.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Sha256 } from '../base/digest.ts'
import type { MirrorTarget } from './mirror-target.ts'
import type { S3Bucket } from './s3-bucket.ts'

const maxIndex = 64 << 20

/** Below `prefix` of a bucket; `prefix` is empty or ends with a slash. */
export function s3Target(place: string, bucket: S3Bucket, prefix: string): MirrorTarget {
  return {
    place,
    bring: async (folder, sets) => await putSets(folder, bucket, prefix, sets),
    read: async (name) => await bucket.get(prefix + name, maxIndex),
    sizes: async (folder) => {
      const below = `${prefix}${folder}/`
      return new Map((await bucket.list(below)).map(({ key, size }) => [key.slice(below.length), size]))
    },
  }
}

async function putSets(folder: string, bucket: S3Bucket, prefix: string, sets: readonly string[]): Promise<void> {
  const ours = await filesOf(folder, sets)
  const listed = await Promise.all(sets.map(async (set) => await bucket.list(`${prefix}${set}/`)))
  const theirs = new Map(listed.flat().map((object) => [object.key.slice(prefix.length), object]))
  for (const name of inOrder(ours.keys())) {
    const open = async (): Promise<ByteStream> => await openInput(join(folder, name), oneChunk(new Uint8Array(0)))
    const { size, sha256, md5 } = await digestsOf(await open())
    const there = theirs.get(name)
    if (there?.size !== size || there.tag !== md5) await bucket.put(prefix + name, { size, sha256, type: typeOf(name), open })
  }
  for (const name of theirs.keys()) if (!ours.has(name) && !name.includes('/.')) await bucket.delete(prefix + name)
}

type Digests = { readonly size: number; readonly sha256: Sha256; readonly md5: string }

/** MD5 only to see what the store has already; what it takes is held to the SHA-256. */
async function digestsOf(stream: ByteStream): Promise<Digests> {
  const [strong, weak] = [sha256Hasher(), createHash('md5')]
  let size = 0
  for await (const chunk of stream) {
    strong.update(chunk)
    weak.update(chunk)
    size += chunk.length
  }
  return { size, sha256: strong.digest(), md5: weak.digest('hex') }
}

function typeOf(name: string): string {
  return /\.(?:tgz|gz)$/.test(name) ? 'application/gzip' : /\.(?:txt|sig)$/.test(name) ? 'text/plain' : 'application/octet-stream'
}
