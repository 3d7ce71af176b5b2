import { join } from 'node:path'
import { about } from '../base/about.ts'
import { oneChunk, utf8 } from '../base/bytes.ts'
import { digestStream } from '../base/digest.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { announceMarkdown, announceText } from '../engine/update/announce.ts'
import { decodeDescriptor, descriptorLimits, encodeDescriptor } from '../format/descriptor.ts'
import { postStepLimits } from '../format/post-step.ts'
import { openSource, writeFileAtomically } from '../host/source.ts'
import { bytesOf } from './tar-file.ts'
import type { UpdateNotes } from '../engine/update/compose.ts'
import type { Announcement } from '../engine/update/announce.ts'
import type { Descriptor } from '../format/descriptor.ts'
import type { OpenSource } from '../host/source.ts'

/** The folder that `compose` writes and `publish` takes: a descriptor, its payload, its scripts, and the text for people. */

const files = { descriptor: 'update.upd', text: 'update.txt', markdown: 'update.md' } as const

/** Everything but the payload. */
export async function writeComposed(folder: string, announcement: Announcement): Promise<void> {
  const { text, scripts } = encodeDescriptor(announcement.descriptor)
  const all = new Map([
    ...scripts,
    [files.text, announceText(announcement)],
    [files.markdown, announceMarkdown(announcement)],
    // Last, as everywhere: a folder without it is none of ours.
    [files.descriptor, text],
  ])
  for (const [name, content] of all) await writeFileAtomically(join(folder, name), oneChunk(utf8(content)))
}

export type Composed = { readonly source: OpenSource; readonly notes: UpdateNotes }

/** The payload, checked, and what is said of it. Whoever opens it closes the source. */
export async function openComposed(folder: string): Promise<Composed> {
  const descriptor = await readDescriptor(folder)
  const file = join(folder, descriptor.payload.file)
  const source = await openSource(file)
  const digest = source.size === descriptor.payload.size ? (await digestStream(bytesOf(source))).sha256 : undefined
  if (digest !== descriptor.payload.sha256) {
    await source.close()
    throw new BinderyError('bad-digest', `is another file than ${files.descriptor} says`, { subject: file })
  }
  return { source, notes: notesOf(descriptor) }
}

async function readDescriptor(folder: string): Promise<Descriptor> {
  const file = join(folder, files.descriptor)
  const bytes = await readSmall(file, descriptorLimits.bytes)
  if (bytes === undefined)
    throw new BinderyError('wrong-type', `is a folder, and no update: there is no ${files.descriptor} in it`, { subject: folder })
  const scripts = await readScripts(folder, bytes)
  return await about(file, () => decodeDescriptor(bytes, (name) => scripts.get(name)))
}

/** Of the lines that name one: the decoder says which of these are right. */
async function readScripts(folder: string, descriptor: Uint8Array): Promise<ReadonlyMap<string, string>> {
  const scripts = new Map<string, string>()
  for (const [, name] of Buffer.from(descriptor)
    .toString('latin1')
    .matchAll(/^!?Script: .* ([A-Za-z0-9][A-Za-z0-9._+-]*)$/gm)) {
    const bytes = await readSmall(join(folder, name as string), postStepLimits.scriptBytes)
    // What is no UTF-8 comes out as another text, with another digest.
    if (bytes !== undefined) scripts.set(name as string, Buffer.from(bytes).toString('utf8'))
  }
  return scripts
}

async function readSmall(file: string, limit: number): Promise<Uint8Array | undefined> {
  const source = await openSource(file).catch((error: unknown) => (isBinderyError(error, 'not-found') ? undefined : Promise.reject(error)))
  if (source === undefined) return undefined
  try {
    if (source.size > limit) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: file })
    return await source.read(0, source.size)
  } finally {
    await source.close()
  }
}

function notesOf({ title, url, notices, configuration, postSteps, reboot, security }: Descriptor): UpdateNotes {
  return { title, ...(url === undefined ? {} : { url }), notices, configuration, postSteps, reboot, security }
}
