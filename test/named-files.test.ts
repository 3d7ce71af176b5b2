import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { delta } from '../src/command/delta.ts'
import { init } from '../src/command/init.ts'
import { patch } from '../src/command/patch.ts'
import { publish } from '../src/command/publish.ts'
import { compress } from '../src/engine/dist/wire.ts'
import { collectBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { smallDist } from './helpers/repository.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'

/** Decoders know what is wrong; the user has to be told in which file. */

test('publish names a dist that is cut off', async () => {
  await inTemporary(async (folder) => {
    const [repo, keys, file] = ['repo', 'keys', 'short.tar.zst'].map((name) => join(folder, name)) as [string, string, string]
    await runCommand(init, ['-r', repo, '-k', keys, '--no-passphrase'])
    const whole = (await collectBytes(compress(oneChunk(await smallDist('1.0')), 'zstd'), Infinity)) as Uint8Array
    await writeFile(file, whole.subarray(0, whole.length - 9))
    const { code, error } = await runCommand(publish, ['-r', repo, '-k', keys, file])
    assert.deepEqual([code, error?.subject], ['bad-format', file])
  })
})

test('patch names the delta that is damaged, and the base that does not fit', async () => {
  await inTemporary(async (folder) => {
    const [old, next, file] = ['old', 'new', 'it.delta'].map((name) => join(folder, name)) as [string, string, string]
    await writeFile(old, 'one thing and another')
    await writeFile(next, 'one thing, and yet another')
    await runCommand(delta, ['--raw', old, next, '-o', file])
    const wrong = await runCommand(patch, ['--raw', file], { input: utf8('one thing and anothes') })
    assert.deepEqual([wrong.code, wrong.error?.subject], ['wrong-base', 'stdin'])
    const bytes = await readFile(file)
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
    await writeFile(file, bytes)
    const damaged = await runCommand(patch, ['--raw', file], { input: utf8('one thing and another') })
    assert.deepEqual([damaged.status, damaged.error?.subject], [3, file])
  })
})
