import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join, resolve } from 'node:path'
import { bindery, quote } from './harness.ts'
import type { Bench, Kit } from './harness.ts'

/** What a client costs: enroll once, with the base rebuilt from the tree, then checks that find nothing new. */
export const bench: Bench = {
  name: 'check',
  run: async (kit) => {
    const repository = makeRepository(kit)
    const client = quote(join(kit.work, 'client'))
    kit.measure(`cp -a ${quote(kit.trees.old)} ${client}`)
    const server = await serve(repository)
    try {
      const root = quote(join(repository, 'metadata/1.root.json'))
      const enroll = kit.measure(`${bindery} -q -C ${client} enroll ${server.url} ${root} bench/amd64`)
      const check = `${bindery} -C ${client} check`
      const { current, bare } = kit.compare({ current: check, bare: 'node -e 0' }, 15)
      return [
        {
          what: 'when current',
          unit: 's',
          ours: current.wallSeconds,
          peer: { name: 'node -e 0', value: bare.wallSeconds },
          goal: { of: 'ours', atMost: 0.15 },
        },
        { what: 'when current, memory', unit: 'MiB', ours: current.peakMiB },
        { what: '`enroll`', unit: 's', ours: enroll.wallSeconds },
        { what: '`enroll`, memory', unit: 'MiB', ours: enroll.peakMiB },
      ]
    } finally {
      server.stop()
    }
  },
}

function makeRepository(kit: Kit): string {
  const at = (name: string): string => quote(join(kit.work, name))
  kit.measure(`${bindery} init -r ${at('repo')} -k ${at('keys')} --no-passphrase`)
  kit.measure(`${bindery} cut ${quote(kit.trees.old)} -o ${at('a.tar.zst')} --product bench --revision 1.0 --date 20260101 --arch amd64`)
  kit.measure(`${bindery} publish -r ${at('repo')} -k ${at('keys')} ${at('a.tar.zst')}`)
  return join(kit.work, 'repo')
}

/** A process of its own: a measured command blocks this one. */
async function serve(repository: string): Promise<{ readonly url: string; stop(): void }> {
  const child = spawn(resolve('bin/bindery'), ['serve', '-r', repository, '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const url = await new Promise<string>((started, failed) => {
    lines.once('line', started)
    child.once('exit', (status) => failed(new Error(`serve ended with ${String(status)}`)))
  })
  return { url, stop: () => void child.kill() }
}
