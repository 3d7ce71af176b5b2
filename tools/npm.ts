import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** npm as the user has it: run by the pinned node it would look for the system's npmrc (proxy, certificates) in the wrong place. */
export function npm(cwd: string, ...args: readonly string[]): void {
  const path = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
  execFileSync('npm', args, { cwd, env: { ...process.env, PATH: path.join(':') }, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Unpacks one package, `name@version`, for whatever system it is; in `folder` it is below package/, as in every npm archive. */
export function fetchPackage(spec: string, folder: string): void {
  const aside = `${folder}.part`
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  npm(aside, 'pack', '--silent', spec)
  const [archive] = readdirSync(aside) as [string]
  execFileSync('tar', ['-xzf', join(aside, archive), '-C', aside])
  rmSync(join(aside, archive))
  renameSync(aside, folder)
}

/** One package, `name@version`, as the archive that the registry has. */
export function packNpm(spec: string, file: string): void {
  const aside = `${file}.part`
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  npm(aside, 'pack', '--silent', spec)
  const [archive] = readdirSync(aside) as [string]
  renameSync(join(aside, archive), file)
  rmSync(aside, { recursive: true })
}
