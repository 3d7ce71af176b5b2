import { isBinderyError } from '../base/error.ts'
import { mirrorIndex, quirksOf } from '../engine/pkg/index/mirror-index.ts'
import { readMirror } from '../engine/pkg/index/read-mirror.ts'
import { encodePkgupIndex } from '../format/openbsd/pkgup-index.ts'
import { indexMirror, readAtOnce } from './pkgindex-once.ts'
import { mirrorAt } from './pkgindex-mirror.ts'
import { openOutput } from './pkgindex-output.ts'
import type { BinderyError } from '../base/error.ts'
import type { MirrorIndex } from '../engine/pkg/index/mirror-index.ts'
import type { MirrorReading, Unreadable } from '../engine/pkg/index/read-mirror.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { MirrorFile, PackageMirror } from '../port/package-mirror.ts'
import type { Context, Input } from './command.ts'

export const usualMirror = 'https://cdn.openbsd.org/pub/OpenBSD'

/**
 * genpkgup of obsdpkgup: its options, its plain text on stdout, its words on stderr, its exit status; packages that it cannot read are told
 * and left out. With `-o` the options only say where the mirror is, and bindery's own rules hold.
 */
export async function runAsGenpkgup(context: Context, input: Input, key: SignifyPublicKey | undefined): Promise<number> {
  const [release, arch] = [input.value('release') ?? '', input.value('arch') ?? '']
  if (release === '') return failed(context, 'Error: Must specify version (-v)')
  if (arch === '') return failed(context, 'Error: Must specify arch (-a)')
  const folder = release === 'snapshots' ? 'packages' : 'packages-stable'
  const url = `${input.value('mirror') ?? usualMirror}/${release}/${folder}/${arch}/`
  const mirror = mirrorAt(context, url)
  const output = await openOutput(context, input)
  if (output.kind === 'file' || output.json) return await indexMirror(context, { mirror, output, key })
  return await printAll(context, { mirror, url, key, counts: input.flag('progress') })
}

function failed(context: Context, line: string): number {
  context.tell(`${line}\n`)
  return 1
}

type Printing = {
  readonly mirror: PackageMirror
  readonly url: string
  readonly key: SignifyPublicKey | undefined
  readonly counts: boolean
}

async function printAll(context: Context, printing: Printing): Promise<number> {
  const { mirror, url, key } = printing
  const files = await listOf(mirror)
  if (!Array.isArray(files)) return failed(context, `failed to retrieve index.txt at ${url}: ${(files as BinderyError).message}`)
  if (quirksOf(files) === undefined) return failed(context, "couldn't find quirks package in index")
  let done = 0
  const count = (): void => (printing.counts ? context.tell(`\r${done++}/${files.length + 1}`) : undefined)
  // It takes what it gets, whatever sizes the list says.
  const named = files.map(({ name }) => ({ name, size: undefined, stamp: undefined }))
  const reading = await readMirror(mirror, named, { known: new Map(), key, atOnce: readAtOnce, signal: context.signal, onRead: count })
  for (const { file, error } of reading.unreadable) context.tell(`${wordsOf(error, `${url}/${file}`)}\n`)
  const index = indexOf(files, reading.packages)
  if (index === undefined) return failed(context, 'could not find date in signify block')
  await context.out(encodePkgupIndex(index))
  return 0
}

async function listOf(mirror: PackageMirror): Promise<readonly MirrorFile[] | BinderyError> {
  try {
    return await mirror.list()
  } catch (error) {
    if (isBinderyError(error) && error.code !== 'stopped') return error
    throw error
  }
}

function indexOf(files: readonly MirrorFile[], packages: MirrorReading['packages']): MirrorIndex | undefined {
  try {
    return mirrorIndex(files, packages)
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

/** genpkgup's sentence for what happened; the details behind it are ours, as its are Go's. */
function wordsOf({ code, message }: Unreadable['error'], url: string): string {
  const status = /^the server answered ([0-9]+)$/.exec(message)?.[1]
  if (status === '404') return `404 while downloading package: ${url}`
  if (status !== undefined) return `unexpected HTTP response (${status}) while downloading package: ${url}`
  if (code === 'network' || code === 'io') return `Error downloading package ${url}: ${message}`
  return message.includes('packing list') ? `Error walking archive ${url}: ${message}` : `Error decompressing ${url}: ${message}`
}
