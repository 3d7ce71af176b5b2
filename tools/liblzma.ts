import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { npm } from './npm.ts'

/**
 * npm leaves optional packages out that ask for a newer Node than its own, though ours is the pinned one: liblzma is brought here as the
 * lock has it. Its install script, which would compile what we do not use, is not run. Where it cannot be had that is told, and
 * tests that need it are skipped.
 */
const folder = 'node_modules/node-liblzma'

type Locked = { readonly version: string; readonly integrity: string }

function bring(): void {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { readonly packages: Readonly<Record<string, Locked>> }
  const { version, integrity } = lock.packages[folder] as Locked
  const aside = `node_modules/.liblzma-${process.pid}`
  try {
    mkdirSync(aside)
    npm(aside, 'pack', '--silent', `node-liblzma@${version}`)
    const [archive] = readdirSync(aside) as [string]
    const digest = createHash('sha512')
      .update(readFileSync(join(aside, archive)))
      .digest('base64')
    if (`sha512-${digest}` !== integrity) throw new Error('the archive is another than the lock says')
    execFileSync('tar', ['-xzf', archive], { cwd: aside })
    renameSync(join(aside, 'package'), folder)
  } catch (error) {
    process.stderr.write(`setup: node-liblzma ${version} could not be had: ${(error as Error).message.split('\n')[0] ?? ''}\n`)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

if (!existsSync(folder)) bring()
