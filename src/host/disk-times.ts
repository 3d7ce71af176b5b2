import { lstatSync, lutimesSync } from 'node:fs'
import { concatBytes, fromLatin1, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { diskError } from './disk-error.ts'
import { hostPath } from './host-path.ts'
import { dotted, toolError } from './disk-tools.ts'
import type { Timestamp } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { DiskPaths } from './disk-path.ts'
import type { HostPath } from './host-path.ts'
import type { DiskTools } from './disk-tools.ts'

/**
 * Modification times to the nanosecond. Node takes a time as a double, which at today's dates is good to about 238 ns, and
 * takes a negative one for now. What that does not reproduce is left to one run of sh with a touch(1) per time.
 */

export type PathTime = { readonly path: RelPath; readonly mtime: Timestamp }

const nanos = 1_000_000_000n

export async function writeTimes(tools: DiskTools, times: readonly PathTime[], paths: TimePaths): Promise<void> {
  const inexact = new Map(times.filter((time) => !setByNode(time, paths) && isWritable(time.mtime)).map((time) => [time.path, time]))
  await paths.forPrograms([...inexact.keys()], async (root, names) => {
    const named = names.map(({ path, name }) => ({ ...(inexact.get(path) as PathTime), path: name }))
    await touchThere({ ...tools, root }, named)
  })
  // A touch that drops fractions has made it worse.
  for (const time of inexact.values()) setByNode(time, paths)
}

type TimePaths = Pick<DiskPaths, 'forWriting' | 'forPrograms'>

async function touchThere(tools: DiskTools, times: readonly PathTime[]): Promise<void> {
  if (await touchAll(tools, times, '-h ')) return
  // A touch without -h (OpenBSD) would follow links: they keep what node could do.
  const rest = times.filter(({ path, mtime }) => {
    const real = hostPath(tools.root, path)
    return !isExact(real, mtime) && !lstatSync(real).isSymbolicLink()
  })
  await touchAll(tools, rest, '')
}

/** Answers whether the time is exact now. */
function setByNode({ path, mtime }: PathTime, paths: TimePaths): boolean {
  const seconds = Math.max(0, mtime.sec + mtime.nsec / 1e9)
  try {
    return paths.forWriting(path, (real) => {
      if (isExact(real, mtime)) return true
      lutimesSync(real, seconds, seconds)
      return isExact(real, mtime)
    })
  } catch (cause) {
    throw diskError(cause, path)
  }
}

function isExact(real: HostPath, mtime: Timestamp): boolean {
  return lstatSync(real, { bigint: true }).mtimeNs === BigInt(mtime.sec) * nanos + BigInt(mtime.nsec)
}

/** Whether touch(1) has a date for it: years 1 to 9999. */
function isWritable({ sec }: Timestamp): boolean {
  return sec >= -62_135_596_800 && sec <= 253_402_300_799
}

/** False when some touch failed; one that a signal ended says nothing about what it can do. */
async function touchAll(tools: DiskTools, times: readonly PathTime[], noFollow: '-h ' | ''): Promise<boolean> {
  if (times.length === 0) return true
  const result = await tools.exec.run('sh', ['-s'], { apart: true, cwd: tools.root, input: touchScript(times, noFollow) })
  if (result.status >= 128) throw new BinderyError('io', 'touch was ended by a signal', { subject: showPath((times[0] as PathTime).path) })
  if (result.status !== 0 && trouble.test(latin1(result.stderr))) throw toolError('touch', result, showPath((times[0] as PathTime).path))
  return result.status === 0
}

/** Of the disk or the system, and not a touch(1) that cannot do it. */
const trouble = /Input\/output error|Read-only file system|No space left|[Qq]uota|Too many open files|Interrupted system call/

/** Paths of the same time share a line, few enough for any command line. */
export function touchScript(times: readonly PathTime[], noFollow: '-h ' | ''): Uint8Array {
  const byTime = new Map<string, RelPath[]>()
  for (const { path, mtime } of times) {
    const date = formatDate(mtime)
    const paths = byTime.get(date)
    if (paths === undefined) byTime.set(date, [path])
    else paths.push(path)
  }
  const lines: Uint8Array[] = [fromLatin1('status=0\nfailed() { [ $? -lt 128 ] || exit 128; status=1; }\n')]
  for (const [date, paths] of byTime) {
    for (let at = 0; at < paths.length; at += 16) {
      const words = paths.slice(at, at + 16).map((path) => shellQuote(dotted(path)))
      lines.push(fromLatin1(`touch ${noFollow}-c -m -d ${date} -- ${words.join(' ')} </dev/null || failed\n`))
    }
  }
  return concatBytes([...lines, fromLatin1('exit $status\n')])
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** POSIX touch -d: `2026-01-01T00:00:00.123456789Z`. */
function formatDate({ sec, nsec }: Timestamp): string {
  return `${new Date(sec * 1000).toISOString().slice(0, 19)}.${nsec.toString().padStart(9, '0')}Z`
}
