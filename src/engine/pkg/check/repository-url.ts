import { BinderyError } from '../../../base/error.ts'
import type { Machine } from './machine.ts'

/** Where packages come from, as pkg_add and obsdpkgup find it (pkg_add(1), PKG_PATH; doc/decisions/0131). */
export type PathSources = {
  /** `--mirror`: alternatives, of which the best is taken. */
  readonly mirrors: readonly string[]
  /** `TRUSTED_PKG_PATH`, else `PKG_PATH`: one list, searched in its order. */
  readonly packagePath: string | undefined
  readonly installUrl: string | undefined
}

/** Directories with packages, each ending in `/`. The first that has a package is where it comes from. */
export type PackagePath = readonly string[]

const defaultMirror = 'https://cdn.openbsd.org/pub/OpenBSD'

/** One path for each mirror. */
export function packagePaths({ mirrors, packagePath, installUrl }: PathSources, machine: Machine): readonly PackagePath[] {
  const ofMirror = (mirror: string): PackagePath => directoriesOf(`${withScheme(mirror)}/%c/packages/%a/`, machine)
  if (mirrors.length > 0) return mirrors.map(ofMirror)
  if (packagePath !== undefined) return [splitPath(packagePath).flatMap((directory) => directoriesOf(pathUrl(directory), machine))]
  return [ofMirror(installUrl === undefined || installUrl === '' ? defaultMirror : installUrl)]
}

/** Where obsdpkgup's index is apart from the packages: `$PKGUP_URL/%c/%a/index.pkgup.gz`. */
export function separateIndexUrl(pkgupUrl: string, machine: Machine): string {
  return substitute(`${withScheme(pkgupUrl)}/%c/%a/index.pkgup.gz`, machine)
}

/** At colons before the next URL or path: those within a URL stay. */
function splitPath(path: string): readonly string[] {
  return path.split(/:(?=(?:https?|ftp|file|scp):|\.\/|\/(?!\/)|$)/).filter((directory) => directory !== '')
}

/** A host alone has its packages where all mirrors have them; a path is of this machine. */
function pathUrl(directory: string): string {
  if (directory.includes('://')) return directory
  if (directory.startsWith('/')) return `file://${directory}`
  if (directory.startsWith('./') || directory === '.')
    throw new BinderyError('not-supported', 'a path in PKG_PATH must be absolute', { subject: directory })
  return directory.includes('/') ? `http://${directory}` : `http://${directory}/%m`
}

function withScheme(url: string): string {
  return url.includes('://') ? url : url.startsWith('/') ? `file://${url}` : `http://${url}`
}

/** On a release the directory of the stable packages, and behind it that of the release, which has the rest. */
function directoriesOf(url: string, machine: Machine): PackagePath {
  const whole = url.replaceAll('%m', '/pub/OpenBSD/%c/packages/%a/')
  const directory = asFolder(substitute(whole, machine))
  if (machine.isSnapshot || !whole.includes('%c/packages')) return [directory]
  return [directory, asFolder(fill(whole, machine.version, machine))]
}

function asFolder(url: string): string {
  return url.endsWith('/') ? url : `${url}/`
}

/** In obsdpkgup's order: `%m`, `%c`, `%a`, `%v`, then runs of slashes. */
function substitute(url: string, machine: Machine): string {
  const whole = url.replaceAll('%m', '/pub/OpenBSD/%c/packages/%a/')
  if (machine.isSnapshot) return fill(whole, 'snapshots', machine)
  return fill(whole.replaceAll('%c/packages', '%c/packages-stable'), machine.version, machine)
}

function fill(url: string, release: string, { arch, version }: Machine): string {
  const filled = url.replaceAll('%c', release).replaceAll('%a', arch).replaceAll('%v', version)
  const [scheme, ...rest] = filled.split('://') as [string, ...string[]]
  const path = rest.join('://')
  // A file's path begins with a slash of its own.
  const whole = `${scheme}://${path.replaceAll(/\/+/g, '/')}`
  if (URL.parse(whole) === null || !/^(?:https?:\/\/[^/\s]|file:\/\/\/)/.test(whole))
    throw new BinderyError('not-supported', 'is no http, https or file URL of a mirror', { subject: filled })
  return whole
}
