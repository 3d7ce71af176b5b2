import { fromLatin1, hex } from '../base/bytes.ts'
import type { Entry } from '../base/entry.ts'

/**
 * Bytes (as latin1) for JSON, whose strings are text: UTF-8 as it is; where they are not UTF-8, one character per byte under
 * a name of its own, so that nothing is ambiguous.
 */
export function bytesJson(name: string, bytes: string): Record<string, string> {
  const text = Buffer.from(bytes, 'latin1').toString('utf8')
  return Buffer.from(text, 'utf8').toString('latin1') === bytes ? { [name]: text } : { [`${name}Latin1`]: bytes }
}

/** An entry as `--json` shows it; the names are those of the manifest's keywords where there are such. */
export function entryJson(entry: Entry): Record<string, unknown> {
  const { kind, mode, uid, gid, uname, gname, mtime, flags, xattrs } = entry
  return {
    ...bytesJson('path', entry.path),
    kind,
    mode: `0${mode.toString(8).padStart(3, '0')}`,
    uid,
    gid,
    ...(uname === undefined ? {} : bytesJson('uname', uname)),
    ...(gname === undefined ? {} : bytesJson('gname', gname)),
    mtime: `${mtime.sec}.${mtime.nsec.toString().padStart(9, '0')}`,
    ...contentJson(entry),
    ...(flags === undefined ? {} : { flags }),
    ...(xattrs === undefined ? {} : { xattrs: Object.fromEntries([...xattrs].map(([name, value]) => [name, hex(fromLatin1(value))])) }),
  }
}

function contentJson(entry: Entry): Record<string, unknown> {
  switch (entry.kind) {
    case 'file':
      return { size: entry.size, sha256: entry.sha256 }
    case 'symlink':
      return bytesJson('target', entry.target)
    case 'hardlink':
      return bytesJson('leader', entry.leader)
    case 'char':
    case 'block':
      return { major: entry.major, minor: entry.minor }
    case 'dir':
    case 'fifo':
    case 'socket':
      return {}
  }
}
