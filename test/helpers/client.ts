import { defaultConfig } from '../../src/format/conf.ts'
import { mirrorOrder } from '../../src/engine/client/fetch/mirror-order.ts'
import { makeStateFolders } from '../../src/engine/client/state.ts'
import { refreshTrust } from '../../src/engine/repo/trust.ts'
import { hostHttp } from '../../src/host/http.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { recovery } from './recovery.ts'
import type { Session } from '../../src/engine/client/fetch/session.ts'

/** A client's world for tests: a root in memory, the real network, and what was said. */
export type TestSession = Session & { readonly said: string[]; readonly explained: string[] }

export async function testSession(change: Partial<Session> = {}): Promise<TestSession> {
  const [said, explained]: [string[], string[]] = [[], []]
  const disk = change.disk ?? memoryDisk()
  const config = change.config ?? { ...defaultConfig, network: { ...defaultConfig.network, answerMs: 1000, idleMs: 1000 } }
  await makeStateFolders(disk)
  return {
    disk,
    http: hostHttp({}),
    refresh: refreshTrust,
    clock: { now: () => Date.now() },
    recovery,
    config,
    mirrors: mirrorOrder(config.mirrors),
    progress: { start: () => ({ advance: () => {}, end: () => {} }) },
    say: (line) => void said.push(line),
    explain: (line) => void explained.push(line),
    signal: new AbortController().signal,
    access: 'write',
    throttle: async () => {},
    beforeCommit: async () => {},
    machineId: async () => '0123456789abcdef0123456789abcdef',
    said,
    explained,
    ...change,
  }
}
