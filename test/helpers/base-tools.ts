import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Beside a shell, a downloader and a verifier, all that a machine of bindery-sh has. */
const tools = `awk cat chmod chown chroot cmp cp cut date dd df env find grep gzip head id ln ls mkdir mkfifo mknod mktemp mv od paste printf
  ps readlink rm rmdir sed sha256sum sleep sort stat sync tail tar touch tr uname uniq wc`

/** A folder for PATH that holds base tools, `extra`, and `shell` as sh; nothing else is found by it. */
export function baseTools(folder: string, shell: string, extra: readonly string[]): string {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const tool of [...tools.split(/\s+/), ...extra]) link(folder, tool)
  symlinkSync(whereIs(shell), join(folder, 'sh'))
  return folder
}

/** busybox alone, and what is no applet of it. */
export function busyboxTools(folder: string, extra: readonly string[]): string {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  execFileSync('busybox', ['--install', '-s', folder])
  for (const tool of extra) link(folder, tool)
  return folder
}

/** On Debian NetBSD's ftp has another name. */
function link(folder: string, tool: string): void {
  symlinkSync(whereIs(tool), join(folder, tool === 'tnftp' ? 'ftp' : tool))
}

/** sh would say that it has a printf of its own. */
function whereIs(tool: string): string {
  const found = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':').find((folder) => existsSync(join(folder, tool)))
  if (found === undefined) throw new Error(`there is no ${tool}`)
  return join(found, tool)
}
