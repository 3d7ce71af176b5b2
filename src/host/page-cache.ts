import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, renameSync, statSync, unlinkSync, writevSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { latin1, utf8 } from '../base/bytes.ts'
import type { CachedPage, PageCache, Validators } from '../port/page-cache.ts'

/** Below the user's own cache folder: nothing here needs root. */
export function userCacheFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(environment['XDG_CACHE_HOME'] || join(environment['HOME'] || homedir(), '.cache'), 'bindery', 'pages')
}

const firstLine = 'bindery-page 1'

/**
 * One file a URL: lines that say what it is, an empty one, the content. Synchronous, and without a sync to the disk: what a power cut leaves
 * is recognised by its size, and fetched again.
 */
export function folderPageCache(folder: string): PageCache {
  const fileOf = (url: string): string => join(folder, fileName(url))
  return {
    load: (url) => {
      try {
        return isOurs(folder) ? openPage(url, fileOf(url)) : undefined
      } catch {
        return undefined
      }
    },
    save: (url, page) => {
      const aside = `${fileOf(url)}.${process.pid}.part`
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 })
        if (!isOurs(folder)) return
        writePage(aside, url, page)
        renameSync(aside, fileOf(url))
      } catch {
        // The next run fetches it again.
        dropFile(aside)
      }
    },
  }
}

/** One that is too long for a name has its digest; node:crypto is slow to load. */
function fileName(url: string): string {
  const name = encodeURIComponent(url)
  return name.length < 200 ? name : process.getBuiltinModule('node:crypto').createHash('sha256').update(url).digest('hex')
}

/** `doas` may have left us another user's home: nothing is read or written there. */
function isOurs(folder: string): boolean {
  return statSync(folder).uid === (process.getuid?.() ?? -1)
}

function dropFile(file: string): void {
  try {
    unlinkSync(file)
  } catch {
    // It was never made.
  }
}

function writePage(file: string, url: string, { etag, lastModified, content }: Validators & { readonly content: Uint8Array }): void {
  const lines = [firstLine, `url ${url}`, `size ${content.length}`]
  if (etag !== undefined) lines.push(`etag ${etag}`)
  if (lastModified !== undefined) lines.push(`last-modified ${lastModified}`)
  const descriptor = openSync(file, 'w', 0o600)
  try {
    writevSync(descriptor, [utf8(`${lines.join('\n')}\n\n`), content])
  } finally {
    closeSync(descriptor)
  }
}

/** Longer than what stands above a content; all of most pages but the index. */
const firstRead = 64 << 10

/** The content of a large page is read when it is needed: of one that has not changed only its validators are. */
function openPage(url: string, file: string): CachedPage | undefined {
  const { bytes, size } = readStart(file)
  const page = decodePage(url, bytes, size)
  if (page === undefined || bytes.length === size) return page
  return { ...page, content: () => contentAgain(url, file, page) }
}

function readStart(file: string): { readonly bytes: Uint8Array; readonly size: number } {
  const descriptor = openSync(file, 'r')
  try {
    const { size } = fstatSync(descriptor)
    const bytes = Buffer.allocUnsafe(Math.min(size, firstRead))
    return { bytes: bytes.subarray(0, readSync(descriptor, bytes)), size }
  } finally {
    closeSync(descriptor)
  }
}

function contentAgain(url: string, file: string, { etag, lastModified }: Validators): Uint8Array | undefined {
  try {
    const bytes = readFileSync(file)
    const page = decodePage(url, bytes, bytes.length)
    return page?.etag === etag && page?.lastModified === lastModified ? page?.content() : undefined
  } catch {
    return undefined
  }
}

/** `bytes`: at least what stands above the content; `fileSize`: of all. */
function decodePage(url: string, bytes: Uint8Array, fileSize: number): CachedPage | undefined {
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('\n\n')
  if (end < 0) return undefined
  const [first, ...lines] = Buffer.from(latin1(bytes.subarray(0, end)), 'latin1')
    .toString('utf8')
    .split('\n')
  const facts = new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
  const size = fileSize - (end + 2)
  if (first !== firstLine || facts.get('url') !== url || facts.get('size') !== String(size)) return undefined
  return { etag: facts.get('etag'), lastModified: facts.get('last-modified'), size, content: () => bytes.subarray(end + 2) }
}
