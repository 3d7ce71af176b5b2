import { concatBytes, fromLatin1, oneChunk } from '../../base/bytes.ts'
import { sha256, sha256Hasher } from '../../base/digest.ts'
import { sourceStream } from '../repo/blob.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { ByteSource } from '../../port/source.ts'

/** The texts that a bundle's program is made of, one shell file or awk program each, by name (`share/bundle`). */
export type ProgramTexts = ReadonlyMap<string, string>

/** In this order; an awk program goes into the place that a part has for it. */
export const programParts = [
  'base.sh',
  'look.sh',
  'stage.sh',
  'commit.sh',
  'times.sh',
  'steps.sh',
  'verbs.sh',
  'install.sh',
  'old-names.sh',
  'merge.sh',
  'plan.awk',
  'merge.awk',
  'accounts.awk',
] as const

/** What the program knows of the bundle, as variables of sh. */
export type About = Readonly<Record<string, string | number>>

/** Parts begin at blocks, so that dd(1) finds them. */
const blockBytes = 512

/** What lies behind the program and its list, each a tar that is compressed: what comes, and what former versions are merged with. */
export type BundleContents = { readonly payload: ByteSource; readonly former: Uint8Array }

export type BundleHead = BundleContents & { readonly head: Uint8Array }

export async function* bundleStream({ head, payload, former }: BundleHead): ByteStream {
  yield* oneChunk(head)
  yield* sourceStream(payload)
  yield* oneChunk(former)
}

/**
 * The file: the program, padded to whole blocks; one block whose line calls it, with the digests of what is before that line and
 * behind it; the list, padded with empty lines; the payload. All code lies in functions and nothing runs before the last line
 * of the program, so that a file that ends too early does nothing.
 */
export async function bundleFile(texts: ProgramTexts, about: About, list: string, contents: BundleContents): Promise<BundleHead> {
  const listBytes = padded(list)
  const program = settle(texts, about, { list: listBytes.length, payload: contents.payload.size })
  const rest = sha256Hasher()
  rest.update(listBytes)
  for await (const bytes of sourceStream(contents.payload)) rest.update(bytes)
  rest.update(contents.former)
  const call = `{ bindery_bundle ${sha256(program)} ${rest.digest()} "$@"; exit; }`
  return { head: concatBytes([program, fromLatin1(`${call.padEnd(blockBytes - 1)}\n`), listBytes]), ...contents }
}

/** The program says where the parts behind it begin, which depends on its own length: that of one try is right for the next. */
function settle(texts: ProgramTexts, about: About, sizes: { readonly list: number; readonly payload: number }): Uint8Array {
  for (let blocks = 0; ;) {
    const list = (blocks + 1) * blockBytes
    const places = {
      program_blocks: blocks,
      list_at: list + 1,
      list_blocks: sizes.list / blockBytes,
      payload_at: list + sizes.list + 1,
      former_at: list + sizes.list + sizes.payload + 1,
    }
    const program = padded(programText(texts, { ...about, ...places }))
    if (program.length === blocks * blockBytes) return program
    blocks = program.length / blockBytes
  }
}

function programText(texts: ProgramTexts, about: About): string {
  const part = (name: (typeof programParts)[number]): string => texts.get(name) ?? ''
  const variables = Object.entries(about).map(([name, value]) => `\t${name}='${value}'`)
  const text = [
    '#!/bin/sh',
    ...opening.map((line) => (line === '' ? '#' : `# ${line}`)),
    '',
    // One group: of a file that ends within it nothing is run, not even a program that is called like the beginning of a function's name.
    '{',
    'about_bundle() {',
    ...variables,
    '}',
    '',
    part('base.sh'),
    part('look.sh'),
    part('stage.sh'),
    part('commit.sh'),
    part('times.sh'),
    part('steps.sh'),
    part('verbs.sh').replace('@plan.awk@\n', () => part('plan.awk')),
    part('install.sh'),
    part('old-names.sh'),
    part('merge.sh')
      .replace('@merge.awk@\n', () => part('merge.awk'))
      .replace('@accounts.awk@\n', () => part('accounts.awk')),
    '}',
  ]
  return text.join('\n')
}

const opening = [
  'A bundle of bindery: what changes from one release to another, and a program that installs it and takes it back.',
  '',
  'Whether it comes from where you think can only be told from outside, before it runs:',
  '',
  '    signify -C -p KEY.pub -x SHA256.sig FILE && sh FILE',
  '',
  'usage: sh FILE [-nv] [-R root] [install | rollback | list | verify | recover [--undo]]',
  '',
  'shellcheck disable=SC3013,SC2317,SC2015',
  'test has -ef in every shell, and in POSIX of 2024; every verb is called by its name; A && B || C means just that.',
]

function padded(text: string): Uint8Array {
  return fromLatin1(text.padEnd(Math.ceil(text.length / blockBytes) * blockBytes, '\n'))
}
