import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { packageFolder, programs } from './programs.ts'

/** A small system with the real programs and what surrounds them on any system: two releases, the second made of the first. */
export function makeSystems(old: string, next: string): void {
  rmSync(old, { recursive: true, force: true })
  rmSync(next, { recursive: true, force: true })
  makeOld(old)
  stampTimes(old, new Date('2026-01-01T00:00:00Z'))
  execFileSync('cp', ['-a', old, next])
  changeToNew(next)
}

const pages = 400

function makeOld(root: string): void {
  for (const folder of ['dev', 'etc/rc.d', 'var/log', 'var/run', 'usr/share/empty']) mkdirSync(join(root, folder), { recursive: true })
  mkdirSync(join(root, 'tmp'))
  chmodSync(join(root, 'tmp'), 0o1777)
  for (const program of programs) {
    put(root, program.path, readFileSync(join(packageFolder(program, 'old'), program.file)), program.path.includes('/bin/') ? 0o555 : 0o444)
  }
  put(root, 'etc/passwd', 'root:*:0:0:Charlie &:/root:/bin/sh\nwww:*:67:67:HTTP Server:/var/www:/sbin/nologin\n', 0o644)
  put(root, 'etc/group', 'wheel:*:0:root\nwww:*:67:\n', 0o644)
  put(root, 'etc/master.passwd', 'root:*:0:0:daemon:0:0:Charlie &:/root:/bin/sh\n', 0o600)
  put(root, 'etc/rc.d/lefthook', '#!/bin/sh\n/usr/local/bin/lefthook "$@"\n', 0o555)
  put(root, 'usr/bin/su', page(999, '1.0'), 0o4755)
  for (let i = 0; i < pages; i++) put(root, pagePath(i), page(i, '1.0'), 0o444)
  symlinkSync('librollup.so.4.0', join(root, 'usr/local/lib/librollup.so'))
  linkSync(join(root, 'usr/local/bin/lefthook'), join(root, 'usr/local/bin/lh'))
}

function changeToNew(root: string): void {
  for (const program of programs) replace(root, program.path, readFileSync(join(packageFolder(program, 'new'), program.file)))
  for (let i = 0; i < pages; i += 2) replace(root, pagePath(i), page(i, '1.1'))
  rmSync(join(root, pagePath(1)))
  rmSync(join(root, 'usr/share/empty'), { recursive: true })
  put(root, 'usr/share/man/man1/new.1', page(1000, '1.1'), 0o444)
  put(root, 'etc/rc.d/esbuild', '#!/bin/sh\n/usr/local/bin/esbuild "$@"\n', 0o555)
  chmodSync(join(root, 'usr/bin/su'), 0o4555)
  symlinkSync('../local/bin/esbuild', join(root, 'usr/bin/esbuild'))
}

function pagePath(i: number): string {
  return `usr/share/man/man${(i % 8) + 1}/page${i}.${(i % 8) + 1}`
}

function page(i: number, release: string): string {
  const lines = Array.from(
    { length: 20 + (i % 60) },
    (_, line) => `Sentence ${line} of page ${i}, which says what ${(i * 7919 + line * 104_729) % 65_536} is for.\n`,
  )
  return `.Dd ${release}\n.Dt PAGE${i} 1\n.Os\n.Sh DESCRIPTION\n${lines.join('')}`
}

function put(root: string, path: string, content: Uint8Array | string, mode: number): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
  chmodSync(join(root, path), mode)
  if (process.getuid?.() === 0 && path.startsWith('usr/share/')) chownSync(join(root, path), 0, 7)
}

/** In place, so that hard links stay together and modes stay what they are. */
function replace(root: string, path: string, content: Uint8Array | string): void {
  const file = join(root, path)
  const { mode } = statSync(file)
  chmodSync(file, mode | 0o200)
  writeFileSync(file, content)
  chmodSync(file, mode)
}

function stampTimes(root: string, time: Date): void {
  for (const name of readdirSync(root, { recursive: true }) as string[]) lutimesSync(join(root, name), time, time)
  lutimesSync(root, time, time)
}
