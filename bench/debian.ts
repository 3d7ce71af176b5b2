import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Two versions of one Debian package that the configured mirrors (main, updates, security) have; the same one twice where there is one. */
export type Versions = { readonly name: string; readonly old: string; readonly new: string }

/** Options that make apt look at one architecture. */
export type Apt = readonly string[]

/** This machine's own. */
export const native: Apt = []

/** Another one's, with lists of its own below `folder`, so that the system's apt never hears of it. */
export function foreign(architecture: string, folder: string): Apt {
  const home = resolve(folder)
  mkdirSync(join(home, 'lists/partial'), { recursive: true })
  mkdirSync(join(home, 'cache/archives/partial'), { recursive: true })
  const settings = [
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    `Dir::State=${home}`,
    `Dir::State::status=/dev/null`,
    `Dir::Cache=${home}/cache`,
    // Its lists are not world-readable to apt's unprivileged user where the clone is not.
    'APT::Sandbox::User=root',
  ]
  return settings.flatMap((setting) => ['-o', setting])
}

export function updateLists(apt: Apt = native): void {
  execFileSync('apt-get', [...apt, 'update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** The newest version and the one before it. */
export function twoVersions(name: string, apt: Apt = native): Versions {
  const lines = execFileSync('apt-cache', [...apt, 'madison', name], { encoding: 'utf8' })
    .trim()
    .split('\n')
  const versions = [...new Set(lines.map((line) => (line.split('|')[1] ?? '').trim()))]
  const [newest, before] = versions
  if (newest === undefined || newest === '') throw new Error(`no package ${name} on the configured mirrors`)
  return { name, old: before ?? newest, new: newest }
}

/** Unpacks packages, each written `name=version`, over each other. */
export function unpackPackages(specs: readonly string[], tree: string, apt: Apt = native): void {
  const debs = `${tree}.debs`
  downloadPackages(specs, debs, apt)
  for (const deb of readdirSync(debs).toSorted()) execFileSync('dpkg-deb', ['-x', join(debs, deb), tree])
  rmSync(debs, { recursive: true })
}

/** One package, written `name=version`, as the file that it is. */
export function downloadPackage(spec: string, file: string, apt: Apt = native): void {
  const folder = `${file}.debs`
  downloadPackages([spec], folder, apt)
  const [deb] = readdirSync(folder) as [string]
  renameSync(join(folder, deb), file)
  rmSync(folder, { recursive: true })
}

/** The files of packages, each written `name=version`, into a folder of their own. */
export function downloadPackages(specs: readonly string[], folder: string, apt: Apt = native): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  // apt's own unprivileged user must be able to write there, else it complains on every package.
  chmodSync(folder, 0o777)
  execFileSync('apt-get', [...apt, 'download', '-qq', ...specs], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
}
