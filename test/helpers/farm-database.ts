import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'

/**
 * A folder of a farm with an empty database: making one takes PGlite half a minute on a busy machine, so that one is kept for all tests.
 */
export async function farmFolder(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'bindery-farm-'))
  cpSync(await template(), join(folder, 'db'), { recursive: true })
  return folder
}

async function template(): Promise<string> {
  const kept = join('.cache', 'pglite-0.5.14')
  if (existsSync(kept)) return kept
  mkdirSync('.cache', { recursive: true })
  const made = mkdtempSync(join('.cache', 'pglite-new-'))
  const pglite = await PGlite.create(made)
  await pglite.close()
  try {
    renameSync(made, kept)
  } catch {
    // Another test was faster.
    rmSync(made, { recursive: true })
  }
  return kept
}
