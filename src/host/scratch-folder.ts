import { spawn } from 'node:child_process'
import { mkdtempSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { systemError } from './system-error.ts'

export type ScratchFolder = {
  readonly path: string
  /** Removes it with all that is in it. */
  close(): Promise<void>
}

/**
 * A new folder in `parent` that goes even when we are killed: a shell in a session of its own waits for its stdin to end,
 * and removes it. What still writes there then is about to be killed as well: it tries for a while.
 */
export function makeScratchFolder(parent: string): ScratchFolder {
  const path = folderIn(parent)
  const sweeper = spawn('sh', ['-c', sweep, 'sh', path], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  const ended = new Promise<number>((resolve, reject) => {
    sweeper.once('close', (status) => resolve(status ?? 1))
    sweeper.once('error', (cause) => reject(new BinderyError('not-found', 'cannot be run', { subject: 'sh', cause })))
  })
  ended.catch(() => {})
  sweeper.stdin.on('error', () => {})
  return {
    path,
    close: async () => {
      sweeper.stdin.end()
      if ((await ended) !== 0) throw new BinderyError('io', 'the scratch folder cannot be removed', { subject: path })
    },
  }
}

// Flags of the BSDs were copied with the files, and keep them from being removed; those of Linux a command may have set.
const sweep = `
cd /
while read -r line; do :; done
if command -v chflags >/dev/null; then chflags -R 0 "$1"; fi
tries=0
until rm -rf -- "$1"; do
  [ $tries -gt 0 ] || ! command -v chattr >/dev/null || chattr -R -f -i -a "$1"
  tries=$((tries + 1))
  [ $tries -lt 50 ] || exit 1
  sleep 0.1
done`

function folderIn(parent: string): string {
  try {
    return mkdtempSync(join(realpathSync(parent), 'bindery-'))
  } catch (error) {
    throw systemError(error, parent)
  }
}
