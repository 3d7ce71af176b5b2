import { mkdir, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, hex } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { plainName } from '../format/built.ts'
import { decodePortsList } from '../format/ports-list.ts'
import { hostArch } from '../host/arch.ts'
import { openSystem, openTree } from '../host/build-place.ts'
import { openInput } from '../host/source.ts'
import { systemError } from '../host/system-error.ts'
import { wholeOf } from './whole-number.ts'
import type { Revision } from '../base/source-change.ts'
import type { Batch } from '../engine/farm/build/batch.ts'
import type { JobLimits } from '../host/job-limits.ts'
import type { BuildPlace } from '../port/build-place.ts'
import type { Context, Input, OptionTable } from './command.ts'

/** What the flags of `farm build` come to; all of them are looked at before anything is done. */
export type BuildPlan = {
  readonly output: string
  readonly lock: string
  readonly list: readonly string[]
  readonly release: string
  readonly arch: string
  readonly batch: Omit<Batch, 'place' | 'output' | 'signal'>
  readonly temporary: readonly string[]
  /** Undefined: installed packages are left alone. */
  readonly kept: readonly string[] | undefined
  readonly sandbox: { readonly kind: 'overlay' | 'snapshot'; readonly root: string; readonly scratch: string | undefined } | undefined
  readonly limits: JobLimits
  /** For sh, in the ports tree, before all else. */
  readonly prepare: string | undefined
  readonly twice: boolean
  readonly keptBatches: number
  readonly json: boolean
}

/** How and where a builder builds, whatever it builds. */
export const buildOptions = {
  ports: { kind: 'value', value: 'DIR', help: 'the ports tree (default: /usr/ports)' },
  packages: { kind: 'value', value: 'DIR', help: 'where the ports tree puts packages (default: packages/ARCH/all in it)' },
  command: { kind: 'value', value: 'TEXT', help: 'for sh, instead of: env SUBDIRLIST="$LIST" BULK=yes make package' },
  names: { kind: 'value', value: 'TEXT', help: 'for sh, instead of: env SUBDIRLIST="$LIST" show=PKGNAMES make' },
  'pkg-path': { kind: 'value', value: 'URL', help: "the release's packages, for what is needed and unchanged" },
  env: { kind: 'list', value: 'NAME=VALUE', help: 'of the environment of the build; may be given again' },
  clean: { kind: 'flag', help: 'delete installed packages before the build; always done on OpenBSD' },
  'no-clean': { kind: 'flag', help: 'leave installed packages alone' },
  keep: { kind: 'list', value: 'STEM', help: 'do not delete this package; rsync and sqlports are never deleted' },
  temporary: { kind: 'list', value: 'DIR', help: 'empty DIR before the build (default: pobj, bulk and update of the ports tree)' },
  sandbox: { kind: 'value', value: 'KIND', help: 'build in an overlay or a snapshot over --root' },
  root: { kind: 'value', value: 'DIR', help: 'the tree that the sandbox is over; paths of the ports tree are paths in it' },
  scratch: { kind: 'value', value: 'DIR', help: 'keep what an overlay changes below DIR meanwhile' },
  'no-network': { kind: 'flag', help: 'build without the network, as far as the system can' },
  'time-limit': { kind: 'value', value: 'SECONDS', help: 'end the build after so long' },
  silence: { kind: 'value', value: 'SECONDS', help: 'end the build when it printed nothing for so long' },
  'least-space': { kind: 'value', value: 'MB', help: 'end the build when less is left on the disk of DIR' },
  prepare: { kind: 'value', value: 'TEXT', help: 'for sh, in the ports tree, before each build: brings it up to date' },
  twice: { kind: 'flag', help: 'build everything again, and tell what does not come out the same' },
} as const satisfies OptionTable

export async function readBuildPlan(context: Context, input: Input): Promise<BuildPlan> {
  const arch = plain(input.value('arch') ?? hostArch(), 'arch')
  const release = plain(input.required('release'), 'release')
  // What is wrong with the flags is said before anything is read or made.
  readBuildSettings(context, input, { arch, output: '' })
  const list = await readList(context, input.operands[0] as string)
  const output = await outputFolder(input.required('output'))
  const keptBatches = wholeOf(input, 'keep-logs', 0, 10_000) ?? 9
  return { ...readBuildSettings(context, input, { arch, output }), list, release, keptBatches, json: input.flag('json') }
}

type SettingName = 'output' | 'lock' | 'arch' | 'batch' | 'sandbox' | 'kept' | 'temporary' | 'limits' | 'prepare' | 'twice'

/** Of the flags in `buildOptions`. */
export function readBuildSettings(
  context: Context,
  input: Input,
  { arch, output }: { readonly arch: string; readonly output: string },
): Pick<BuildPlan, SettingName> {
  const ports = absolute(input.value('ports') ?? '/usr/ports', 'ports')
  const batch = {
    ports,
    packages: absolute(input.value('packages') ?? `${ports}/packages/${arch}/all`, 'packages'),
    scratch: `/tmp/bindery-${hex(context.random.bytes(8))}`,
    build: input.value('command') ?? 'env SUBDIRLIST="$LIST" BULK=yes make package',
    names: input.value('names') ?? 'env SUBDIRLIST="$LIST" show=PKGNAMES make',
    env: environmentOf(input),
    network: !input.flag('no-network'),
  }
  const [sandbox, kept, temporary] = [sandboxOf(input), keptOf(input), temporaryOf(input, ports)]
  const place = { output, lock: join(output, '.lock'), arch, batch, sandbox, kept, temporary }
  return { ...place, limits: limitsOf(input, output), prepare: input.value('prepare'), twice: input.flag('twice') }
}

export async function openPlace({ sandbox, batch }: Pick<BuildPlan, 'sandbox' | 'batch'>): Promise<BuildPlace> {
  return sandbox === undefined ? await openSystem(batch.ports) : await openTree(sandbox.kind, sandbox.root, sandbox.scratch)
}

/** What a build of a farm is of: for commands that bring the ports tree there. */
export function sourcesEnvironment(branch: string, { name, seconds }: Revision): Readonly<Record<string, string>> {
  const date = seconds === undefined ? undefined : new Date(seconds * 1000).toISOString().replace('T', ' ').replace('.000Z', ' UTC')
  return { BRANCH: branch, REVISION: name, ...(date === undefined ? {} : { REVISION_DATE: date }) }
}

export function plain(text: string, what: string): string {
  try {
    return plainName(text, what)
  } catch {
    throw new BinderyError('usage', `--${what} takes a plain name, not '${text}'`)
  }
}

function absolute(path: string, what: string): string {
  if (path.startsWith('/')) return withoutTrailing(path, '/')
  throw new BinderyError('usage', `--${what} takes an absolute path, not '${path}'`)
}

function environmentOf(input: Input): Readonly<Record<string, string>> {
  const given = input.list('env').map((text) => {
    const match = /^([A-Za-z_]\w*)=(.*)$/s.exec(text)
    if (match === null) throw new BinderyError('usage', `--env takes NAME=VALUE, not '${text}'`)
    return [match[1] as string, match[2] as string] as const
  })
  const url = input.value('pkg-path')
  // With an empty value the ports tree fetches packages instead of building what is needed.
  return { ...(url === undefined ? {} : { PKG_PATH: url, FETCH_PACKAGES: '' }), ...Object.fromEntries(given) }
}

const alwaysKept = ['rsync', 'sqlports']

function keptOf(input: Input): readonly string[] | undefined {
  if (input.flag('clean') && input.flag('no-clean')) throw new BinderyError('usage', '--clean and --no-clean do not go together')
  const cleans = input.flag('clean') || (process.platform === 'openbsd' && !input.flag('no-clean'))
  if (!cleans && input.list('keep').length > 0) throw new BinderyError('usage', '--keep means something where packages are deleted')
  return cleans ? [...alwaysKept, ...input.list('keep')] : undefined
}

function temporaryOf(input: Input, ports: string): readonly string[] {
  const given = input.list('temporary').map((folder) => absolute(folder, 'temporary'))
  if (given.includes('')) throw new BinderyError('usage', '--temporary takes a folder that may be emptied, not the root')
  return given.length > 0 ? given : ['pobj', 'bulk', 'update'].map((name) => `${ports}/${name}`)
}

function sandboxOf(input: Input): BuildPlan['sandbox'] {
  const [kind, root, scratch] = [input.value('sandbox'), input.value('root'), input.value('scratch')]
  if ((kind === undefined) !== (root === undefined)) throw new BinderyError('usage', '--sandbox and --root go together')
  if (scratch !== undefined && kind !== 'overlay') throw new BinderyError('usage', '--scratch goes with --sandbox overlay')
  if (kind === undefined || root === undefined) return undefined
  if (kind !== 'overlay' && kind !== 'snapshot') throw new BinderyError('usage', `--sandbox takes overlay or snapshot, not '${kind}'`)
  return { kind, root, scratch }
}

function limitsOf(input: Input, output: string): JobLimits {
  const megabytes = wholeOf(input, 'least-space', 1, 100_000_000)
  return {
    seconds: wholeOf(input, 'time-limit', 1, 2_000_000),
    silentSeconds: wholeOf(input, 'silence', 1, 2_000_000),
    leastSpace: megabytes === undefined ? undefined : { folder: output, bytes: megabytes * 1_000_000 },
  }
}

const maxList = 16 << 20

async function readList(context: Context, file: string): Promise<readonly string[]> {
  const bytes = await collectBytes(await openInput(file, context.stdin), maxList)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxList} bytes`, { subject: file })
  return await about(file, () => decodePortsList(bytes))
}

export async function outputFolder(folder: string): Promise<string> {
  const path = resolve(folder)
  try {
    await mkdir(join(path, '.lock'), { recursive: true })
    return await realpath(path)
  } catch (cause) {
    throw systemError(cause, folder)
  }
}
