import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Options of a test that calls programs of the system (or an optional package, `npm:NAME`): where one is missing the test is skipped and says which
 * (tools/setup.sh installs them; under CI=true a skip fails the run).
 */
export function needs(...programs: readonly string[]): { readonly skip?: string } {
  const missing = programs.filter((program) => !isInstalled(program))
  return missing.length === 0 ? {} : { skip: `not installed: ${missing.join(' ')}` }
}

/** Options of a test that sets owners, makes devices or mounts. */
export function needsRoot(): { readonly skip?: string } {
  return process.getuid?.() === 0 ? {} : { skip: 'needs root' }
}

function isInstalled(program: string): boolean {
  if (program.startsWith('npm:')) return existsSync(join('node_modules', program.slice('npm:'.length)))
  return `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':').some((folder) => isExecutable(join(folder, program)))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
