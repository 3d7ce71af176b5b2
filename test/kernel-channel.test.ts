import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { formatChannel } from '../src/base/name.ts'
import { enroll } from '../src/command/enroll.ts'
import { parseChannelOrKernel, tellOtherKernel } from '../src/command/kernel-channel.ts'
import { writeEnrolled } from '../src/engine/client/state.ts'
import { runningKernel } from '../src/host/running-kernel.ts'
import { testSession } from './helpers/client.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Context } from '../src/command/command.ts'
import type { ExecResult } from '../src/port/exec.ts'

/** Named kernels: what a system calls the one that runs, and which channel that is. */

type Answer = Partial<ExecResult> | BinderyError

/** `text` is the release of uname(3) on Linux, elsewhere the version; sysctl answers only where it is asked. */
async function nameOn(platform: string, text: string, sysctl: Answer = new BinderyError('not-found', 'cannot be run')): Promise<unknown> {
  const run = async (program: string, args: readonly string[]): Promise<ExecResult> => {
    assert.deepEqual([program, ...args], ['/sbin/sysctl', '-n', 'kern.ident'])
    if (sysctl instanceof BinderyError) throw sysctl
    return await Promise.resolve({ status: 0, stdout: utf8(''), stderr: utf8(''), ...sysctl })
  }
  return await runningKernel({ platform, release: text, version: text, exec: { run, has: async () => true } }).name()
}

describe('the name of the running kernel', () => {
  const names: Readonly<Record<string, readonly (readonly [string, string | undefined])[]>> = {
    openbsd: [
      ['GENERIC.MP#1397', 'GENERIC.MP'],
      ['ROUTER#0', 'ROUTER'],
      ['', undefined],
    ],
    netbsd: [
      ['NetBSD 9.0_STABLE (GENERIC) #0: Fri Apr  3 02:59:31 JST 2020 me@host:/obj/sys/arch/amd64/compile/GENERIC', 'GENERIC'],
      ['NetBSD 10.0 (XEN3_DOM0) #0: Thu Mar 28 08:33:33 UTC 2024', 'XEN3_DOM0'],
      ['something else', undefined],
    ],
    linux: [
      ['6.1.0-18-amd64', 'amd64'],
      ['6.1.0-18-cloud-amd64', 'cloud-amd64'],
      ['6.1.0-18-686-pae', '686-pae'],
      ['6.12.43+deb13-amd64', 'amd64'],
      ['6.12.43+deb13-cloud-arm64', 'cloud-arm64'],
      ['6.1.0-0.deb11.5-amd64', 'amd64'],
      ['5.15.0-91-generic', 'generic'],
      ['6.6.14-0-lts', 'lts'],
      ['6.6.32-1-lts', 'lts'],
      ['6.12.25+rpt-rpi-v8', 'rpi-v8'],
      ['5.15.167.4-microsoft-standard-WSL2', 'microsoft-standard-WSL2'],
      ['6.8.0-rc3-amd64', 'amd64'],
      ['6.6.30-ROUTER', 'ROUTER'],
      ['6.9.3-arch1-1', undefined],
      ['6.7.4-200.fc39.x86_64', undefined],
      ['6.8.0-rc3', undefined],
      ['6.8.0', undefined],
    ],
    darwin: [['Darwin Kernel Version 23.1.0', undefined]],
  }
  for (const [platform, cases] of Object.entries(names)) {
    for (const [text, name] of cases)
      test(`${platform}: ${text === '' ? 'nothing' : text}`, async () => assert.equal(await nameOn(platform, text), name))
  }

  for (const platform of ['freebsd', 'dragonfly']) {
    test(`${platform}: what kern.ident says`, async () => {
      assert.equal(await nameOn(platform, '', { stdout: utf8('X86_64_GENERIC\n') }), 'X86_64_GENERIC')
      assert.equal(await nameOn(platform, '', { status: 1 }), undefined)
      assert.equal(await nameOn(platform, '', { stdout: utf8('\n') }), undefined)
      assert.equal(await nameOn(platform, ''), undefined)
      await assert.rejects(nameOn(platform, '', new BinderyError('over-limit', 'printed too much')), { code: 'over-limit' })
    })
  }
})

function contextOf(root: string, name: string | undefined): { readonly context: Context; readonly said: string[] } {
  const said: string[] = []
  const context = { root, kernel: { name: async () => await Promise.resolve(name) }, say: (line: string) => void said.push(line) }
  return { context: context as unknown as Context, said }
}

describe('kernel/ARCH', () => {
  const channelOn = async (root: string, name: string | undefined, text: string): Promise<string> =>
    formatChannel(await parseChannelOrKernel(contextOf(root, name).context, text))

  test('is the channel of the kernel that runs here', async () => {
    assert.equal(await channelOn('/', 'GENERIC.MP', 'kernel/amd64'), 'kernel-GENERIC.MP/amd64')
    assert.equal(await channelOn('/./', 'ROUTER', 'kernel/arm64'), 'kernel-ROUTER/arm64')
  })

  test('other channels are what they are', async () => {
    for (const text of ['base/amd64', 'kernel-ROUTER/amd64', 'kernels/amd64']) assert.equal(await channelOn('/mnt', undefined, text), text)
  })

  test('has no meaning for another root, or where the system does not tell', async () => {
    const hint = 'name it: kernel-NAME/amd64'
    await assert.rejects(channelOn('/mnt', 'GENERIC', 'kernel/amd64'), { code: 'usage', hint })
    await assert.rejects(channelOn('/', undefined, 'kernel/amd64'), { code: 'not-supported', hint })
    await assert.rejects(channelOn('/', 'no name', 'kernel/amd64'), { code: 'usage' })
  })

  test('is refused by enroll of another root before anything is made', async () => {
    await inTemporary(async (folder) => {
      const root = join(folder, 'root.json')
      writeFileSync(root, '{}')
      mkdirSync(join(folder, 'mnt'))
      const seen = await runCommand(enroll, ['file:///nowhere/', root, 'kernel/amd64'], { root: join(folder, 'mnt') })
      assert.match(seen.error?.message ?? '', /'kernel\/amd64' is the kernel that runs here/)
      assert.deepEqual(readdirSync(join(folder, 'mnt')), [])
    })
  })
})

describe('a kernel that runs and is not followed', () => {
  const enrolled = (product: string): Parameters<typeof writeEnrolled>[1][number] => ({
    channel: { product, arch: 'amd64' },
    repository: '0123456789abcdef',
    basis: 'tar',
    urls: ['https://updates.test/'],
  })
  const saidOn = async (root: string, name: string | undefined, ...products: readonly string[]): Promise<readonly string[]> => {
    const session = await testSession()
    await writeEnrolled(session.disk, products.map(enrolled))
    const { context, said } = contextOf(root, name)
    await tellOtherKernel(context, session)
    return said
  }

  test('is told', async () => {
    assert.deepEqual(await saidOn('/', 'ROUTER', 'base', 'kernel-GENERIC'), [
      'the running kernel is ROUTER, and this system follows kernel-GENERIC/amd64',
    ])
  })

  test('nothing is said where it is followed, where no kernel is, of another root, and where the system does not tell', async () => {
    assert.deepEqual(await saidOn('/', 'ROUTER', 'base', 'kernel-GENERIC', 'kernel-ROUTER'), [])
    assert.deepEqual(await saidOn('/', 'ROUTER', 'base'), [])
    assert.deepEqual(await saidOn('/mnt', 'ROUTER', 'kernel-GENERIC'), [])
    assert.deepEqual(await saidOn('/', undefined, 'kernel-GENERIC'), [])
  })
})
