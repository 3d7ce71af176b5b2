import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { rootPath } from '../src/base/path.ts'
import { clockMoves, clockShiftSeconds } from '../src/engine/capture/noise/clock.ts'
import { hostSandboxes } from '../src/host/sandbox.ts'
import { addMovableDate, needsClockLibrary } from './helpers/moving-clock.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { makeRoot, runCommand, runScript } from './helpers/sandbox-root.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { TestContext } from 'node:test'
import type { Sandbox, SandboxKind } from '../src/port/sandbox.ts'

const options = { ...needs('busybox', 'ldd'), ...needsRoot(), ...needsClockLibrary() }

async function withSandbox(
  t: TestContext,
  kind: SandboxKind,
  prepare: (root: string) => void,
  use: (sandbox: Sandbox) => Promise<void>,
): Promise<void> {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    await makeRoot(root)
    prepare(root)
    const sandbox = await hostSandboxes.open(kind, root, {}).catch((error: unknown) => t.skip(String(error)))
    if (sandbox === undefined) return
    try {
      await use(sandbox)
    } finally {
      await sandbox.close()
    }
  })
}

const clock = { now: () => Date.now() }
const { signal } = new AbortController()
const secondsNow = (): number => Math.floor(Date.now() / 1000)

for (const kind of ['overlay', 'snapshot', 'destdir'] as const) {
  test(`${kind}: a job sees the clock ahead, one beside it does not, and nothing is left of it`, options, async (t) => {
    const memory = clockSegments()
    await withSandbox(t, kind, addMovableDate, async (sandbox) => {
      const ahead = await runCommand(sandbox, ['date', '+%s'], { clockAheadSeconds: clockShiftSeconds })
      assert.match(ahead.text, /^\d+\n$/)
      assert.ok(Math.abs(Number(ahead.text) - clockShiftSeconds - secondsNow()) < 1000, ahead.text)
      assert.ok(await clockMoves(sandbox, clock, signal))
      const plain = await runCommand(sandbox, ['date', '+%s'])
      assert.ok(Math.abs(Number(plain.text) - secondsNow()) < 1000, plain.text)
      assert.deepEqual(
        ((await sandbox.touched()) ?? []).filter((path) => path !== rootPath),
        [],
      )
      if (kind !== 'destdir') assert.deepEqual(await sandbox.after.readdir('dev' as never), [])
    })
    assert.deepEqual(clockSegments(), memory)
  })

  test(`${kind}: files that a job touches have the true time, which make compares`, options, async (t) => {
    await withSandbox(t, kind, addMovableDate, async (sandbox) => {
      await runScript(sandbox, 'echo x > "$T/made"; touch "$T/touched"', { clockAheadSeconds: clockShiftSeconds })
      for (const path of ['made', 'touched']) {
        const mtime = (await sandbox.after.lstat(path as never))?.mtime.sec ?? 0
        assert.ok(Math.abs(mtime - secondsNow()) < 1000, path)
      }
    })
  })
}

/** Of libfaketime, in the system's own shared memory, where databases and browsers have theirs. */
function clockSegments(): readonly string[] {
  return readdirSync('/dev/shm').filter((name) => name.includes('faketime'))
}

test('where date is a static program, the clock does not move, and it is told', options, async (t) => {
  await withSandbox(
    t,
    'overlay',
    () => {},
    async (sandbox) => {
      assert.ok(!(await clockMoves(sandbox, clock, signal)))
    },
  )
})

test('where there is no date, or no /dev for the library, the clock does not move', options, async (t) => {
  const without = (name: string) => (root: string) => {
    addMovableDate(root)
    rmSync(join(root, name), { recursive: true })
  }
  for (const name of ['bin/date', 'dev'])
    await withSandbox(t, 'overlay', without(name), async (sandbox) => {
      assert.ok(!(await clockMoves(sandbox, clock, signal)))
      assert.equal((await runScript(sandbox, 'echo well', { clockAheadSeconds: 1 })).text, 'well\n')
    })
})
