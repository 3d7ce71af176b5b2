import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { farmServe } from '../src/command/farm-serve.ts'
import { farmToken } from '../src/command/farm-token.ts'
import { serve } from '../src/command/serve.ts'
import { readChannelAccounts } from '../src/engine/repo/channel-account.ts'
import { folderStore } from '../src/host/folder-store.ts'
import { farmFolder } from './helpers/farm-database.ts'
import { openWorkshop, smallDist } from './helpers/repository.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import { whileServing } from './helpers/while-serving.ts'

async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  return (await fetch(url, { headers, redirect: 'manual' })).status
}

test('what releases cost is read from the signed records, and nothing else is believed', async () => {
  const workshop = await openWorkshop()
  for (const revision of ['1.0', '1.1', '1.2']) await workshop.publish(await smallDist(revision))
  const [account, ...others] = await readChannelAccounts(workshop.store)
  assert.ok(account)
  assert.deepEqual([account.channel, others.length], ['base/amd64', 0])
  const [first, second, third] = account.releases
  assert.ok(first !== undefined && second !== undefined && third !== undefined)
  assert.equal(first.step, undefined)
  assert.deepEqual(
    third.deltas.map(({ from }) => from),
    [first.name, second.name],
  )
  for (const { full, step } of [second, third]) assert.ok(step !== undefined && step < full / 10, `${step} of ${full}`)
  const record = (await workshop.store.list('blobs/')).find((key) => key.endsWith('.update')) as string
  await workshop.store.put(record, one(new Uint8Array(Buffer.from('{}'))))
  await assert.rejects(
    readChannelAccounts(workshop.store),
    (error) => isBinderyError(error) && ['bad-digest', 'mix-and-match'].includes(error.code),
  )
})

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes)
}

test('serve --dashboard serves the repository and pages about it', async () => {
  await inTemporary(async (folder) => {
    const workshop = await openWorkshop(folderStore(folder))
    await workshop.publish(await smallDist('1.0'))
    await workshop.publish(await smallDist('1.1'))
    await whileServing(serve, ['-r', folder, '--listen', '127.0.0.1:0', '--dashboard'], async (url) => {
      const page = await (await fetch(url)).text()
      assert.match(page, /base-1\.1-20260101-amd64/)
      assert.match(page, /% saved/)
      assert.doesNotMatch(page, /Builds|Log in/)
      assert.equal(await statusOf(`${url}metadata/timestamp.json`), 200)
      assert.equal(await statusOf(`${url}metadata/nothing.json`), 404)
      assert.equal(await statusOf(`${url}login`), 404)
    })
  })
})

const farm = await farmFolder()
const config = `key = "signer.pub"
[branch.stable]
release = "7.6"
git = "/ports"
from = "release"
to = "stable"
archs = ["amd64"]
`
writeFileSync(join(farm, 'farm.toml'), config)
after(() => rmSync(farm, { recursive: true }))

test('a token is shown once, and opens what is private until it is taken back', async () => {
  const added = await runCommand(farmToken, [farm, 'add', 'anna', '--read'])
  assert.equal(added.error, undefined)
  const token = added.stdout.trim()
  assert.match(token, /^[\w-]{43}$/)
  assert.equal((await runCommand(farmToken, [farm, 'add', 'anna'])).code, 'exists')
  const { stdout } = await runCommand(farmToken, [farm, 'list', '--json'])
  assert.deepEqual(Object.entries(JSON.parse(stdout) as object).slice(0, 2), [
    ['name', 'anna'],
    ['may', 'read'],
  ])
  assert.ok(!stdout.includes(token))
  await whileServing(farmServe, [farm, '--listen', '127.0.0.1:0', '--private', '--title', 'Ours'], async (url) => {
    assert.equal(await statusOf(url), 401)
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
    assert.match(await answer.text(), /<title>Ours<\/title>/)
    assert.equal(await statusOf(`${url}metrics`, { authorization: `Bearer ${token}` }), 200)
    assert.equal((await runCommand(farmToken, [farm, 'list'])).code, 'locked')
    const post = await fetch(`${url}builds/1/retry`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    assert.equal(post.status, 404, 'nothing can be changed here')
  })
  assert.equal((await runCommand(farmToken, [farm, 'remove', 'anna'])).status, 0)
  assert.equal((await runCommand(farmToken, [farm, 'remove', 'anna'])).code, 'not-found')
})

test('words that make no sense are told', async () => {
  for (const words of [['give', 'anna'], ['add'], ['list', 'anna'], ['add', 'a b']])
    assert.equal((await runCommand(farmToken, [farm, ...words])).code, 'usage', words.join(' '))
})
