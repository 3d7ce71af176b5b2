import { equalBytes, latin1 } from '../../../src/base/bytes.ts'
import { applyBsdiff } from '../../../src/engine/delta/bsdiff.ts'
import { codecOf } from '../../../src/engine/pkg/unpack.ts'
import { wireCodecOf } from '../../../src/engine/dist/wire.ts'
import { unvis } from '../../../src/format/mtree-vis.ts'
import { decoders } from '../decoders.ts'
import { answersOf } from './programs.ts'
import { judgeBy } from './judge.ts'
import type { AnyTarEntry } from '../../../src/format/any-tar.ts'
import type { MtreeFile } from '../../../src/format/mtree.ts'
import type { Entry } from '../../../src/base/entry.ts'
import type { Manifest } from '../../../src/base/entry.ts'
import type { Decoder } from '../decoder.ts'
import type { Answer } from './programs.ts'
import type { Judge, Taken } from './judge.ts'

/** Archives, compressions and lists of files, as the programs of a system read them. */

export function decoderNamed(name: string): Decoder {
  const found = decoders.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no decoder ${name}`)
  return found
}

/** `KIND SIZE PATH TARGET`, a line for each member. */
type Line = string

const knownOfTar = [
  {
    difference: /^refuses with 1: bsdtar: Error opening archive: Unrecognized archive format/,
    reason:
      'bsdtar takes a file for a tar when the numbers of its first header are some; here its name and check sum decide, and a mode that is no number is none',
  },
  {
    difference: /value expected/,
    reason: 'owner and time of a member are not read here, and a mode that is no number is none',
  },
  {
    difference: /Pathname can't be converted from UTF-8/,
    reason: 'bsdtar is run without a locale, and a name of a pax header is not ASCII',
  },
  { difference: /^refuses with 139: /, reason: 'this bsdtar crashes' },
]

const knownOfMtree = [
  { difference: /unknown keyword/, reason: 'keywords that are not known are passed over here: there are several mtree programs' },
  {
    difference: /invalid (?:[ug]id|time|size)|cannot set file mode|missing value|unknown file type|for symlink .* "\?"$/,
    reason: 'a value that is not read, or is not there, is a gap here, of which nothing is said afterwards',
  },
  { difference: /root node must be the directory/, reason: 'a list need not begin with its root here' },
  { difference: /no parent node/, reason: '`..` in the root leads to the root here' },
  { difference: /strunvis failed/, reason: 'a backslash in front of what is no letter is left out here, as FreeBSD writes it' },
]

const knownOfGzip = [
  {
    difference: /^unpacks the same, and ends with 2: gzip: stdin: decompression OK, trailing garbage ignored$/,
    reason: "what stands behind a zero behind the last member is passed over by Node's zlib, and here; gzip does so with a warning",
  },
]

// --- tar

const letters: Readonly<Record<string, string>> = {
  '-': 'file',
  C: 'file',
  d: 'dir',
  h: 'hardlink',
  l: 'symlink',
  c: 'char',
  b: 'block',
  p: 'fifo',
}

/** GNU tar has five columns before the name, bsdtar eight. */
function listed(stdout: Uint8Array, columns: number): readonly Line[] {
  const lines = latin1(stdout).split('\n').slice(0, -1)
  return lines.flatMap((line) => {
    const match = new RegExp(`^(.)\\S* +(?:\\S+ +){${columns - 2}}\\S+ (.*)$`).exec(line)
    if (match === null) return [`unread ${line}`]
    const kind = letters[match[1] ?? ''] ?? 'other'
    const [name = '', target = ''] = (match[2] as string).split(kind === 'hardlink' ? ' link to ' : kind === 'symlink' ? ' -> ' : '\0')
    const size = kind === 'file' ? (columns === 5 ? line.split(/ +/)[2] : line.split(/ +/)[4]) : ''
    return lineOf(kind, size ?? '', plain(unescaped(name)), unescaped(target))
  })
}

function lineOf(kind: string, size: string, path: string, target: string): readonly Line[] {
  return path === '.' || path === ''
    ? []
    : [`${kind} ${size} ${JSON.stringify(path)} ${JSON.stringify(kind === 'hardlink' ? plain(target) : target)}`]
}

/** As both write what is no printable ASCII. */
function unescaped(text: string): string {
  const named: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', ' ': ' ' }
  return text.replaceAll(/\\([0-7]{3}|.)/g, (whole, code: string) =>
    code.length === 3 ? String.fromCharCode(parseInt(code, 8)) : (named[code] ?? whole),
  )
}

const plain = (path: string): string =>
  path
    .replace(/^(?:\.\/+)+/, '')
    .replaceAll(/\/+/g, '/')
    .replace(/\/$/, '')

function linesOfTar(entries: readonly AnyTarEntry[]): readonly Line[] {
  return entries.flatMap((entry) => {
    const target = entry.kind === 'symlink' ? entry.target : entry.kind === 'hardlink' ? entry.leader : ''
    return lineOf(entry.kind, entry.kind === 'file' ? String(entry.content.length) : '', entry.path, target)
  })
}

function linesOfManifest({ entries }: Manifest): readonly Line[] {
  return entries.flatMap((entry) => lineOf(entry.kind, entry.kind === 'file' ? String(entry.size) : '', entry.path, targetOf(entry)))
}

function targetOf(entry: Entry): string {
  return entry.kind === 'symlink' ? entry.target : entry.kind === 'hardlink' ? entry.leader : ''
}

const tars = {
  'GNU tar': { command: 'tar --quoting-style=escape --numeric-owner -P -tvf $1', columns: 5 },
  bsdtar: { command: 'bsdtar --numeric-owner -P -tvf $1', columns: 8 },
} as const

function tarJudge<T>(reader: keyof typeof tars, name: string, linesOf: (taken: Taken<T>) => readonly Line[], known: Judge['known']): Judge {
  const { command, columns } = tars[reader]
  return judgeBy<T>({ reader, decoder: decoderNamed(name), needs: [reader === 'bsdtar' ? 'bsdtar' : 'tar'], known }, async (taken) => {
    const answers = await answersOf(
      command,
      taken.map(({ input }) => input),
    )
    return answers.map((answer, i) => refusal(answer) ?? differenceOf(linesOf(taken[i] as Taken<T>), listed(answer.stdout, columns)))
  })
}

function refusal({ status, stderr }: Answer): string | undefined {
  return status === 0 ? undefined : `refuses with ${status}: ${stderr.slice(0, 300)}`
}

/** In any order: a dist has one of its own. */
function differenceOf(ours: readonly Line[], theirs: readonly Line[]): string | undefined {
  const [mine, other] = [ours.toSorted(), theirs.toSorted()]
  const at = mine.findIndex((line, i) => line !== other[i])
  if (at < 0 && mine.length === other.length) return undefined
  return `reads ${other[at < 0 ? mine.length : at] ?? 'nothing'} for ${mine[at] ?? 'nothing'}`
}

// --- mtree

const mtreeKinds: Readonly<Record<string, string>> = {
  dir: 'dir',
  file: 'file',
  link: 'symlink',
  char: 'char',
  block: 'block',
  fifo: 'fifo',
  socket: 'socket',
}

function linesOfMtree(stdout: Uint8Array): readonly Line[] {
  return latin1(stdout)
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const [name = '', ...words] = line.trimEnd().split(' ')
      const fields = new Map(words.map((word) => [word.replace(/=.*/s, ''), word.replace(/^[^=]*=?/, '')] as const))
      const kind = mtreeKinds[fields.get('type') ?? ''] ?? 'none'
      const size = kind === 'file' ? (fields.get('size') ?? '0') : ''
      return lineOf(kind, size, plain(unvis(name) ?? name), kind === 'symlink' ? (unvis(fields.get('link') ?? '') ?? '') : '')
    })
}

const mtree = judgeBy<MtreeFile>(
  { reader: 'mtree (NetBSD)', decoder: decoderNamed('mtree'), needs: ['mtree'], known: knownOfMtree },
  async (taken) => {
    const answers = await answersOf(
      'mtree -C -k type,size,link -f $1',
      taken.map(({ input }) => input),
    )
    return answers.map(
      (answer, i) =>
        refusal(answer) ?? differenceOf(linesOfManifest((taken[i] as Taken<MtreeFile>).value.manifest), linesOfMtree(answer.stdout)),
    )
  },
)

// --- compressions

/** `isOf`: what has another magic comes out as it is here, and is refused there. */
function unpacker(reader: string, name: string, isOf: (input: Uint8Array) => boolean): Judge {
  return judgeBy<Uint8Array>({ reader, decoder: decoderNamed(name), needs: [reader], isOf, known: knownOfGzip }, async (taken) => {
    const answers = await answersOf(
      `${reader} -dc <$1`,
      taken.map(({ input }) => input),
    )
    return answers.map((answer, i) => {
      if (!equalBytes(answer.stdout, (taken[i] as Taken<Uint8Array>).value)) return refusal(answer) ?? 'unpacks something else'
      return answer.status === 0 ? undefined : `unpacks the same, and ends with ${answer.status}: ${answer.stderr}`
    })
  })
}

/** An old file that the samples' steps stay within. */
const old = Uint8Array.from({ length: 64 }, (_, i) => i)

const bspatch = judgeBy<unknown>({ reader: 'bspatch', decoder: decoderNamed('bsdiff'), needs: ['bspatch'] }, async (taken) => {
  const answers = await answersOf(
    "sh -c 'bspatch old $1.new $1 && cat $1.new' sh $1",
    taken.map(({ input }) => input),
    { old },
  )
  return answers.map(
    (answer, i) =>
      refusal(answer) ??
      (equalBytes(answer.stdout, applyBsdiff((taken[i] as Taken<unknown>).input, old, 1 << 20)) ? undefined : 'makes another file'),
  )
})

export const archiveJudges: readonly Judge[] = [
  tarJudge<readonly AnyTarEntry[]>('GNU tar', 'tar', ({ value }) => linesOfTar(value), knownOfTar),
  tarJudge<readonly AnyTarEntry[]>('bsdtar', 'tar', ({ value }) => linesOfTar(value), knownOfTar),
  tarJudge<{ readonly manifest: Manifest }>('GNU tar', 'dist', ({ value }) => linesOfManifest(value.manifest), []),
  tarJudge<{ readonly manifest: Manifest }>('bsdtar', 'dist', ({ value }) => linesOfManifest(value.manifest), []),
  mtree,
  unpacker('bzip2', 'bzip2', () => true),
  unpacker('xz', 'liblzma', (input) => ['xz', 'lzma'].includes(codecOf(input))),
  unpacker('gzip', 'gzip', (input) => wireCodecOf(input) === 'gzip'),
  unpacker('zstd', 'zstd', (input) => wireCodecOf(input) === 'zstd'),
  bspatch,
]
