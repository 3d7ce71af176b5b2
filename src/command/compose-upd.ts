import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { oneChunk, utf8 } from '../base/bytes.ts'
import { digestStream } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { writeDist } from '../engine/dist/write.ts'
import { scanTree } from '../engine/tree/scan.ts'
import { updateScript } from '../engine/update/update-script.ts'
import { encodeListedUpdate, encodeUpdFile } from '../format/upd.ts'
import { hostDisk } from '../host/disk.ts'
import { openInput, writeFileAtomically } from '../host/source.ts'
import type { Descriptor } from '../format/descriptor.ts'
import type { Payload } from './compose-payload.ts'
import type { Context } from './command.ts'

/** The same update for PC-BSD's own updaters: a tarball with `update.sh` at its top, and what tells of it. */

export type UpdTarget = { readonly release: string; readonly isList: boolean }

/** 9.1 brought the list. */
export function updTargetOf(release: string): UpdTarget {
  const match = /^([0-9]{1,3})\.([0-9]{1,3})(?:-[A-Za-z0-9.]+)?$/.exec(release)
  if (match === null) throw new BinderyError('usage', `--upd takes a release of PC-BSD like 9.1-RELEASE, not '${release}'`)
  const [major, minor] = [Number(match[1]), Number(match[2])]
  return { release, isList: major > 9 || (major === 9 && minor >= 1) }
}

export async function writeUpd(
  context: Context,
  folder: string,
  target: UpdTarget,
  { payload, descriptor, slug }: { readonly payload: Payload; readonly descriptor: Descriptor; readonly slug: string },
): Promise<void> {
  const name = `patch-${descriptor.release.date}-${slug}`
  const tarball = await writeTarball(context, join(folder, name), target, { payload, descriptor })
  const megabytes = Math.max(1, Math.ceil((await stat(tarball)).size / (1 << 20)))
  const [file, text] = target.isList
    ? ['updates.upd', `${await listLine(context, tarball, megabytes, { target, descriptor, slug })}\n`]
    : [`${slug}.upd`, await fileText(tarball, megabytes, descriptor)]
  await writeFileAtomically(join(folder, file), oneChunk(utf8(text)))
}

/** A tar of the script and the payload's tar. */
async function writeTarball(
  context: Context,
  path: string,
  { isList }: UpdTarget,
  { payload, descriptor }: { readonly payload: Payload; readonly descriptor: Descriptor },
): Promise<string> {
  const aside = `${path}.parts`
  await mkdir(aside)
  const { manifest, content } = payload.part()
  const removed = payload.events.flatMap(({ path: one, happening }) => (happening === 'removed' ? [one] : []))
  const script = updateScript(descriptor.title, removed, descriptor.postSteps)
  await writeFileAtomically(join(aside, 'payload.tar'), writeDist(descriptor.release, manifest, content))
  await writeFileAtomically(join(aside, 'update.sh'), oneChunk(script))
  const disk = hostDisk(aside)
  const parts = await scanTree(disk)
  await writeFileAtomically(
    `${path}.tar`,
    writeDist(descriptor.release, parts, (file) => disk.read(file.path, { end: file.size })),
  )
  await rm(aside, { recursive: true })
  const [format, suffix] = isList ? ['xz', 'txz'] : ['lzma', 'lzma']
  const { status } = await context.exec.run('xz', [`--format=${format}`, '-6', `--suffix=.${suffix}`, `${path}.tar`])
  if (status !== 0) throw new BinderyError('command-failed', `xz failed with status ${status}`, { subject: basename(path) })
  await rename(`${path}.tar.${suffix}`, `${path}.${suffix}`)
  return `${path}.${suffix}`
}

async function listLine(
  context: Context,
  tarball: string,
  megabytes: number,
  { target, descriptor, slug }: { readonly target: UpdTarget; readonly descriptor: Descriptor; readonly slug: string },
): Promise<string> {
  const { sha256 } = await digestStream(await openInput(tarball, context.stdin))
  const { title, url, release } = descriptor
  return encodeListedUpdate({
    kind: 'patch',
    release: target.release,
    arch: release.arch,
    flavour: 'both',
    ident: slug,
    description: title,
    path: `${target.release}/${release.arch}/${basename(tarball)}`,
    megabytes,
    sha256,
    details: url === undefined ? '' : (URL.parse(url)?.pathname ?? ''),
    date: release.date,
  })
}

async function fileText(tarball: string, megabytes: number, { title, url, reboot }: Descriptor): Promise<string> {
  return encodeUpdFile({
    name: title,
    ...(url === undefined ? {} : { details: url }),
    md5: createHash('md5')
      .update(await readFile(tarball))
      .digest('hex'),
    megabytes,
    file: `/system-updates/${basename(tarball)}`,
    standAlone: false,
    requiresReboot: reboot === 'reboot' || reboot === 'careful',
  })
}
