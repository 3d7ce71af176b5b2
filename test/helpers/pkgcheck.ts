import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { fromLatin1 } from '../../src/base/bytes.ts'
import { pkgcheck } from '../../src/command/pkgcheck.ts'
import { memoryHttp } from '../../src/host/memory-http.ts'
import { packageFile } from './openbsd-mirror/package-file.ts'
import { packageKey } from './openbsd-mirror/mirror.ts'
import { packageOf } from './openbsd-mirror/package-facts.ts'
import { runCommand } from './run-command.ts'
import { inTemporary } from './temporary.ts'
import type { MemoryHttp } from '../../src/host/memory-http.ts'

/** A machine in a folder, and mirrors in memory: what obsdpkgup would see, without OpenBSD. */
export type CheckWorld = {
  readonly root: string
  readonly http: MemoryHttp
  /** One line each: `NAME PKGPATH` and, behind it, more lines of the packing list separated by `;`. */
  install(...packages: readonly string[]): void
  remove(name: string): void
  /** Below the root. */
  writeFile(path: string, content: string): void
  page(url: string, content: string | Uint8Array): void
  /** obsdpkgup's index, quirks and index.txt of a directory. */
  mirror(directory: string, mirror: MirrorPages): Promise<void>
  check(words: readonly string[], how?: CheckOptions): Promise<CheckResult>
}

export type MirrorPages = {
  /** Lines of packages; undefined for a mirror without an index. */
  readonly index: readonly string[] | undefined
  readonly date?: string
  readonly indexDate?: string
  readonly updateDb?: Uint8Array
}

export type CheckOptions = { readonly kern?: string; readonly arch?: string; readonly environment?: Readonly<Record<string, string>> }

export type CheckResult = {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly requests: readonly string[]
}

export const snapshots = 'https://cdn.openbsd.org/pub/OpenBSD/snapshots/packages/amd64/'
export const stable = 'https://cdn.openbsd.org/pub/OpenBSD/7.8/packages-stable/amd64/'
export const release = 'https://cdn.openbsd.org/pub/OpenBSD/7.8/packages/amd64/'
export const current = 'OpenBSD 7.8-current (GENERIC.MP) #123: Mon Nov 16 10:00:00 MST 2026'
export const usualDate = '2023-08-08T12:34:56Z'

const key = await packageKey()

export async function inCheckWorld(use: (world: CheckWorld) => Promise<void>): Promise<void> {
  await inTemporary(async (root) => await use(checkWorld(root)))
}

function checkWorld(root: string): CheckWorld {
  const http = memoryHttp()
  const world: Omit<CheckWorld, 'check'> = {
    root,
    http,
    install: (...packages) => packages.forEach((line) => installPackage(root, line)),
    remove: (name) => rmSync(join(root, 'var/db/pkg', name), { recursive: true }),
    writeFile: (path, content) => {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), content)
    },
    page: (url, content) => {
      const bytes = typeof content === 'string' ? fromLatin1(content) : content
      http.pages.set(url, { bytes, etag: `"${http.requests.length}-${bytes.length}"` })
    },
    mirror: async (directory, pages) => await setMirror(world, directory, pages),
  }
  mkdirSync(join(root, 'var/db/pkg'), { recursive: true })
  mkdirSync(join(root, 'etc/signify'), { recursive: true })
  writeFileSync(join(root, 'etc/signify/openbsd-78-pkg.pub'), key.publicKeyFile)
  return { ...world, check: async (words, how) => await runCheck(world, words, how) }
}

function installPackage(root: string, line: string): void {
  const [name = '', path = '', ...more] = line.split(' ')
  const folder = join(root, 'var/db/pkg', name)
  mkdirSync(folder, { recursive: true })
  const rest = more
    .join(' ')
    .split(';')
    .filter((one) => one !== '')
  const list = [`@name ${name}`, `@comment pkgpath=${path} ftp=yes`, '@arch amd64', ...rest, '@cwd /usr/local', 'bin/x', '']
  writeFileSync(join(folder, '+CONTENTS'), list.join('\n'))
}

async function setMirror(world: Pick<CheckWorld, 'page'>, directory: string, pages: MirrorPages): Promise<void> {
  const { index, date = usualDate, indexDate = date, updateDb } = pages
  if (index !== undefined)
    world.page(`${directory}index.pkgup.gz`, gzipSync(`1\n${indexDate}\n${index.map((line) => `${line}\n`).join('')}`))
  const files = updateDb === undefined ? [] : [{ path: 'share/update.db', content: Buffer.from(updateDb).toString('latin1') }]
  const facts = packageOf({ name: 'quirks-7.1', pkgpath: 'devel/quirks', files })
  const quirks = await packageFile(facts, key, date)
  world.page(`${directory}quirks-7.1.tgz`, quirks)
  const stamp = (Date.parse(date) / 1000) % 60
  world.page(
    `${directory}index.txt`,
    `total 9\n-rw-r--r--  1 0  0  ${quirks.length} Aug  8 12:34:${String(stamp).padStart(2, '0')} 2023 quirks-7.1.tgz\n-rw-r--r--  1 0  0  1 Aug  8 12:00:00 2023 vim-9.tgz\n`,
  )
}

async function runCheck(
  { root, http }: Pick<CheckWorld, 'root' | 'http'>,
  words: readonly string[],
  { kern = current, arch = 'amd64', environment = {} }: CheckOptions = {},
): Promise<CheckResult> {
  const before = http.requests.length
  const outcome = await runCommand(pkgcheck, ['--kern-version', kern, '--arch', arch, ...words], {
    root,
    http,
    environment: { XDG_CACHE_HOME: join(root, 'cache'), ...environment },
  })
  if (outcome.error !== undefined) throw outcome.error
  const requests = http.requests.slice(before).map(({ url }) => url)
  return { status: outcome.status, stdout: outcome.stdout, stderr: outcome.stderr.join(''), requests }
}
