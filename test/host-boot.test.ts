import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { hostBoot, memoryBoot, systemBoot } from '../src/host/boot.ts'
import { hostExec } from '../src/host/exec.ts'
import { bootConformance } from './conformance/boot.ts'
import type { Exec } from '../src/port/exec.ts'

bootConformance('this machine', hostBoot(hostExec, '/'))
bootConformance('in memory', memoryBoot({ id: 'a' }))

const sysctl = (answers: Readonly<Record<string, string>>): Exec => ({
  run: async (_, [, name = '']) => {
    const text = answers[name]
    return await Promise.resolve({ status: text === undefined ? 1 : 0, stdout: utf8(text ?? ''), stderr: new Uint8Array(0) })
  },
  has: async () => await Promise.resolve(true),
})

async function idOn(platform: string, exec: Exec, file?: string): Promise<string | undefined> {
  return await systemBoot({ platform, exec, readText: async () => await Promise.resolve(file) }).id()
}

test('each system has its own word for a start', async () => {
  const time = '{ sec = 1764300123, usec = 45 } Fri Nov 28 03:22:03 2025\n'
  assert.equal(await idOn('linux', sysctl({}), '0b6a7c52-0000-4000-8000-000000000001\n'), '0b6a7c52-0000-4000-8000-000000000001')
  assert.equal(await idOn('freebsd', sysctl({ 'kern.boot_id': '7d1c-9\n', 'kern.boottime': time })), '7d1c-9')
  assert.equal(await idOn('freebsd', sysctl({ 'kern.boottime': time })), '1764300123')
  assert.equal(await idOn('dragonfly', sysctl({ 'kern.boottime': time })), '1764300123')
  assert.equal(await idOn('openbsd', sysctl({ 'kern.boottime': 'Fri Nov 28 03:22:03 2025\n' })), 'Fri_Nov_28_03:22:03_2025')
  assert.equal(await idOn('netbsd', sysctl({ 'kern.boottime': '1764300123\n' })), '1764300123')
})

test('a system that does not tell has none', async () => {
  const missing: Exec = { ...sysctl({}), run: async () => await Promise.reject(new BinderyError('not-found', 'cannot be run')) }
  assert.equal(await idOn('linux', missing), undefined)
  assert.equal(await idOn('openbsd', missing), undefined)
  assert.equal(await idOn('openbsd', sysctl({ 'kern.boottime': 'a;b\n' })), undefined)
})
