import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, fromUtf8 } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { parseRelPath, showPath } from '../base/path.ts'
import { effectsOfScript, learnRules } from '../engine/update/learn.ts'
import { decodeUpdFile, updLimits } from '../format/upd.ts'
import { listMembers } from '../format/tar-members.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { openInput } from '../host/source.ts'
import { systemError } from '../host/system-error.ts'
import { print } from './output.ts'
import type { RelPath } from '../base/path.ts'
import type { Learnt, Specimen } from '../engine/update/learn.ts'
import type { TarMember } from '../format/tar-members.ts'
import type { Context } from './command.ts'

/** Proposes rules, as TOML on stdout, from a folder of `.upd` files and their tarballs. */
export async function learn(context: Context, folder: string): Promise<number> {
  const names = await readdir(folder).catch((cause: unknown) => Promise.reject(systemError(cause, folder)))
  const files = names.filter((name) => name.endsWith('.upd')).toSorted()
  if (files.length === 0) throw new BinderyError('not-found', 'there is no .upd file in it', { subject: folder })
  const specimens: Specimen[] = []
  let left = 0
  for (const file of files) {
    try {
      specimens.push(await specimenOf(context, folder, file))
    } catch (error) {
      if (!isBinderyError(error) || error.code === 'stopped') throw error
      context.say(`${error.subject ?? join(folder, file)}: ${error.message}; left out`)
      left++
    }
  }
  await print(context, proposalText(learnRules(specimens), specimens.length))
  return left > 0 ? 6 : 0
}

async function specimenOf(context: Context, folder: string, file: string): Promise<Specimen> {
  const path = join(folder, file)
  const update = await about(path, async () => decodeUpdFile(await read(context, path, updLimits.bytes)))
  const { paths, script } = await readTarball(context, join(folder, basename(update.file)))
  const effects = [...(update.requiresReboot ? ['reboot'] : []), ...effectsOfScript(script)]
  return { name: file, paths, effects: [...new Set(effects)] }
}

async function read(context: Context, file: string, limit: number): Promise<Uint8Array> {
  const bytes = await collectBytes(await openInput(file, context.stdin), limit)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: file })
  return bytes
}

const maxTarball = 256 << 20
const maxTar = 1 << 30
const maxScript = 1 << 20
const maxMembers = 100_000

/** The paths that it puts into place, and its `update.sh`. */
async function readTarball(context: Context, file: string): Promise<{ readonly paths: readonly RelPath[]; readonly script: string }> {
  const xz = await loadLiblzma()
  if (xz === undefined)
    throw new BinderyError('not-supported', 'liblzma is not installed', { subject: file, hint: 'npm installs it as node-liblzma' })
  const tar = xz.decompress(await read(context, file, maxTarball), maxTar)
  if (tar === undefined) throw new BinderyError('bad-format', 'is no xz or lzma, or too large', { subject: file })
  const members = await listMembers({ size: tar.length, read: async (start, end) => await Promise.resolve(tar.subarray(start, end)) })
  if (members.length > maxMembers) throw new BinderyError('over-limit', `has more than ${maxMembers} members`, { subject: file })
  const script = members.find(({ path }) => plainPath(path) === 'update.sh')
  return { paths: members.flatMap(pathOf), script: script === undefined ? '' : textOf(tar, script) }
}

function plainPath(path: string): string {
  return path.replace(/^(?:\.?\/)+/, '').replace(/\/$/, '')
}

/** Folders tell nothing. */
function pathOf({ path, type }: TarMember): readonly RelPath[] {
  const plain = plainPath(path)
  const parsed = type === '5' || plain === '' || plain === 'update.sh' ? undefined : parseRelPath(plain)
  return parsed === undefined ? [] : [parsed]
}

function textOf(tar: Uint8Array, { contentStart, contentSize }: TarMember): string {
  try {
    return fromUtf8(tar.subarray(contentStart, contentStart + Math.min(contentSize, maxScript)))
  } catch {
    return ''
  }
}

export function proposalText({ proposals, unexplained }: Learnt, count: number): string {
  const steps = new Map(
    [...new Set(proposals.map(({ effect }) => effect))]
      .filter((effect) => effect !== 'reboot')
      .map((effect, i) => [effect, stepName(effect, i)]),
  )
  const lines = [
    `# Proposed from ${count} updates. Look at each before it is used.`,
    'format = 1',
    ...proposals.flatMap(({ effect, pattern, seen, example }, i) => [
      '',
      `# in ${seen} updates, and in none without it`,
      '[[rule]]',
      `name = "learnt-${i + 1}"`,
      `match = [${JSON.stringify(pattern)}]`,
      effect === 'reboot' ? 'reboot = "reboot"' : `steps = [${JSON.stringify(steps.get(effect))}]`,
      `yes = [${JSON.stringify(`/${showPath(example)}`)}]`,
    ]),
    ...[...steps].flatMap(([effect, name]) => ['', '[[step]]', `name = ${JSON.stringify(name)}`, `run = ${JSON.stringify(effect)}`]),
    ...(unexplained.size === 0 ? [] : ['']),
    ...[...unexplained].map(([effect, times]) => `# no pattern explains: ${effect} (in ${times} updates)`),
  ]
  return `${lines.join('\n')}\n`
}

function stepName(effect: string, i: number): string {
  const word =
    /[\w-]+(?=\s|$)/
      .exec(effect)?.[0]
      ?.toLowerCase()
      .replaceAll(/[^a-z0-9-]/g, '-')
      .replace(/^-+/, '') ?? ''
  return `${word === '' ? 'step' : word.slice(0, 40)}-${i + 1}`
}
