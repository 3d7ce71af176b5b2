import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fromLatin1 } from '../src/base/bytes.ts'
import { readUpdateInfo } from '../src/format/openbsd/update-info.ts'
import { formatUpdateSignature, obsdpkgupSignature, updateSignature } from '../src/format/openbsd/update-signature.ts'
import { packingList } from '../test/helpers/openbsd-mirror/package-facts.ts'
import { bindery, median, quote } from './harness.ts'
import { benchMirror, mirrorPath } from './mirror.ts'
import type { BenchMirror } from './mirror.ts'
import type { Bench } from './harness.ts'

/** A machine asks what is new, over loopback: with an index that it has never seen, and with one that has not changed. */
export const bench: Bench = {
  name: 'pkgcheck',
  run: async (kit) => {
    const mirror = await benchMirror(kit)
    kit.measure(`${bindery} pkgindex ${quote(mirror.packages)} -o ${quote(join(mirror.packages, 'index.pkgup.gz'))}`)
    const server = await serve(mirror.site)
    try {
      const cache = join(kit.work, 'cache')
      const forget = (): void => rmSync(cache, { recursive: true, force: true })
      const url = `${server.url}${mirrorPath}/`
      const system = "--kern-version 'OpenBSD 7.8-current (GENERIC.MP) #1: Mon Nov 16 10:00:00 MST 2026' --arch amd64"
      const check = `XDG_CACHE_HOME=${quote(cache)} PKG_PATH=${url} ${bindery} -C ${quote(mirror.root)} pkgcheck ${system}`
      const plain = `node ${quote(resolve('bench/obsdpkgup.ts'))} ${quote(mirror.root)} ${url}`
      const { changed, same, peer, bare } = kit.compare(
        { changed: { before: forget, command: check }, same: check, peer: plain, bare: 'node -e 0' },
        15,
      )
      return [
        {
          what: 'a new index',
          unit: 's',
          ours: changed.wallSeconds,
          peer: { name: 'obsdpkgup, plainly', value: peer.wallSeconds },
          goal: { of: 'ours', atMost: 0.15 },
        },
        {
          what: 'the index is a 304',
          unit: 's',
          ours: same.wallSeconds,
          peer: { name: 'node -e 0', value: bare.wallSeconds },
          goal: { of: 'ours', atMost: 0.1 },
        },
        {
          what: 'memory',
          unit: 'MiB',
          ours: Math.max(changed.peakMiB, same.peakMiB),
          peer: { name: 'obsdpkgup, plainly', value: peer.peakMiB },
          goal: { of: 'ours', atMost: 100 },
        },
        { what: 'both signatures of packing lists', unit: 'MB/s', ours: signatureSpeed(mirror), goal: { of: 'ours', atLeast: 200 } },
      ]
    } finally {
      server.stop()
    }
  },
}

function signatureSpeed({ catalog }: BenchMirror): number {
  const lists = catalog.slice(0, 2000).map((facts) => fromLatin1(packingList(facts)))
  const bytes = lists.reduce((sum, list) => sum + list.length, 0)
  const rounds = Array.from({ length: 7 }, () => {
    const started = performance.now()
    for (const list of lists) {
      const info = readUpdateInfo(list)
      obsdpkgupSignature(info)
      formatUpdateSignature(updateSignature(info, () => ''))
    }
    return bytes / 1000 / (performance.now() - started)
  })
  return median(rounds)
}

/** A process of its own: a measured command blocks this one. */
async function serve(folder: string): Promise<{ readonly url: string; stop(): void }> {
  const child = spawn('node', [resolve('bench/serve-folder.ts'), folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const url = await new Promise<string>((started, failed) => {
    lines.once('line', started)
    child.once('exit', (status) => failed(new Error(`the server ended with ${String(status)}`)))
  })
  return { url, stop: () => void child.kill() }
}
