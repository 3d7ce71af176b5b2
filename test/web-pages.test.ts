import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { buildStates } from '../src/engine/farm/pipeline.ts'
import { memoryFarmView } from '../src/host/memory-farm-view.ts'
import { atomFeed } from '../src/web/atom.ts'
import { html } from '../src/web/html.ts'
import { buildPage } from '../src/web/page/build.ts'
import { buildersPage } from '../src/web/page/builders.ts'
import { buildsPage, packagePage, updatesPage } from '../src/web/page/builds.ts'
import { fleetPage, trailPage } from '../src/web/page/fleet.ts'
import { renderPage } from '../src/web/page/frame.ts'
import { loginPage } from '../src/web/page/login.ts'
import { mirrorsPage, worstSightings } from '../src/web/page/mirrors.ts'
import { overviewPage } from '../src/web/page/overview.ts'
import { spanOf } from '../src/web/page/parts.ts'
import { releasesPage } from '../src/web/page/releases.ts'
import { channelOf } from './helpers/dashboard.ts'
import { generatedFacts } from './helpers/farm-facts.ts'
import { parseMarkup } from './helpers/markup.ts'
import type { FarmFacts } from '../src/host/memory-farm-view.ts'
import type { Sighting } from '../src/port/farm-catalog.ts'
import type { PageBody, PageContext } from '../src/web/page/frame.ts'
import type { MirrorQuery } from '../src/web/page/mirrors.ts'
import type { MarkupElement } from './helpers/markup.ts'

/** Pages as functions of what a view says. */

const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&\u202e\u0007`

async function allPages(facts: FarmFacts, context: PageContext): Promise<readonly PageBody[]> {
  const view = memoryFarmView(facts)
  const limit = 50
  const builds = await Promise.all(facts.builds.map(async ({ id }) => await view.build(id)))
  const log = { bytes: utf8(`${hostile}\u001b[31mred`), from: 0, size: 10, ended: false }
  const page = await view.builds({ limit })
  return [
    overviewPage(context, await view.overview()),
    buildsPage(context, { query: { limit, branch: hostile }, states: buildStates, branches: facts.branches, page }),
    ...builds.flatMap((build) => (build === undefined ? [] : [buildPage(context, build, log)])),
    packagePage(context, facts.builds[0]?.pkgpath ?? '', { limit }, await view.history(facts.builds[0]?.pkgpath ?? '', { limit })),
    updatesPage(context, { limit, security: false }, await view.updates({ limit, security: false })),
    updatesPage(context, { limit, security: true }, await view.updates({ limit, security: true })),
    buildersPage(context, await view.builders()),
    mirrorsPage(context, { query: {}, sightings: await view.sightings(), publications: await view.publications({ limit }) }),
    mirrorsPage(context, { query: { mirror: hostile }, sightings: manySightings(120), publications: { rows: [] } }),
    fleetPage(context, { limit: 10 }, await view.fleet({ limit: 10 })),
    trailPage(context, { limit }, await view.events({ limit })),
    releasesPage([channelOf(9)]),
    releasesPage([channelOf(0)]),
    releasesPage([]),
    loginPage('/', 'Nobody has this token.'),
  ]
}

function contextWith(name: string): PageContext {
  return { site: { title: name, hasFarm: true, hasRepository: true }, visitor: { name, csrf: name }, now: generatedFacts(0).now }
}

const facts = generatedFacts(90)

test('every page is whole, names itself, and has one main part, one first heading and no double id', async () => {
  for (const body of await allPages(facts, contextWith('Farm'))) {
    const elements = parseMarkup(renderPage(contextWith('Farm'), body))
    const named = (name: string): readonly MarkupElement[] => elements.filter((element) => element.name === name)
    assert.equal(named('main').length, 1)
    assert.equal(named('h1').length, 1, body.path)
    const ids = elements.flatMap(({ attributes }) => attributes.get('id') ?? [])
    assert.deepEqual(ids, [...new Set(ids)], body.path)
  }
})

test('whatever is in the names, no page has an element or an attribute more', async () => {
  const evil = JSON.parse(JSON.stringify(facts), (key, value: unknown) =>
    typeof value === 'string' && !['state', 'kind', 'outcome'].includes(key) ? `${value}${hostile}` : value,
  ) as FarmFacts
  const logs = new Map<number, Uint8Array>()
  const tame = await allPages(facts, contextWith('Farm'))
  const wild = await allPages({ ...evil, logs }, contextWith(`Farm${hostile}`))
  for (const [i, body] of wild.entries()) {
    const elements = parseMarkup(renderPage(contextWith(`Farm${hostile}`), body))
    const kinds = new Set(elements.flatMap(({ name, attributes }) => [...attributes.keys()].map((one) => `${name} ${one}`)))
    const expected = new Set(
      parseMarkup(renderPage(contextWith('Farm'), tame[i] as PageBody)).flatMap(({ name, attributes }) =>
        [...attributes.keys()].map((one) => `${name} ${one}`),
      ),
    )
    assert.deepEqual(
      [...kinds].filter((one) => !expected.has(one)),
      [],
      body.path,
    )
    assert.equal(elements.filter(({ name }) => name === 'script').length, 1)
    assert.ok(
      !elements.some(({ name, attributes }) => name === 'a' && !/^[/#]/.test(attributes.get('href') ?? '')),
      'every link stays here',
    )
  }
})

test('a value is text, in elements and in attributes', () => {
  assert.equal(
    html`<p title="${'"<&>\''}">${['a', html`<b>${'<'}</b>`, false, undefined, 0]}</p>`.text,
    '<p title="&#34;&#60;&#38;&#62;&#39;">a<b>&#60;</b>0</p>',
  )
})

test('the overview says what waits for a person, and that nothing does', async () => {
  const textOf = async (given: FarmFacts): Promise<string> => {
    const body = overviewPage(contextWith('Farm'), await memoryFarmView(given).overview())
    return parseMarkup(renderPage(contextWith('Farm'), body)).find(({ attributes }) => attributes.get('id') === 'needs')?.text ?? ''
  }
  const busy = await textOf(facts)
  assert.match(busy, /A request waits for a signature, the oldest for 3 h\./)
  assert.match(busy, /1 build is quarantined/)
  assert.match(busy, /Builds for i386 wait, and no builder of it is ready\./)
  assert.match(busy, /Mirror \/mnt\/backup\/OpenBSD: vim-9.12.tgz and 1 more are not what the index says\./)
  const lost = { ...facts, builders: facts.builders.map((builder) => ({ ...builder, seen: facts.now - 3_600_000 })) }
  assert.match(await textOf(lost), /Builder amd64-1 was last heard of 60 min ago\./)
  assert.equal(await textOf(generatedFacts(0)).then((text) => /torn|Mirror/.test(text)), true)
  assert.match(busy, /The sources of 7\.7 cannot be read, for 7 min by now: \/cvs: has no tag 'OPENBSD_7_7'/)
  const idle = generatedFacts(0)
  const calm = { ...idle, sightings: [], branches: idle.branches.map((one) => ({ ...one, failure: undefined })) }
  assert.equal((await textOf(calm)).trim(), 'Nothing waits for a person.')
})

test('of a mirror the worst is shown', () => {
  const sighting = { mirror: 'm', branch: '7.7', files: [], why: '', first: 0, last: 0, lagSeconds: undefined }
  const worst = worstSightings([
    { ...sighting, arch: 'a', state: 'behind', lagSeconds: 10 },
    { ...sighting, arch: 'b', state: 'behind', lagSeconds: 90 },
    { ...sighting, arch: 'c', state: 'current' },
  ])
  assert.deepEqual(
    worst.map(({ arch }) => arch),
    ['b'],
  )
})

/** One in ten is torn, the others are late by their number. */
function manySightings(count: number): readonly Sighting[] {
  return Array.from({ length: count }, (_, i) => {
    const state = i % 10 === 9 ? ('torn' as const) : ('behind' as const)
    return {
      mirror: `https://${i}.example/`,
      branch: '7.7',
      arch: 'amd64',
      state,
      lagSeconds: i,
      files: ['a.tgz'],
      why: '',
      first: 0,
      last: 0,
    }
  })
}

test('of many mirrors the worst come first, a page at a time, and the overview names a few', async () => {
  const sightings = manySightings(250)
  const shown = (query: MirrorQuery): readonly string[] =>
    parseMarkup(
      renderPage(contextWith('Farm'), mirrorsPage(contextWith('Farm'), { query, sightings, publications: { rows: [] } })),
    ).flatMap(({ attributes }) => /^mirror-https:..(.*).example/.exec(attributes.get('id') ?? '')?.[1] ?? [])
  const late = sightings.filter(({ state }) => state === 'behind').map(({ mirror }) => /[0-9]+/.exec(mirror)?.[0] as string)
  const torn = sightings.filter(({ state }) => state === 'torn').map(({ mirror }) => /[0-9]+/.exec(mirror)?.[0] as string)
  const worstFirst = [...torn.toReversed(), ...late.toReversed()]
  assert.deepEqual(shown({}), worstFirst.slice(0, 100))
  assert.deepEqual(shown({ from: 200 }), worstFirst.slice(200))
  assert.deepEqual(shown({ state: 'torn' }), torn.toReversed())
  assert.deepEqual(shown({ mirror: 'https://7.example/' }), ['7'])
  assert.deepEqual(shown({ mirror: 'https://elsewhere.example/' }), [])
  const page = renderPage(
    contextWith('Farm'),
    overviewPage(contextWith('Farm'), { ...(await memoryFarmView(facts).overview()), sightings }),
  )
  assert.equal(page.match(/Mirror https:/g)?.length, 3)
  assert.match(page, /22 more mirrors<\/a> have troubles/)
  assert.match(page, /all 250</)
})

test('buttons are for those who may act, and for states that allow it', async () => {
  const view = memoryFarmView(facts)
  const failed = facts.builds.find(({ state }) => state === 'quarantined')
  const build = await view.build(failed?.id ?? 0)
  assert.ok(build)
  const buttonsFor = (visitor: PageContext['visitor'], state = build.state): readonly string[] =>
    parseMarkup(renderPage(contextWith('Farm'), buildPage({ ...contextWith('Farm'), visitor }, { ...build, state }, undefined)))
      .filter(({ name, attributes }) => name === 'form' && attributes.get('action')?.startsWith('/builds') === true)
      .map(({ attributes }) => attributes.get('action') ?? '')
  assert.deepEqual(buttonsFor(undefined), [])
  assert.deepEqual(buttonsFor({ name: 'reader', csrf: undefined }), [])
  assert.deepEqual(buttonsFor({ name: 'anna', csrf: 'x' }), [`/builds/${build.id}/retry`, `/builds/${build.id}/cancel`])
  assert.deepEqual(buttonsFor({ name: 'anna', csrf: 'x' }, 'published'), [])
})

test('spans of time are told in the unit that says something', () => {
  const cases = { 0: '0 s', 99_000: '99 s', 100_000: '2 min', 5_940_000: '99 min', 6_000_000: '2 h', 172_800_000: '2 days' }
  assert.deepEqual(
    Object.keys(cases).map((ms) => spanOf(Number(ms))),
    Object.values(cases),
  )
})

test('a feed is well-formed whatever it is about', () => {
  const entry = { id: 'update:1', title: hostile, at: 0, path: `/packages/a b"<`, text: hostile }
  const feed = atomFeed({ title: hostile, base: 'https://farm.example', path: '/updates.atom', entries: [entry] })
  assert.ok(!/<script|<img|\u202e|\u0007/.test(feed))
  assert.match(feed, /<link href="https:\/\/farm\.example\/packages\/a%20b%22%3C"\/>/)
})
