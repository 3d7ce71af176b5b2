import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { isBinderyError } from '../../src/base/error.ts'
import { scanTree } from '../../src/engine/tree/scan.ts'
import { hostDisk } from '../../src/host/disk.ts'
import { fixedEnvironment } from '../../src/port/sandbox.ts'
import { countProcesses, makeRoot, runCommand, runScript } from '../helpers/sandbox-root.ts'
import { inTemporary, inTemporaryForOverlays } from '../helpers/temporary.ts'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Sandbox, SandboxKind, Sandboxes } from '../../src/port/sandbox.ts'

type World = { readonly sandbox: Sandbox; readonly root: string; readonly t: TestContext }

/** Why tests are skipped: all of them, and those of what only a system with namespaces can promise. */
type Needed = { readonly skip?: string; readonly isolated: { readonly skip?: string } }

/** What every sandbox of the system promises (src/port/sandbox.ts); those of `module` are also opened by a process to be killed. */
export function sandboxConformance(kind: SandboxKind, sandboxes: Sandboxes, module: string, options: Needed): void {
  const isolation = { ...options.isolated, ...options }
  const inSandbox = (name: string, use: (world: World) => Promise<void>, skip: { readonly skip?: string } = options): void => {
    test(`${kind}: ${name}`, skip, async (t) => {
      await inTemporary(async (folder) => {
        const root = join(folder, 'root')
        await makeRoot(root)
        const sandbox = await openOrSkip(t, sandboxes, kind, root)
        if (sandbox === undefined) return
        try {
          await use({ sandbox, root, t })
        } finally {
          await sandbox.close()
        }
      })
    })
  }
  const isolated = (name: string, use: (world: World) => Promise<void>): void => inSandbox(name, use, isolation)

  inSandbox('what a command does is seen, and the tree itself is as it was unless it is the place', async ({ sandbox, root }) => {
    const before = await scanTree(hostDisk(root))
    const odd = String.raw`touch "$T/$(printf 'new\nline')" "$T/$(printf '\377')"`
    const { result } = await runScript(sandbox, `echo new > "$T/etc/new"; rm "$T/etc/a"; ${odd}`)
    assert.deepEqual(result, { kind: 'ended', status: 0 })
    const names = async (path: string): Promise<readonly string[]> => await sandbox.after.readdir(path as never)
    assert.deepEqual([...(await names('etc'))].sort(), ['b', 'new'])
    assert.ok((await names('.')).includes('new\nline'))
    assert.ok((await names('.')).includes('\u00ff'))
    const touched = await sandbox.touched()
    if (touched !== undefined)
      for (const path of ['etc/new', 'etc/a', 'new\nline', '\u00ff']) assert.ok(touched.includes(path as never), path)
    if (kind !== 'snapshot') assert.deepEqual(await scanTree(hostDisk(root)), before)
  })

  inSandbox('the world of a command is the same everywhere', async ({ sandbox }) => {
    const { text } = await runCommand(sandbox, ['env'], { env: { MORE: 'two words' } })
    const env = Object.fromEntries(
      text
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/).slice(0, 2)),
    )
    const { DESTDIR, ...rest } = env
    assert.deepEqual(rest, { ...fixedEnvironment, MORE: 'two words' })
    assert.equal(DESTDIR !== undefined, kind === 'destdir')
    assert.match((await runScript(sandbox, 'umask; date +%Z; pwd', { folder: '/tmp' })).text, /^0?022\nUTC\n\/tmp\n$/)
  })

  isolated('the host has one name', async ({ sandbox }) => {
    assert.equal((await runCommand(sandbox, ['hostname'])).text, 'bindery\n')
  })

  inSandbox('stdin is empty, or what the job says, and there is no terminal', async ({ sandbox }) => {
    assert.equal((await runScript(sandbox, 'cat; echo end')).text, 'end\n')
    assert.equal((await runScript(sandbox, 'cat; echo end', { input: Buffer.from('in\n') })).text, 'in\nend\n')
    assert.equal((await runScript(sandbox, '(: < /dev/tty) 2>/dev/null && echo terminal; true')).text, '')
  })

  inSandbox('stdout and stderr come in their order', async ({ sandbox }) => {
    assert.equal((await runScript(sandbox, 'echo 1; echo 2 >&2; echo 3')).text, '1\n2\n3\n')
  })

  isolated('there is no network unless it was asked for', async ({ sandbox, t }) => {
    const server = createServer((_, response) => response.end('hello\n')).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await new Promise((done) => server.once('listening', done))
    const fetch = `busybox wget -q -O - http://127.0.0.1:${(server.address() as AddressInfo).port}/ 2>/dev/null`
    assert.equal((await runScript(sandbox, fetch)).text, '')
    assert.equal((await runScript(sandbox, fetch, { network: true })).text, 'hello\n')
  })

  inSandbox('the status is that of the command', async ({ sandbox }) => {
    const statusOf = async (...command: readonly string[]): Promise<unknown> => (await runCommand(sandbox, command)).result
    assert.deepEqual(await statusOf('sh', '-c', 'exit 3'), { kind: 'ended', status: 3 })
    assert.deepEqual(await statusOf('sh', '-c', 'kill -9 $$'), { kind: 'ended', status: 137 })
    assert.deepEqual(await statusOf('no-such-program'), { kind: 'ended', status: 127 })
  })

  inSandbox('a command finds what the one before has left', async ({ sandbox }) => {
    await runScript(sandbox, 'echo first > "$T/tmp/left"')
    assert.equal((await runScript(sandbox, 'cat "$T/tmp/left"')).text, 'first\n')
  })

  isolated('a daemon ends with its command', async ({ sandbox }) => {
    const mark = markOf()
    const daemon = `setsid sh -c 'while :; do sleep 0.1; done' ${mark} </dev/null >/dev/null 2>&1 &`
    assert.equal((await runScript(sandbox, `(${daemon}) ; echo away`)).text, 'away\n')
    assert.equal(countProcesses(mark), 0)
  })

  inSandbox('a time limit ends it', async ({ sandbox }) => {
    const mark = markOf()
    const { result, text } = await runScript(sandbox, `echo begun; sh -c 'sleep 600' ${mark}; echo not reached`, { timeLimitMs: 500 })
    assert.deepEqual(result, { kind: 'out of time' })
    assert.ok(['', 'begun\n'].includes(text))
    assert.equal(countProcesses(mark), 0)
  })

  inSandbox('the signal ends it, with its reason, and output comes before the end', async ({ sandbox }) => {
    const mark = markOf()
    const stop = new AbortController()
    const output = (): void => stop.abort(new Error('enough'))
    const script = `echo begun; sh -c 'sleep 600; true' ${mark}`
    await assert.rejects(runScript(sandbox, script, { output, signal: stop.signal }), /enough/)
    assert.equal(countProcesses(mark), 0)
    await assert.rejects(runScript(sandbox, 'true', { signal: stop.signal }), /enough/)
  })

  inSandbox('closing it ends what runs, and may be done again', async ({ sandbox }) => {
    const mark = markOf()
    let closed: Promise<void> | undefined
    const output = (): void => void (closed ??= sandbox.close())
    const { result } = await runScript(sandbox, `echo begun; sh -c 'sleep 600; true' ${mark}`, { output })
    assert.ok(result.kind === 'ended' && result.status > 128)
    await closed
    assert.equal(countProcesses(mark), 0)
    await sandbox.close()
    await assert.rejects(runScript(sandbox, 'true'), (error) => isBinderyError(error, 'stopped'))
  })

  test(`${kind}: a tree that is none is told before anything is done`, options, async () => {
    await inTemporary(async (folder) => {
      writeFileSync(join(folder, 'file'), '')
      await assert.rejects(sandboxes.open(kind, join(folder, 'none'), {}), (error) => isBinderyError(error, 'not-found'))
      await assert.rejects(sandboxes.open(kind, join(folder, 'file'), {}), (error) => isBinderyError(error, 'wrong-type'))
    })
  })

  test(`${kind}: killed at once, it leaves no process, no mount and no file`, isolation, async (t) => {
    await inTemporaryForOverlays(async (folder) => {
      const [root, scratch, mark] = [join(folder, 'root'), join(folder, 'scratch'), markOf()]
      await makeRoot(root)
      mkdirSync(scratch)
      const probe = await openOrSkip(t, sandboxes, kind, root)
      if (probe === undefined) return
      await probe.close()
      // Other tests mount, too.
      const mounts = (): string[] =>
        readFileSync('/proc/mounts', 'utf8')
          .split('\n')
          .filter((line) => line.includes(folder))
      const before = mounts()
      await killWhileRunning(module, kind, root, scratch, mark)
      while (countProcesses(mark) > 0 || readdirSync(scratch).length > 0) await setTimeout(20)
      assert.deepEqual(mounts(), before)
    })
  })
}

async function openOrSkip(t: TestContext, sandboxes: Sandboxes, kind: SandboxKind, root: string): Promise<Sandbox | undefined> {
  try {
    return await sandboxes.open(kind, root, {})
  } catch (error) {
    if (!isBinderyError(error, 'not-supported')) throw error
    t.skip(error.message)
    return undefined
  }
}

let marks = 0

function markOf(): string {
  return `bindery-mark-${process.pid}-${marks++}`
}

/** Another node opens it, runs a command with `mark`, which leaves a daemon with `mark`, and is killed when both run. */
async function killWhileRunning(module: string, kind: SandboxKind, root: string, scratch: string, mark: string): Promise<void> {
  const script = `setsid sh -c 'while :; do sleep 0.1; done' ${mark} >/dev/null 2>&1 & echo begun; sh -c 'sleep 600; true' ${mark}`
  const job = `{ command: ['sh', '-c', ${JSON.stringify(script)}], network: false, output, signal: new AbortController().signal }`
  const code = `
    import { hostSandboxes } from ${JSON.stringify(resolve(module))}
    const sandbox = await hostSandboxes.open('${kind}', ${JSON.stringify(root)}, ${kind === 'snapshot' ? '{}' : JSON.stringify({ scratch })})
    const output = (bytes) => process.stdout.write(bytes)
    await sandbox.run(${job})`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  let begun = false
  child.stdout.on('data', () => (begun = true))
  void ended.then(() => (begun = true))
  while (!begun || (child.exitCode === null && countProcesses(mark) < 2)) await setTimeout(20)
  assert.equal(child.exitCode, null)
  child.kill('SIGKILL')
  await ended
}
