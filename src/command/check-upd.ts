import { verify } from 'node:crypto'
import { about } from '../base/about.ts'
import { collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath } from '../base/path.ts'
import { showText } from '../base/show-text.ts'
import { rsaPublicKey } from '../format/rsa-key.ts'
import { decodeUpdFile, decodeUpdList, isUpdList, updLimits } from '../format/upd.ts'
import { hostDisk } from '../host/disk.ts'
import { openInput } from '../host/source.ts'
import { print } from './output.ts'
import type { ListedUpdate, UpdFile } from '../format/upd.ts'
import type { RelPath } from '../base/path.ts'
import type { Context, Input } from './command.ts'

/** What a list or file of PC-BSD's updaters says. bindery installs nothing by it. */
export async function checkUpd(context: Context, input: Input, file: string): Promise<boolean> {
  const bytes = await read(context, file)
  const key = input.value('pubkey')
  if (key === undefined) context.explain(`${file} is not verified: no key was given`)
  else await checkSignature(context, file, bytes, key)
  return await about(file, async () => (isUpdList(bytes) ? await tellList(context, input, bytes) : await tellFile(context, input, bytes)))
}

async function read(context: Context, file: string, limit: number = updLimits.bytes): Promise<Uint8Array> {
  const bytes = await collectBytes(await openInput(file, context.stdin), limit)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: file })
  return bytes
}

const maxKeyBytes = 1 << 16

/** `openssl dgst -sha1 -sign`: what these lists had. Good against accidents and the attackers of 2012. */
async function checkSignature(context: Context, file: string, bytes: Uint8Array, keyFile: string): Promise<void> {
  const signature = await read(context, `${file}.sha1`, maxKeyBytes)
  const pem = await read(context, keyFile, maxKeyBytes)
  const key = await about(keyFile, () => rsaPublicKey(pem))
  if (!verify('sha1', bytes, key, signature))
    throw new BinderyError('bad-signature', 'the signature does not verify', { subject: `${file}.sha1` })
}

async function tellList(context: Context, input: Input, bytes: Uint8Array): Promise<boolean> {
  const { updates, branches } = decodeUpdList(bytes)
  let isWaiting = false
  for (const update of updates) {
    const isInstalled = update.kind === 'patch' && (await hasMarker(context, update))
    if (!isInstalled) isWaiting = true
    await print(context, `${input.flag('json') ? JSON.stringify({ ...update, installed: isInstalled }) : listText(update, isInstalled)}\n`)
  }
  if (branches.length > 0)
    await print(context, `${input.flag('json') ? JSON.stringify({ branches }) : showText(`branches: ${branches.join(' ')}`)}\n`)
  return isWaiting
}

type Patch = Extract<ListedUpdate, { kind: 'patch' }>

/** Where PC-BSD's updater notes what it has installed. */
async function hasMarker({ root }: Context, { release, ident }: Patch): Promise<boolean> {
  const path = parseRelPath(`var/db/pc-updatemanager/installed/${release}/${ident}`) as RelPath
  return (await hostDisk(root).lstat(path)) !== undefined
}

function listText(update: ListedUpdate, isInstalled: boolean): string {
  if (update.kind === 'major') return `fbsd-${update.to}: from ${update.from} to ${update.to}`
  const { ident, description, release, arch, megabytes, date } = update
  return showText(`${ident}: ${description}, for ${release} ${arch}, ${megabytes} MB, ${date}${isInstalled ? ', installed' : ''}`)
}

async function tellFile(context: Context, input: Input, bytes: Uint8Array): Promise<boolean> {
  const update = decodeUpdFile(bytes)
  await print(context, `${input.flag('json') ? JSON.stringify(update) : fileText(update)}\n`)
  return true
}

function fileText({ name, file, megabytes, requiresReboot }: UpdFile): string {
  return showText(`${name ?? file}: ${megabytes} MB${requiresReboot ? ', requires a reboot' : ''}`)
}
