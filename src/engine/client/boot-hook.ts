import { fromLatin1, latin1, oneChunk } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import { BinderyError, toldOf } from '../../base/error.ts'
import { joinPath, parentPath } from '../../base/path.ts'
import { decodeBootHook, encodeBootHook, maxBootHookBytes } from '../../format/boot-hook.ts'
import { keepingTime, readStateFile, stateFolder, statePaths, writeStateFile } from './state.ts'
import type { RelPath } from '../../base/path.ts'
import type { BootHookRecord, BootHookTrace, BootSystem } from '../../format/boot-hook.ts'
import type { Disk, DiskReader, Stat } from '../../port/disk.ts'

/** What is put where, so that the recovery program beside the journal runs early in each start of the machine. */
export type BootHook = { readonly system: BootSystem; readonly parts: readonly BootHookPart[] }

export type BootHookPart =
  | { readonly kind: 'file'; readonly path: RelPath; readonly mode: number; readonly text: string }
  /** At the beginning of a file that is the administrator's. */
  | { readonly kind: 'lines'; readonly path: RelPath; readonly mode: number; readonly text: string }
  | { readonly kind: 'link'; readonly path: RelPath; readonly target: string }

/** `text` is share/boot/SYSTEM. */
export async function bootHookOf(disk: DiskReader, system: BootSystem, text: string): Promise<BootHook> {
  return { system, parts: await partsOf(disk, system, text) }
}

async function partsOf(disk: DiskReader, system: BootSystem, text: string): Promise<readonly BootHookPart[]> {
  const file = (path: string, mode: number): BootHookPart => ({ kind: 'file', path: path as RelPath, mode, text })
  const link = (path: string, target: string): BootHookPart => ({ kind: 'link', path: path as RelPath, target })
  switch (system) {
    case 'openbsd':
      return [{ kind: 'lines', path: 'etc/rc.securelevel' as RelPath, mode: 0o644, text }]
    case 'freebsd':
      return [file('usr/local/etc/rc.d/bindery_recover', 0o555)]
    // Of other folders than /etc/rc.d, scripts are run late there.
    case 'netbsd':
    case 'dragonfly':
      return [file('etc/rc.d/bindery_recover', 0o555)]
    case 'systemd':
      return [
        file('etc/systemd/system/bindery-recover.service', 0o644),
        link('etc/systemd/system/sysinit.target.wants/bindery-recover.service', '../bindery-recover.service'),
      ]
    case 'sysv':
      return [file('etc/init.d/bindery-recover', 0o755), link(await startLink(disk), '../init.d/bindery-recover')]
  }
}

const startFolder = 'etc/rcS.d' as RelPath

/** Right behind what mounts the local file systems, or where insserv(8) has put it. */
async function startLink(disk: DiskReader): Promise<string> {
  const names = await disk.readdir(startFolder)
  const there = names.find((name) => /^S[0-9]{2}bindery-recover$/.test(name))
  if (there !== undefined) return joinPath(startFolder, there)
  const numbers = names.flatMap((name) => /^S([0-9]{2})mount(?:all|-all)/.exec(name)?.[1] ?? [])
  const last = numbers.length === 0 ? 39 : Math.max(...numbers.map(Number))
  return joinPath(startFolder, `S${String(Math.min(last + 1, 99)).padStart(2, '0')}bindery-recover`)
}

/** Undefined where none is installed. */
export async function readBootHook(disk: DiskReader): Promise<BootHookRecord | undefined> {
  const bytes = await readStateFile(disk, statePaths.bootHook, maxBootHookBytes)
  if (bytes === undefined) return undefined
  try {
    return decodeBootHook(bytes)
  } catch (error) {
    throw toldOf(error, `/${statePaths.bootHook}`, "remove it; 'bindery enroll --force --boot-hook' writes it anew")
  }
}

/** Before anything is done. Throws `exists` where somebody else's file is at a path of the hook. */
export async function checkBootHook(disk: DiskReader, { parts }: BootHook): Promise<void> {
  const known = (await readBootHook(disk))?.parts ?? []
  for (const part of parts) {
    if (part.kind === 'lines' || known.some(({ path }) => path === part.path)) continue
    if ((await disk.lstat(part.path)) === undefined || (await isLaid(disk, part))) continue
    throw new BinderyError('exists', 'is there and is not of bindery', {
      subject: `/${part.path}`,
      hint: 'move it out of the way, or give --no-boot-hook',
    })
  }
}

/** Done again, it changes nothing. It is written down first, so that what was begun can be taken away. */
export async function installBootHook(disk: Disk, hook: BootHook): Promise<void> {
  const before = await readBootHook(disk)
  const made = [...new Set([...(before?.made ?? []), ...(await missing(disk, hook))])]
  await writeStateFile(disk, statePaths.bootHook, encodeBootHook({ system: hook.system, made, parts: hook.parts.map(traceOf) }))
  for (const part of before?.parts ?? []) if (!hook.parts.some(({ path }) => path === part.path)) await removePart(disk, part, [])
  for (const part of hook.parts) {
    if ((await isLaid(disk, part)) || (await isChanged(disk, part, before))) continue
    await makeFolders(disk, parentPath(part.path))
    await changing(disk, part.path, async () => await lay(disk, part))
  }
}

/** What somebody made of it since stays. */
async function isChanged(disk: DiskReader, { path }: BootHookPart, before: BootHookRecord | undefined): Promise<boolean> {
  const known = before?.parts.find((part) => part.path === path)
  const stat = await disk.lstat(path)
  if (known === undefined || known.kind === 'lines' || stat === undefined) return false
  return known.kind === 'link' || stat.kind !== 'file' || (await disk.digest(path)).sha256 !== known.sha256
}

function traceOf(part: BootHookPart): BootHookTrace {
  return part.kind === 'link' ? part : { kind: part.kind, path: part.path, sha256: sha256(fromLatin1(part.text)) }
}

async function missing(disk: DiskReader, { parts }: BootHook): Promise<readonly RelPath[]> {
  const wanted = parts.flatMap((part) => [...foldersTo(part.path), ...(part.kind === 'lines' ? [part.path] : [])])
  const found: RelPath[] = []
  for (const path of new Set(wanted)) if ((await disk.lstat(path)) === undefined) found.push(path)
  return found
}

function foldersTo(path: RelPath): readonly RelPath[] {
  const parent = parentPath(path)
  return parent === '.' ? [] : [...foldersTo(parent), parent]
}

async function makeFolders(disk: Disk, folder: RelPath): Promise<void> {
  for (const path of [...foldersTo(folder), folder]) {
    if ((await disk.lstat(path)) !== undefined) continue
    await changing(disk, path, async () => await disk.mkdir(path, 0o755))
  }
}

/** The name comes or goes for good, and nothing tells by its folder that it did. */
async function changing(disk: Disk, path: RelPath, work: () => Promise<void>): Promise<void> {
  await keepingTime(disk, parentPath(path), work)
  await disk.sync(parentPath(path))
}

async function isLaid(disk: DiskReader, part: BootHookPart): Promise<boolean> {
  const stat = await disk.lstat(part.path)
  if (part.kind === 'link') return stat?.kind === 'symlink' && (await disk.readlink(part.path)) === part.target
  if (stat?.kind !== 'file') return false
  const text = await textAt(disk, part.path)
  return part.kind === 'file' ? text === part.text && stat.mode === part.mode : text.includes(part.text)
}

async function textAt(disk: DiskReader, path: RelPath): Promise<string> {
  return latin1((await readStateFile(disk, path, maxScriptBytes)) ?? new Uint8Array(0))
}

const maxScriptBytes = 1 << 20

async function lay(disk: Disk, part: BootHookPart): Promise<void> {
  if (part.kind === 'link') return await disk.symlink(part.path, part.target)
  if (part.kind === 'file') return await writeScript(disk, part.path, part.text, part)
  const stat = await disk.lstat(part.path)
  const text = withoutLines(await textAt(disk, part.path))
  const first = /^#!.*\n/.exec(text)?.[0] ?? ''
  await writeScript(disk, part.path, `${first}${part.text}${text.slice(first.length)}`, stat ?? part)
}

/** Aside under a name that no rc(8) takes for a script. */
async function writeScript(disk: Disk, path: RelPath, text: string, attributes: Attributes): Promise<void> {
  const aside = joinPath(parentPath(path), '.bindery-recover.new')
  if ((await disk.lstat(aside)) !== undefined) await disk.unlink(aside)
  await disk.create(aside, oneChunk(fromLatin1(text)))
  if ('uid' in attributes) await disk.chown(aside, attributes.uid, attributes.gid)
  await disk.chmod(aside, attributes.mode)
  await disk.sync(aside)
  await disk.rename(aside, path)
}

type Attributes = Pick<Stat, 'mode'> | Pick<Stat, 'mode' | 'uid' | 'gid'>

const [linesBegin, linesEnd] = ['# bindery-recover: begin', '# bindery-recover: end\n']

/** Ours in a file of the administrator's; undefined where there are none. */
function linesIn(text: string): { readonly start: number; readonly end: number } | undefined {
  const start = `\n${text}`.indexOf(`\n${linesBegin}`)
  const end = text.indexOf(linesEnd, start)
  return start < 0 || end < 0 ? undefined : { start, end: end + linesEnd.length }
}

function withoutLines(text: string): string {
  const found = linesIn(text)
  return found === undefined ? text : text.slice(0, found.start) + text.slice(found.end)
}

/** Answers what stays, since somebody changed it. */
export async function removeBootHook(disk: Disk): Promise<readonly RelPath[]> {
  const record = await readBootHook(disk)
  if (record === undefined) return []
  const changed: RelPath[] = []
  for (const part of record.parts.toReversed()) if (!(await removePart(disk, part, record.made))) changed.push(part.path)
  for (const path of record.made.toReversed()) await removeMade(disk, path)
  await disk.unlink(statePaths.bootHook)
  await disk.sync(stateFolder)
  return changed
}

/** False where it is no longer what it was. */
async function removePart(disk: Disk, part: BootHookTrace, made: readonly RelPath[]): Promise<boolean> {
  if (part.kind === 'link') return await removeLinks(disk, part)
  const stat = await disk.lstat(part.path)
  if (stat?.kind !== 'file') return stat === undefined
  const text = await textAt(disk, part.path)
  if (part.kind === 'file') {
    if (sha256(fromLatin1(text)) !== part.sha256) return false
    await changing(disk, part.path, async () => await disk.unlink(part.path))
    return true
  }
  return await removeLines(disk, part, { text, stat }, made)
}

async function removeLines(
  disk: Disk,
  { path, sha256: digest }: { readonly path: RelPath; readonly sha256: string },
  { text, stat }: { readonly text: string; readonly stat: Stat },
  made: readonly RelPath[],
): Promise<boolean> {
  const found = linesIn(text)
  if (found === undefined) return true
  if (sha256(fromLatin1(text.slice(found.start, found.end))) !== digest) return false
  const left = withoutLines(text)
  await changing(disk, path, async () => {
    if (left === '' && made.includes(path)) await disk.unlink(path)
    else await writeScript(disk, path, left, stat)
  })
  return true
}

/** insserv(8) gives a link of a start another number when scripts come and go. */
async function removeLinks(disk: Disk, { path, target }: { readonly path: RelPath; readonly target: string }): Promise<boolean> {
  const folder = parentPath(path)
  if ((await disk.lstat(folder)) === undefined) return true
  for (const name of await disk.readdir(folder)) {
    const at = joinPath(folder, name)
    if ((await disk.lstat(at))?.kind !== 'symlink' || (await disk.readlink(at)) !== target) continue
    await changing(disk, at, async () => await disk.unlink(at))
  }
  return (await disk.lstat(path)) === undefined
}

/** A folder that is used meanwhile stays. */
async function removeMade(disk: Disk, path: RelPath): Promise<void> {
  if ((await disk.lstat(path))?.kind !== 'dir' || (await disk.readdir(path)).length > 0) return
  await changing(disk, path, async () => await disk.rmdir(path))
}
