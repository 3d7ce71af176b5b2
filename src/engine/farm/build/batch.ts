import { closeStream, collectBytes, fromLatin1, latin1 } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { parseRelPath } from '../../../base/path.ts'
import { readPackageNames } from './package-names.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { BuildPlace } from '../../../port/build-place.ts'
import type { ExpectedPackage } from './package-names.ts'

/** Ports that are built together: what a builder of OpenBSD's stable packages does, step by step, in one place. */
export type Batch = {
  readonly place: BuildPlace
  /** The ports tree, and where its packages come to lie: absolute paths of the place. */
  readonly ports: string
  readonly packages: string
  /** Where no other file begins with this name: the list, and what is said of it, lie there meanwhile. */
  readonly scratch: string
  /** Texts for sh; `$LIST` names the list. */
  readonly build: string
  readonly names: string
  readonly env: Readonly<Record<string, string>>
  readonly network: boolean
  readonly output: (bytes: Uint8Array) => void
  readonly signal: AbortSignal
}

/** Of a script with its words as `$1` and so on; what it prints goes to the log. */
async function run(batch: Batch, script: string, words: readonly string[] = [], input?: Uint8Array): Promise<number> {
  const result = await batch.place.run({
    command: ['sh', '-c', script, 'sh', ...words],
    folder: batch.ports,
    env: { ...batch.env, LIST: batch.scratch, REPORT_PROBLEM_LOGFILE: problemsOf(batch) },
    ...(input === undefined ? {} : { input }),
    network: batch.network,
    output: batch.output,
    signal: batch.signal,
  })
  return result.kind === 'ended' ? result.status : 1
}

async function must(batch: Batch, script: string, words: readonly string[], message: string, input?: Uint8Array): Promise<void> {
  if ((await run(batch, script, words, input)) === 0) return
  throw new BinderyError('command-failed', message, { hint: 'its log says why' })
}

function problemsOf({ scratch }: Batch): string {
  return `${scratch}.problems`
}

/** Brings the ports tree up to date. Where that fails, nothing is said of any port. */
export async function prepareTree(batch: Batch, script: string): Promise<void> {
  const status = await run({ ...batch, network: true }, `{ ${script}\n} </dev/null`)
  if (status === 0) return
  throw new BinderyError('io', `the ports tree could not be prepared: the command ended with status ${status}`, {
    hint: 'its log says why',
  })
}

/** Takes packages away that a build could find, but for those whose stems are kept. Answers what is left beside them: what they need. */
export async function cleanPackages(batch: Batch, kept: readonly string[]): Promise<readonly string[]> {
  const installed = await installedPackages(batch)
  const wanted = installed.filter((name) => kept.includes(stemOf(name)))
  if (wanted.length === installed.length) return []
  const failed = 'packages could not be deleted'
  // Without a name, -X would have nothing to go by.
  if (wanted.length === 0) await must(batch, 'pkg_delete -I "$@"', installed, failed)
  else await must(batch, 'pkg_delete -I -X "$@"', wanted, failed)
  return (await installedPackages(batch)).filter((name) => !kept.includes(stemOf(name)))
}

async function installedPackages(batch: Batch): Promise<readonly string[]> {
  await must(batch, 'pkg_info -q >"$LIST.installed"', [], 'pkg_info failed')
  const names = latin1(await readText(batch, `${batch.scratch}.installed`)).split('\n')
  return names.filter((name) => name !== '')
}

function stemOf(name: string): string {
  return name.replace(/-[0-9][^-]*(?:-.*)?$/, '')
}

/** Empties folders of the ports tree; those that are not there are empty. */
export async function cleanFolders(batch: Batch, folders: readonly string[]): Promise<void> {
  const script = 'for folder; do [ ! -d "$folder" ] || find "$folder" -mindepth 1 -maxdepth 1 -exec rm -rf {} + || exit; done'
  await must(batch, script, folders, 'the temporary folders of the ports tree could not be emptied')
}

/** The packages that these ports come to, by the ports tree itself. */
export async function packageNames(batch: Batch, list: readonly string[]): Promise<readonly ExpectedPackage[]> {
  const script = `${takeList} && { ${batch.names}\n} </dev/null >"$LIST.names"`
  await must(batch, script, [], 'the ports tree does not tell the names of the packages', textOf(list))
  return readPackageNames(latin1(await readText(batch, `${batch.scratch}.names`)))
}

/** Builds them; answers the status of make, which says little: a port that fails does not keep the others from being built. */
export async function buildPorts(batch: Batch, list: readonly string[]): Promise<number> {
  return await run(batch, `${takeList} && { ${batch.build}\n} </dev/null`, [], textOf(list))
}

/** Ports that the ports tree itself calls failed. */
export async function reportedProblems(batch: Batch): Promise<readonly string[]> {
  if ((await batch.place.files.lstat(pathIn(problemsOf(batch)))) === undefined) return []
  const lines = latin1(await readText(batch, problemsOf(batch))).split('\n')
  return lines.flatMap((line) => /^(\S+)(?: \(.*\))?$/.exec(line)?.[1] ?? [])
}

export async function dropScratch(batch: Batch): Promise<void> {
  await run(batch, 'rm -f "$LIST" "$LIST.names" "$LIST.installed" "$LIST.problems"')
}

/** So that they are built again. */
export async function dropPackages(batch: Batch, files: readonly string[]): Promise<void> {
  const script = 'cd "$1" && shift && for file; do rm -f -- "$file" || exit; done'
  await must(batch, script, [batch.packages, ...files], 'packages could not be removed to be built again')
}

export async function hasPackage(batch: Batch, file: string): Promise<boolean> {
  return (await batch.place.files.lstat(pathIn(`${batch.packages}/${file}`)))?.kind === 'file'
}

export function readPackageFile(batch: Batch, file: string): ByteStream {
  return batch.place.files.read(pathIn(`${batch.packages}/${file}`))
}

/** Nobody else's file is written to: in a folder where everybody may write, somebody may have been faster. */
const takeList = 'rm -f "$LIST" && set -C && cat >"$LIST" && set +C'

function textOf(list: readonly string[]): Uint8Array {
  return fromLatin1(list.map((line) => `${line}\n`).join(''))
}

const maxText = 64 << 20

async function readText(batch: Batch, path: string): Promise<Uint8Array> {
  const stream = batch.place.files.read(pathIn(path))
  const bytes = await collectBytes(stream, maxText)
  if (bytes !== undefined) return bytes
  await closeStream(stream)
  throw new BinderyError('over-limit', `is larger than ${maxText} bytes`, { subject: path })
}

function pathIn(path: string): RelPath {
  const safe = parseRelPath(path.replaceAll(/\/+/g, '/').replace(/^\//, ''))
  if (safe === undefined || !path.startsWith('/')) throw new BinderyError('usage', `'${path}' is no absolute path`)
  return safe
}
