import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { freePort } from './free-port.ts'

/** A real rsync daemon on loopback, whose one module can be written; `folder` is for its own files. Answers what `use` answers. */
export async function withRsyncDaemon<T>(
  { folder, module }: { readonly folder: string; readonly module: string },
  use: (url: string) => Promise<T>,
): Promise<T> {
  const port = await freePort()
  const conf = join(folder, 'rsyncd.conf')
  const owner = process.getuid?.() === 0 ? 'uid = 0\ngid = 0\n' : ''
  writeFileSync(conf, `use chroot = no\nlog file = ${folder}/log\n[pub]\npath = ${module}\nread only = no\n${owner}`)
  const words = ['--daemon', '--no-detach', `--config=${conf}`, `--port=${port}`, '--address=127.0.0.1']
  const daemon = spawn('rsync', words, { stdio: 'ignore' })
  try {
    const url = `rsync://127.0.0.1:${port}/pub`
    await answers(url)
    return await use(url)
  } finally {
    daemon.kill()
    await once(daemon, 'exit')
  }
}

async function answers(url: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (spawnSync('rsync', ['--list-only', `${url}/`]).status === 0) return
    await setTimeout(50)
  }
  throw new Error('the rsync daemon does not answer')
}
