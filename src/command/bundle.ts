import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { parseChannel } from '../base/name.ts'
import { makeBundle } from '../engine/bundle/make.ts'
import { programParts } from '../engine/bundle/program.ts'
import { putBundles } from '../engine/bundle/signed-list.ts'
import { bundleFileName } from '../format/bundle-index.ts'
import { openRepositoryFolder, writeRepositoryFolder } from '../host/repository-folder.ts'
import { readShared } from '../host/share.ts'
import { spoolToSource } from '../host/source.ts'
import { listSigner } from './bundle-list.ts'
import { sharedFlags } from './flags.ts'
import { writeOutput } from './output.ts'
import { isTree } from './tree-input.ts'
import { wholeOf } from './whole-number.ts'
import type { Bundle, BundleFile, BundleInput } from '../engine/bundle/make.ts'
import type { ProgramTexts } from '../engine/bundle/program.ts'
import type { BundleFormat } from '../format/bundle-index.ts'
import type { Store } from '../port/store.ts'
import type { Command, Context, Input } from './command.ts'

export const bundle: Command = {
  name: 'bundle',
  summary: 'make a file that updates machines without bindery, with sh and base tools alone',
  operands: 'CHANNEL',
  operandCount: { min: 1, max: 1 },
  options: {
    repo: sharedFlags.repo,
    from: { kind: 'value', value: 'RELEASE', help: 'the release that it updates (default: the one before)' },
    to: { kind: 'value', value: 'RELEASE', help: 'the release that it brings (default: the newest)' },
    full: { kind: 'flag', help: 'for a root without a release: everything is in it' },
    'no-manifest': { kind: 'flag', help: 'leave out the manifest, which only enrolled machines need' },
    format: { kind: 'value', value: 'FORMAT', help: 'whole files, or patches for bspatch(1): whole or bsdiff (default: whole)' },
    seckey: { ...sharedFlags.seckey, help: 'put it into the repository, and sign its SHA256.sig with this key' },
    expires: { kind: 'value', value: 'DAYS', help: 'how long bindery-sh trusts the list that is signed (default: for ever)' },
    output: { ...sharedFlags.output, help: 'the bundle, or a folder for it (default: OLD_to_NEW.sh here); - is stdout' },
  },
  examples: [
    'bindery bundle -r repo base/amd64',
    'bindery bundle -r repo -s bundles.sec base/amd64',
    'bindery bundle -r repo --from base-1.0-20260101-amd64 -o update.sh base/amd64',
    'bindery bundle -r repo --full -o - base/amd64',
    'bindery bundle -r repo --format bsdiff -s bundles.sec base/amd64',
  ],
  run: async (context, input) => {
    if (input.flag('full') && input.value('from') !== undefined) throw new BinderyError('usage', '--full and --from exclude each other')
    if (input.flag('full') && formatOf(input) === 'bsdiff')
      throw new BinderyError('usage', '--full and --format bsdiff exclude each other: there is nothing that a patch could begin with')
    if (input.value('seckey') !== undefined && input.value('output') !== undefined)
      throw new BinderyError('usage', '--seckey and --output exclude each other: what is signed goes into the repository')
    if (input.value('expires') !== undefined && input.value('seckey') === undefined)
      throw new BinderyError('usage', '--expires goes with --seckey: it is the list that expires')
    await (input.value('seckey') === undefined ? writeBundle(context, input) : publishBundle(context, input))
    return 0
  },
}

async function writeBundle(context: Context, input: Input): Promise<void> {
  const store = await openRepositoryFolder(input.required('repo'))
  await withBundle(context, input, store, async ({ files }) => {
    const { step, open } = files.at(-1) as BundleFile
    await writeOutput(context, outputOf(context, input, bundleFileName(step)), open())
  })
}

async function publishBundle(context: Context, input: Input): Promise<void> {
  const file = input.required('seckey')
  const days = wholeOf(input, 'expires', 1, 3650)
  const signing = await listSigner(context, file)
  await writeRepositoryFolder(input.required('repo'), 'bundle', async (store) => {
    await withBundle(context, input, store, async ({ files }) => {
      await putBundles(store, { ...signing, files, days })
      for (const { step } of files) context.explain(`bundles/${bundleFileName(step)}`)
    })
  })
}

async function withBundle(context: Context, input: Input, store: Store, use: (bundle: Bundle) => Promise<unknown>): Promise<void> {
  const made = await makeBundle({
    store,
    channel: parseChannel(input.operands[0] as string),
    from: fromOf(input),
    to: input.value('to'),
    withManifest: !input.flag('no-manifest'),
    format: formatOf(input),
    texts: await programTexts(),
    spool: spoolToSource,
  })
  try {
    for (const { step } of made.files) context.explain(`${bundleFileName(step)}: ${made.paths} paths`)
    await use(made)
  } finally {
    await made.close()
  }
}

function fromOf(input: Input): BundleInput['from'] {
  const name = input.value('from')
  if (name !== undefined) return { kind: 'release', name }
  return input.flag('full') ? { kind: 'full' } : undefined
}

function formatOf(input: Input): BundleFormat {
  const format = input.value('format') ?? 'whole'
  if (format === 'whole' || format === 'bsdiff') return format
  throw new BinderyError('usage', `--format: '${format}' is none of whole, bsdiff`)
}

async function programTexts(): Promise<ProgramTexts> {
  return new Map(await Promise.all(programParts.map(async (name) => [name, await readShared(`bundle/${name}`)] as const)))
}

function outputOf(context: Context, input: Input, name: string): string {
  const given = input.value('output') ?? name
  if (given === '-' && context.isTerminal.stdout)
    throw new BinderyError('usage', 'a bundle is nothing for a terminal', { hint: 'name a file with -o' })
  return given !== '-' && isFolder(given) ? join(given, name) : given
}

function isFolder(file: string): boolean {
  try {
    return isTree(file)
  } catch {
    return false
  }
}
