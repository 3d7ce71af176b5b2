import { fromLatin1, fromUtf8, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import type { Commit } from '../base/source-change.ts'

/**
 * What `cvs rlog -S -N -rT1::T2 MODULE` prints (doc/spec/source-changes.md). A message is not quoted and may imitate the
 * lines around it: what it says is shown and looked through for words, nothing else is decided by it.
 */
const maxBytes = 64 << 20
const endOfFile = `\n${'='.repeat(77)}\n`
const startOfRevision = /\n-{28}\nrevision (\d[\d.]*)(?:[^\d.\n][^\n]*)?\ndate: ([^;\n]+);([^\n]*)\n(?:branches: [^\n]*\n)?/

/** The revisions of one commit are one, as long as CVS gave them a commitid. In the order of the output. Throws `bad-format`. */
export function decodeRlog(bytes: Uint8Array, module: string): readonly Commit[] {
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const commits = new Map<string, { seconds: number; message: string; paths: string[] }>()
  for (const file of latin1(bytes).split(endOfFile)) {
    if (file.trim() === '') continue
    const path = pathOf(file, module)
    for (const { id, seconds, message } of revisionsOf(file, path)) {
      const known = commits.get(id)
      if (known === undefined) commits.set(id, { seconds, message, paths: [path] })
      else {
        // It takes CVS as long as it has files, and is there when the last one is.
        known.seconds = Math.max(known.seconds, seconds)
        if (!known.paths.includes(path)) known.paths.push(path)
      }
    }
  }
  return [...commits].map(([id, commit]) => ({ id, ...commit }))
}

/** From the module on, as rdiff names it; files that are gone from the trunk lie in an Attic. */
function pathOf(file: string, module: string): string {
  const whole = /^\s*RCS file: (\/.*),v\n/.exec(file)?.[1]
  const at = whole?.indexOf(`/${module}/`) ?? -1
  if (whole === undefined || at < 0)
    throw new BinderyError('bad-format', `a block of cvs rlog names no file of '${module}': '${file.trim().slice(0, 80)}'`)
  return whole.slice(at + 1).replace(/\/Attic\/([^/]*)$/, '/$1')
}

function* revisionsOf(file: string, path: string): Generator<Omit<Commit, 'paths'>> {
  const [, ...parts] = file.split(startOfRevision)
  for (let i = 0; i < parts.length; i += 4) {
    const [revision, date, facts, message] = parts.slice(i, i + 4) as [string, string, string, string]
    const id = /commitid: (\w+)/.exec(facts)?.[1] ?? `${path} ${revision}`
    yield { id, seconds: secondsOf(date), message: textOf(message) }
  }
}

/** `2023/08/08 12:00:00` is UTC; newer versions write the ISO form with a zone. */
function secondsOf(date: string): number {
  const zoned = /[+-]\d{4}$/.test(date) ? date : `${date} +0000`
  const seconds = Date.parse(zoned.replaceAll('/', '-').replace(' ', 'T').replace(' ', '')) / 1000
  if (!Number.isFinite(seconds)) throw new BinderyError('bad-format', `'${date.slice(0, 40)}' is no date of cvs rlog`)
  return seconds
}

/** Old messages are in any encoding. */
function textOf(message: string): string {
  try {
    return fromUtf8(fromLatin1(message)).trim()
  } catch {
    return message.trim()
  }
}
