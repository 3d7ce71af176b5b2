import { join } from 'node:path'
import { closeStream, collectBytes, utf8 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError, isBinderyError, toldOf } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { quoteName } from '../engine/repo/role-files.ts'
import { targetLocation, verifyTarget } from '../engine/repo/target-stream.ts'
import { establishTrust, loadTrustedRoot, refreshTrust } from '../engine/repo/trust.ts'
import { folderTrust } from '../host/folder-trust.ts'
import { openInput, writeFileAtomically } from '../host/source.ts'
import { below, httpMetadata } from './http-metadata.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { HttpClient } from '../port/http.ts'
import type { FoundTarget, Trust } from '../engine/repo/trust.ts'
import type { Command, Context, Input } from './command.ts'

const maxRootBytes = 512_000

/** The command line that the public TUF conformance suite drives (its CLIENT-CLI.md). */
export const tuf: Command = {
  name: 'tuf',
  summary: 'drive the TUF client by hand, as conformance suites do',
  operands: 'init ROOT.json | refresh | download',
  operandCount: { min: 1, max: 2 },
  options: {
    'metadata-dir': { kind: 'value', value: 'DIR', help: 'where trusted metadata is kept' },
    'metadata-url': { kind: 'value', value: 'URL', help: 'where metadata is served' },
    'target-name': { kind: 'list', value: 'PATH', help: 'target to download; may be repeated' },
    'target-base-url': { kind: 'value', value: 'URL', help: 'where targets are served' },
    'target-dir': { kind: 'value', value: 'DIR', help: 'where downloaded targets are kept' },
  },
  examples: [
    'bindery tuf --metadata-dir trust init 1.root.json',
    'bindery tuf --metadata-dir trust --metadata-url http://127.0.0.1:8080/metadata/ refresh',
  ],
  run: async (context, input) => {
    try {
      await actionOf(input)(context, input)
      return 0
    } catch (error) {
      // Drivers know two answers, 0 and 1.
      if (!isBinderyError(error) || error.code === 'usage') throw error
      // As main.ts tells an error: -q does not silence it.
      context.tell(`bindery: tuf: ${showLine(error.subject === undefined ? error.message : `${error.subject}: ${error.message}`)}\n`)
      return 1
    }
  },
}

function actionOf({ operands }: Input): (context: Context, input: Input) => Promise<void> {
  const [action, root] = operands
  if ((action === 'init') !== (root !== undefined))
    throw new BinderyError('usage', "'init' and nothing else takes the file of a trusted root")
  switch (action) {
    case 'init':
      return init
    case 'refresh':
      return async (context, input) => void (await refresh(context, input))
    case 'download':
      return download
    default:
      throw new BinderyError('usage', `'${String(action)}' is none of init, refresh, download`)
  }
}

async function init(context: Context, input: Input): Promise<void> {
  const file = input.operands[1] as string
  const root = await collectBytes(await openInput(file, context.stdin), maxRootBytes)
  if (root === undefined) throw new BinderyError('over-limit', `is longer than ${maxRootBytes} bytes`, { subject: file })
  const folder = input.required('metadata-dir')
  await establishTrust(folderTrust(folder), root).catch((error: unknown) =>
    Promise.reject(toldOf(error, isBinderyError(error, 'exists') ? join(folder, 'root.json') : file)),
  )
}

async function refresh(context: Context, input: Input): Promise<Trust> {
  const folder = input.required('metadata-dir')
  const source = httpMetadata(context.http, input.required('metadata-url'))
  const store = folderTrust(folder)
  await loadTrustedRoot({ store }).catch((error: unknown) => Promise.reject(toldOf(error, join(folder, 'root.json'))))
  return await refreshTrust({ store, source, clock: context.clock, order: 'specification' })
}

async function download(context: Context, input: Input): Promise<void> {
  const base = input.required('target-base-url')
  const folder = input.required('target-dir')
  const trust = await refresh(context, input)
  for (const path of input.list('target-name')) {
    const target = (await trust.findTarget(path))?.value
    if (target === undefined) throw new BinderyError('not-found', 'is no target of this repository', { subject: path })
    const file = join(folder, fileName(path))
    if (await isThere(file, target)) continue
    const url = below(base, targetLocation(target, trust.root.value.consistentSnapshot))
    await writeFileAtomically(file, verifyTarget(await get(context.http, url), target))
  }
}

/** One file per target path, whatever the path holds. */
function fileName(path: string): string {
  const quoted = quoteName(path)
  return quoted.length > 200 || quoted.startsWith('.') ? sha256(utf8(path)) : quoted
}

async function isThere(file: string, target: FoundTarget): Promise<boolean> {
  try {
    for await (const _ of verifyTarget(await openInput(file, noInput()), target));
    return true
  } catch (error) {
    if (isBinderyError(error)) return false
    throw error
  }
}

async function* noInput(): ByteStream {}

async function get(http: HttpClient, url: string): Promise<ByteStream> {
  const response = await http.get({ url })
  if (response.status === 200) return response.body
  await closeStream(response.body)
  throw new BinderyError('network', `answered ${response.status}`, { subject: url })
}
