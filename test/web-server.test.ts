import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { utf8 } from '../src/base/bytes.ts'
import { generateKey, openSigner, signMessage } from '../src/engine/repo/keys.ts'
import { encodeReport } from '../src/format/report.ts'
import { decodeSignedMessage, encodeSignedMessage, decodeSignature } from '../src/format/signify.ts'
import { systemRandom } from '../src/host/ambient.ts'
import { failuresAllowed } from '../src/web/failure-limit.ts'
import { together } from '../src/web/together.ts'
import { startDashboard, tokens } from './helpers/dashboard.ts'
import { factsStart } from './helpers/farm-facts.ts'
import type { Signer } from '../src/engine/repo/key-file.ts'
import type { TestDashboard } from './helpers/dashboard.ts'

/** The dashboard as browsers and other programs see it, over loopback. */

const open: TestDashboard[] = []
const start: typeof startDashboard = async (change) => {
  const started = await startDashboard(change)
  open.push(started)
  return started
}
after(async () => await Promise.all(open.map(async (one) => await one.close())))

type Ask = {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
  readonly form?: Record<string, string>
}

async function ask(dashboard: TestDashboard, path: string, { method = 'GET', headers = {}, body, form }: Ask = {}): Promise<Response> {
  const fields = form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }
  const sent = form === undefined ? body : new URLSearchParams(form).toString()
  return await fetch(new URL(path, dashboard.url), {
    method: sent === undefined ? method : 'POST',
    headers: { ...fields, ...headers },
    redirect: 'manual',
    ...(sent === undefined ? {} : { body: sent as string }),
  })
}

/** What a browser keeps of a login, and what the forms of its pages hold. */
async function login(dashboard: TestDashboard, token: string = tokens.act): Promise<{ readonly cookie: string; readonly csrf: string }> {
  const answer = await ask(dashboard, '/login', { form: { token, to: '/' } })
  assert.equal(answer.status, 303)
  const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] as string
  const page = await (await ask(dashboard, '/builders', { headers: { cookie } })).text()
  return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '' }
}

const pages = [
  '/',
  '/builds',
  '/updates',
  '/security',
  '/builders',
  '/mirrors',
  '/fleet',
  '/trail',
  '/releases',
  '/builds/3',
  '/packages/editors/vim',
]

test('each page has a JSON of the same name, and nothing but ours may run in it', async () => {
  const dashboard = await start()
  for (const path of pages) {
    const page = await ask(dashboard, path)
    assert.equal(page.status, 200, path)
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'; style-src 'self';/)
    assert.equal(page.headers.get('x-content-type-options'), 'nosniff')
    assert.doesNotMatch(await page.text(), / style="| on[a-z]+="|<script>/, path)
    const json = await ask(dashboard, path === '/' ? '/index.json' : `${path}.json`)
    assert.match(json.headers.get('content-type') ?? '', /^application\/json/)
    assert.equal(typeof (await json.json()), 'object')
  }
  for (const asset of ['style.css', 'live.js', 'icon.svg']) {
    const first = await ask(dashboard, `/assets/${asset}`)
    const again = await ask(dashboard, `/assets/${asset}`, { headers: { 'if-none-match': first.headers.get('etag') ?? '' } })
    assert.deepEqual([first.status, again.status], [200, 304])
  }
})

test('what is not there, and what makes no sense, is told as such', async () => {
  const dashboard = await start()
  const wanted = {
    '/nothing': 404,
    '/builds/999999': 404,
    '/builds/x': 404,
    '/packages/no/such': 404,
    '/builds?state=odd': 400,
    '/builds?before=x': 404,
    '/builds/1/log': 404,
  }
  for (const [path, status] of Object.entries(wanted)) assert.equal((await ask(dashboard, path)).status, status, path)
})

test('reading can be for those alone who have a token', async () => {
  const dashboard = await start({ read: 'token' })
  const html = { accept: 'text/html' }
  assert.equal(
    (await ask(dashboard, '/builds?state=failed', { headers: html })).headers.get('location'),
    '/login?to=%2Fbuilds%3Fstate%3Dfailed',
  )
  for (const path of ['/index.json', '/updates.atom', '/metrics', '/live', '/builds/1/log'])
    assert.equal((await ask(dashboard, path)).status, 401, path)
  const basic = `Basic ${Buffer.from(`me:${tokens.read}`).toString('base64')}`
  for (const authorization of [`Bearer ${tokens.read}`, basic])
    assert.equal((await ask(dashboard, '/index.json', { headers: { authorization } })).status, 200)
  assert.equal((await ask(dashboard, '/index.json', { headers: { authorization: 'Bearer wrong' } })).status, 403)
  assert.equal((await ask(dashboard, '/healthz')).status, 200)
  const { cookie } = await login(dashboard, tokens.read)
  assert.equal((await ask(dashboard, '/', { headers: { cookie, ...html } })).status, 200)
})

test('an action needs a login, a form of ours, and a person who may', async () => {
  const dashboard = await start()
  const act = async (given: Ask): Promise<number> => (await ask(dashboard, '/builds/3/cancel', given)).status
  const { cookie, csrf } = await login(dashboard)
  assert.equal(await act({ form: {} }), 403)
  assert.equal(await act({ form: { csrf }, headers: {} }), 403)
  assert.equal(await act({ form: {}, headers: { cookie } }), 403)
  assert.equal(await act({ form: { csrf: `${csrf}x` }, headers: { cookie } }), 403)
  assert.equal(await act({ form: { csrf }, headers: { cookie, 'sec-fetch-site': 'cross-site' } }), 403)
  assert.equal(await act({ form: {}, headers: { authorization: `Basic ${Buffer.from(`x:${tokens.act}`).toString('base64')}` } }), 403)
  assert.equal(await act({ form: {}, headers: { authorization: `Bearer ${tokens.read}` } }), 403)
  const reader = await login(dashboard, tokens.read)
  assert.equal(await act({ form: { csrf: reader.csrf }, headers: { cookie: reader.cookie } }), 403)
  assert.deepEqual(dashboard.done, [])
  assert.equal(await act({ form: { csrf }, headers: { cookie, 'sec-fetch-site': 'same-origin' } }), 303)
  assert.equal(await act({ form: {}, headers: { authorization: `Bearer ${tokens.act}` } }), 303)
  assert.deepEqual(dashboard.done, ['cancel 3 anna', 'cancel 3 anna'])
})

test('every action reaches the farm with the name of who wants it', async () => {
  const dashboard = await start()
  const headers = { authorization: `Bearer ${tokens.act}` }
  const paths = [
    '/builds/3/retry',
    '/builds/3/prioritise',
    '/builders/a%2Fb/pause',
    '/builders/b/resume',
    '/builders/b/quarantine',
    '/builders/b/release',
    '/branches/7.7/pause',
    '/branches/7.7/resume',
  ]
  const failed = dashboard.facts.builds.find(({ state }) => state === 'failed')?.id as number
  for (const path of paths)
    assert.equal((await ask(dashboard, path.replace('/3/retry', `/${failed}/retry`), { form: {}, headers })).status, 303, path)
  assert.deepEqual(dashboard.done, [
    `retry ${failed} anna`,
    'prioritise 3 1000 anna',
    'pauseBuilder a/b true anna',
    'pauseBuilder b false anna',
    'quarantineBuilder b true anna',
    'quarantineBuilder b false anna',
    'pauseBranch 7.7 true anna',
    'pauseBranch 7.7 false anna',
  ])
  const published = dashboard.facts.builds.find(({ state }) => state === 'published')?.id as number
  const refused = await ask(dashboard, `/builds/${published}/retry`, { form: {}, headers })
  assert.deepEqual([refused.status, await refused.text()], [409, `build ${published} is published, and cannot become waiting\n`])
  assert.equal((await ask(dashboard, '/builds/3/explode', { form: {}, headers })).status, 404)
})

test('a session is a cookie that scripts and other sites do not get, and ends with its token, by logging out, and with time', async () => {
  const dashboard = await start({ secure: true })
  const answer = await ask(dashboard, '/login', { form: { token: tokens.act, to: '/trail' } })
  assert.match(
    answer.headers.get('set-cookie') ?? '',
    /^bindery-session=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/,
  )
  assert.equal(answer.headers.get('location'), '/trail')
  assert.deepEqual(dashboard.events, [{ actor: 'anna', kind: 'operator', subject: 'anna', what: 'logged in' }])
  const isIn = async (cookie: string): Promise<boolean> =>
    (await (await ask(dashboard, '/', { headers: { cookie } })).text()).includes('Log out')
  const first = await login(dashboard)
  assert.equal(await isIn(first.cookie), true)
  await ask(dashboard, '/logout', { form: {}, headers: { cookie: first.cookie } })
  assert.equal(await isIn(first.cookie), false)
  const second = await login(dashboard)
  dashboard.pass(25 * 3_600_000)
  assert.equal(await isIn(second.cookie), false)
  const third = await login(dashboard)
  dashboard.operators.splice(0, 1)
  assert.equal(await isIn(third.cookie), false)
})

test('a login leads nowhere else', async () => {
  const dashboard = await start()
  for (const to of ['https://evil.example/', '//evil.example', '/\\evil.example', '/a\nb', 'javascript:1'])
    assert.equal((await ask(dashboard, '/login', { form: { token: tokens.act, to } })).headers.get('location'), '/', to)
  assert.equal((await ask(dashboard, '/login', { form: { token: tokens.act }, headers: { 'sec-fetch-site': 'cross-site' } })).status, 403)
})

test('whoever tries many tokens is not listened to for a while, and no token is in the log', async () => {
  const dashboard = await start()
  for (let tries = 0; tries < failuresAllowed.count; tries++)
    assert.equal((await ask(dashboard, '/login', { form: { token: 'guess', to: '/' } })).status, 403)
  const refused = await ask(dashboard, '/login', { form: { token: tokens.act, to: '/' } })
  assert.match(await refused.text(), /too many wrong tokens/)
  dashboard.pass(failuresAllowed.windowMs + 1)
  await login(dashboard)
  await ask(dashboard, `/builds?token=${tokens.act}`, { headers: { authorization: `Bearer ${tokens.act}` } })
  assert.ok(dashboard.log.length > 10)
  assert.ok(!dashboard.log.some((line) => line.includes('token')), dashboard.log.join('\n'))
})

test('feeds, figures, the hook', async () => {
  const dashboard = await start()
  for (const feed of ['updates', 'security', 'failures', 'published']) {
    const answer = await ask(dashboard, `/${feed}.atom`)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/atom\+xml/)
    assert.match(await answer.text(), /^<\?xml version="1.0" encoding="utf-8"\?>\n<feed [\s\S]*<entry>[\s\S]*<\/feed>\n$/)
  }
  const figures = await (await ask(dashboard, '/metrics')).text()
  assert.match(figures, /^bindery_farm_builds\{branch="7.7",arch="amd64",state="waiting"\} 2$/m)
  assert.match(figures, /^bindery_farm_sources_readable\{branch="7.6"\} 1\nbindery_farm_sources_readable\{branch="7.7"\} 0$/m)
  assert.match(figures, /^bindery_farm_mirror_current\{mirror="\/mnt\/backup\/OpenBSD",branch="7.7",arch="amd64"\} 0$/m)
  assert.equal((await ask(dashboard, '/hook/7.7', { body: '{}' })).status, 403)
  assert.equal(
    (
      await ask(dashboard, '/hook/7.7', {
        body: '{}',
        headers: { authorization: `Bearer ${tokens.act}`, 'content-type': 'application/json' },
      })
    ).status,
    202,
  )
  assert.deepEqual(dashboard.done, ['hook 7.7'])
})

test('what happens is told to those who watch, a log as it grows, and closing the server ends them', async () => {
  const dashboard = await start()
  const { facts } = dashboard
  const live = await ask(dashboard, '/live')
  const events = readEvents(live)
  await events.until(/retry: 3000/)
  const failed = facts.builds.find(({ state }) => state === 'failed')?.id as number
  const headers = { authorization: `Bearer ${tokens.act}` }
  const told = events.until(new RegExp(`event: change\\ndata: \\[\\{"kind":"build","subject":"${failed}","what":"waiting"\\}`))
  // The feed begins a moment after the first has come.
  for (let isTold = false; !isTold; isTold = await Promise.race([told.then(() => true), sleep(300, false)]))
    await ask(dashboard, `/builds/${failed}/retry`, { form: {}, headers })
  const attempt = facts.attempts.find(({ outcome }) => outcome === undefined)
  assert.ok(attempt)
  const log = facts.logs.get(attempt.id) as Uint8Array
  const growing = readEvents(await ask(dashboard, `/builds/${attempt.build}/log/live?from=${log.length}`))
  facts.logs.set(attempt.id, utf8(`${Buffer.from(log).toString()}one more line\n`))
  await growing.until(/event: part\ndata: "one more line\\n"/)
  facts.attempts[facts.attempts.indexOf(attempt)] = { ...attempt, ended: facts.now, outcome: 'built' }
  await growing.until(/event: end/)
  await dashboard.close()
  await events.ended
})

function readEvents(answer: Response): { until(pattern: RegExp): Promise<void>; readonly ended: Promise<void> } {
  let text = ''
  let check = (): void => {}
  const ended = (async () => {
    for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(part).toString()
      check()
    }
  })()
  const until = async (pattern: RegExp): Promise<void> =>
    await new Promise((resolve) => {
      check = () => {
        if (pattern.test(text)) resolve()
      }
      check()
    })
  return { until, ended }
}

test('a machine reports under its own key, each report newer than the one before', async () => {
  const dashboard = await start()
  const [own, other] = [await newSigner(), await newSigner()]
  const release = { channel: 'base/amd64', release: 'base-7.7p4-20261124-amd64' }
  const last = { verb: 'install', status: 1, code: 'no-space' }
  const post = async (signer: Signer, time: number, change: (file: Uint8Array) => Uint8Array = (file) => file): Promise<number> => {
    const message = encodeReport({ machine: 'www1', key: { ...signer, comment: '' }, time, last, reboot: 'none', releases: [release] })
    return (await ask(dashboard, '/report', { body: change(embedded(signer, message)) })).status
  }
  const now = factsStart / 1000
  assert.equal(await post(own, now - 100), 204)
  assert.deepEqual(
    dashboard.reports.map(({ machine, release: name, at, lastRun }) => [machine, name, at, lastRun]),
    [['www1', release.release, (now - 100) * 1000, 'install 1 no-space']],
  )
  assert.equal(await post(own, now - 100), 409, 'the same again')
  assert.equal(await post(own, now - 50, (file) => utf8(Buffer.from(file).toString().replace('7.7p4', '7.7p5'))), 403, 'altered')
  assert.equal(await post(other, now - 10), 403, 'another key')
  assert.equal(await post(own, now + 7200), 400, 'of the future')
  assert.equal(await post(own, now - 10), 204)
  assert.equal((await ask(dashboard, '/report', { body: 'nonsense' })).status, 400)
  assert.equal(dashboard.reports.length, 2)
})

test('those who ask at once get one answer, and none that began before they asked', async () => {
  const waiting: ((value: number) => void)[] = []
  const ask = together(async () => await new Promise<number>((resolve) => waiting.push(resolve)))
  const first = ask()
  const [second, third] = [ask(), ask()]
  assert.equal(waiting.length, 1)
  waiting[0]?.(1)
  assert.equal(await first, 1)
  await sleep(0)
  assert.equal(waiting.length, 2)
  waiting[1]?.(2)
  assert.deepEqual(await Promise.all([second, third]), [2, 2])
})

async function newSigner(): Promise<Signer> {
  const { secretKeyFile } = await generateKey(systemRandom, { comment: 'machine' })
  return await openSigner(secretKeyFile, async () => await Promise.resolve(''))
}

function embedded(signer: Signer, message: Uint8Array): Uint8Array {
  const file = encodeSignedMessage({ signature: decodeSignature(signMessage(signer, message, 'report')), message })
  assert.deepEqual(decodeSignedMessage(file).message, message)
  return file
}
