import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { dropOld } from '../src/command/farm-prune.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { OldFile } from '../src/port/farm-catalog.ts'

/** Which are old is the catalog's to say (test/conformance/farm.ts). */
function catalogOf(logs: OldFile[], requests: readonly OldFile[]) {
  const forgotten: number[] = []
  const forget = async (ids: readonly number[]): Promise<void> => await Promise.resolve(void forgotten.push(...ids))
  return {
    forgotten,
    dropEvents: async (): Promise<number> => await Promise.resolve(0),
    oldLogs: async (_: number, most: number): Promise<readonly OldFile[]> => await Promise.resolve(logs.splice(0, Math.min(most, 2))),
    forgetLogs: forget,
    oldRequests: async (): Promise<readonly OldFile[]> => await Promise.resolve(requests),
    forgetRequests: forget,
  }
}

test('the files of what is old go, and no others', async () => {
  await inTemporary(async (folder) => {
    const files = ['log/stable/amd64/1.1.log', 'log/stable/amd64/1.2.log', 'log/stable/amd64/3.1.log', 'request/a.tar', 'request/b.tar']
    for (const file of [...files, 'signed/accepted/7.tar', 'signed/accepted/8.tar']) {
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      writeFileSync(join(folder, file), 'old')
    }
    const logs = [...files.slice(0, 2), 'log/stable/amd64/gone.log'].map((file, id) => ({ id, file }))
    const catalog = catalogOf(logs, [{ id: 7, file: 'request/a.tar' }])
    const said: string[] = []
    const controller = {
      config: { keep: { eventDays: 1, logDays: 1, requestDays: 1 } },
      farm: { catalog },
      folder,
      context: { say: (line: string) => void said.push(line) },
      signal: new AbortController().signal,
    }
    await dropOld(controller)
    assert.deepEqual(
      [...files, 'signed/accepted/7.tar', 'signed/accepted/8.tar'].filter((file) => existsSync(join(folder, file))),
      ['log/stable/amd64/3.1.log', 'request/b.tar', 'signed/accepted/8.tar'],
    )
    assert.deepEqual([catalog.forgotten, said], [[0, 1, 2, 7], ['dropped as old: 3 logs, 1 requests']])
  })
})
