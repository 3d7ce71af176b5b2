import { execFileSync } from 'node:child_process'

/** npm as the user has it: run by the pinned node it would look for the system's npmrc (proxy, certificates) in the wrong place. */
export function npm(cwd: string, ...args: readonly string[]): void {
  const path = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
  execFileSync('npm', args, { cwd, env: { ...process.env, PATH: path.join(':') }, stdio: ['ignore', 'ignore', 'inherit'] })
}
