import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { latin1, oneChunk, utf8 } from '../base/bytes.ts'
import { digestStream } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { parseDistName } from '../base/name.ts'
import { openInput, writeFileAtomically } from '../host/source.ts'
import { capture } from './capture.ts'
import { readPlan } from './capture-plan.ts'
import { recordCapture } from './capture-record.ts'
import { cut } from './cut.ts'
import { sourcesEnvironment } from './farm-build-plan.ts'
import { builtFolder } from './farm-built-folder.ts'
import { errataRevision, readErrataFolder } from './farm-errata.ts'
import { parseInput } from './parse.ts'
import type { DistName } from '../base/name.ts'
import type { ReleaseConfig } from '../format/farm-config.ts'
import type { Build } from '../port/farm-build.ts'
import type { Claim, NewPackage } from '../port/farm-queue.ts'
import type { Context } from './command.ts'

/** A release, by the engines of `capture` and `cut`, which tell their errors as they do. */
export type ReleaseBuild = {
  readonly farm: string
  readonly release: ReleaseConfig
  readonly claim: Pick<Claim, 'build' | 'revision'>
  /** Emptied first. */
  readonly work: string
}

export async function buildRelease(context: Context, order: ReleaseBuild): Promise<NewPackage> {
  const { farm, release, claim, work } = order
  const { build } = claim
  const name = parseDistName(build.packages[0] as string) as DistName
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { recursive: true })
  await prepare(context, order)
  const changes = join(work, 'capture')
  const words = [...release.flags.capture, '-o', changes, ...(await captureWords(context, order))]
  await recordCapture(context, await readPlan(context, parseInput(capture, words)))
  const dist = join(work, distFile(build))
  const { product, revision, date, arch } = name
  const named = ['--product', product, '--revision', revision, '--date', date, '--arch', arch]
  await cut.run(
    context,
    parseInput(cut, [changes, '--base', placeFor(farm, release.base, arch), ...release.flags.cut, ...named, '-o', dist]),
  )
  const { sha256, size } = await digestStream(await openInput(dist, oneChunk(new Uint8Array(0))))
  await keepAlone(builtFolder(farm, build.branch, arch), dist, distFile(build))
  return { file: distFile(build), pkgpath: build.pkgpath, sha256, size, signature: build.packages[0] as string, reproducible: undefined }
}

/** On the controller itself. */
async function prepare(context: Context, { farm, release, claim: { build, revision } }: ReleaseBuild): Promise<void> {
  if (release.prepare === undefined) return
  const env = { ...sourcesEnvironment(build.branch, revision), ROOT: placeFor(farm, release.root, build.arch) }
  const { status, stdout, stderr } = await context.exec.run('sh', ['-c', release.prepare], { env, apart: true })
  for (const said of [stdout, stderr]) context.passOn(said)
  context.signal.throwIfAborted()
  if (status === 0) return
  const reason = latin1(stderr).trim().split('\n').at(-1) ?? ''
  throw new BinderyError('command-failed', `ended with status ${status}${reason === '' ? '' : `: ${reason}`}`, { subject: 'prepare' })
}

export function distFile({ packages }: Pick<Build, 'packages'>): string {
  return `${packages[0] as string}.tar.zst`
}

/** Of farm.toml, where `%a` is the architecture. */
function placeFor(farm: string, path: string, arch: string): string {
  return resolve(farm, path.replaceAll('%a', arch))
}

async function captureWords(context: Context, { farm, release, claim, work }: ReleaseBuild): Promise<readonly string[]> {
  const { build, revision } = claim
  const root = placeFor(farm, release.root, build.arch)
  if (release.work.kind === 'errata') {
    const key = resolve(farm, release.work.key)
    const files = await takeErrata(context, { folder: resolve(farm, release.source.place), key, revision: revision.name, work })
    return [...files.flatMap((file) => ['--errata', file]), '-p', key, root]
  }
  const env = Object.entries(sourcesEnvironment(build.branch, revision)).map(([variable, value]) => `${variable}=${value}`)
  return [root, '--', 'env', ...env, 'sh', '-c', release.work.command]
}

type Errata = { readonly folder: string; readonly key: string; readonly revision: string; readonly work: string }

/** Those that the look saw, as they were then: a patch that comes meanwhile belongs to the next release. */
async function takeErrata(context: Context, { folder, key, revision, work }: Errata): Promise<readonly string[]> {
  const files = await readErrataFolder(context, folder, key)
  if (errataRevision(files).name !== revision)
    throw new BinderyError('conflict', 'holds other errata than when this release was planned; the next look plans it anew', {
      subject: folder,
    })
  const copies: string[] = []
  for (const { name, bytes } of files) {
    const copy = join(work, name)
    await writeFileAtomically(copy, oneChunk(bytes))
    copies.push(copy)
  }
  return copies
}

/** What it takes the place of is in the repository by now, or no longer wanted. */
async function keepAlone(folder: string, file: string, name: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await rename(file, join(folder, name))
  for (const other of await readdir(folder)) if (other.endsWith('.tar.zst') && other !== name) await rm(join(folder, other))
}

/** The verb speaks into the log of the build. */
export function speakingInto(context: Context, log: { write(bytes: Uint8Array): void }, signal: AbortSignal): Context {
  const line = (text: string): void => log.write(utf8(`bindery: ${text}\n`))
  const out = async (data: Uint8Array | string): Promise<void> =>
    await Promise.resolve(log.write(typeof data === 'string' ? utf8(data) : data))
  const silent = { start: () => ({ advance: () => {}, end: () => {} }) }
  const isTerminal = { stdin: false, stdout: false, stderr: false }
  return {
    ...context,
    say: line,
    explain: line,
    tell: line,
    passOn: (bytes) => log.write(bytes),
    out,
    progress: silent,
    isTerminal,
    signal,
  }
}
