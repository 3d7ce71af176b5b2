import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { chooseFitting, describeUnmet, fittingGroups, whyNot } from '../src/engine/client/fetch/fitting.ts'
import { parseWantedNeed, resolveNeeds } from '../src/engine/repo/wanted-need.ts'
import { decodeNeed, encodeNeed } from '../src/format/need.ts'
import { decodeTerms, encodeTerms } from '../src/format/release-terms.ts'
import { releaseName } from './helpers/repository.ts'
import type { Candidate, Line } from '../src/engine/client/fetch/fitting.ts'
import type { Need } from '../src/format/need.ts'
import type { Update } from '../src/format/update.ts'

/** What releases need of other channels: how it is written, and which releases fit each other. */

const amd64 = (product: string): Need['channel'] => ({ product, arch: 'amd64' })
const at = (sequence: number): NonNullable<Need['from']> => ({ sequence, revision: `${sequence}` })

describe('the operand of publish --needs', () => {
  const cases: Readonly<Record<string, unknown>> = {
    comp: { product: 'comp', optional: false },
    'kernel-GENERIC>=7.5p3': { product: 'kernel-GENERIC', optional: false, from: '7.5p3' },
    'kernel-GENERIC.MP?>=7.5p3': { product: 'kernel-GENERIC.MP', optional: true, from: '7.5p3' },
    'base<=1.4': { product: 'base', optional: false, to: '1.4' },
    'base>=1.0,<=1.4': { product: 'base', optional: false, from: '1.0', to: '1.4' },
    'base/arm64=1.0': { product: 'base', arch: 'arm64', optional: false, from: '1.0', to: '1.0' },
  }
  for (const [text, want] of Object.entries(cases)) test(text, () => assert.deepEqual(parseWantedNeed(text), want))
  for (const text of ['', '>=1', 'base>=', 'base>1', 'base=1,<=2', 'base >= 1', 'base/a/b', 'base>=1-2'])
    test(`not '${text}'`, () => assert.throws(() => parseWantedNeed(text), { code: 'usage' }))
})

test('revisions become places in their channel, and nothing is needed of the own one', async () => {
  const record = (sequence: number, revision: string): Update =>
    ({ sequence, release: { name: releaseName(revision, { product: 'kernel-A' }) } }) as unknown as Update
  const records = [record(1, '1.0'), record(2, '1.1'), record(3, '1.1'), record(4, '1.2')]
  const resolve = async (text: string, product = 'base'): Promise<readonly Need[]> =>
    await resolveNeeds([parseWantedNeed(text)], releaseName('1.0', { product }), async () => await Promise.resolve(records))
  const bounds = (sequence: number): Need['from'] & {} => ({ sequence, revision: '1.1' })
  assert.deepEqual(await resolve('kernel-A=1.1'), [{ channel: amd64('kernel-A'), optional: false, from: bounds(2), to: bounds(3) }])
  assert.deepEqual(await resolve('kernel-A?'), [{ channel: amd64('kernel-A'), optional: true }])
  assert.deepEqual(await resolve('kernel-A=9', 'kernel-A'), [])
  await assert.rejects(resolve('kernel-A>=9'), { code: 'not-found', subject: 'kernel-A/amd64' })
})

test('a need is one line of the state, and only of the release that is installed', () => {
  const needs: readonly Need[] = [
    { channel: amd64('comp'), optional: false },
    { channel: amd64('kernel-A'), optional: true, from: { sequence: 2, revision: '7.5p3' }, to: { sequence: 9, revision: '7.6' } },
  ]
  for (const need of needs) assert.deepEqual(decodeNeed(encodeNeed(need)), need)
  const bytes = encodeTerms(releaseName('1.0'), { needs, generated: ['/etc/*.db'] })
  assert.deepEqual(decodeTerms(bytes, releaseName('1.0')), { needs, generated: ['/etc/*.db'] })
  assert.deepEqual(decodeTerms(bytes, releaseName('1.1')), { needs: [], generated: [] })
  for (const line of [
    'comp/amd64 required -',
    'comp required - -',
    'comp/amd64 perhaps - -',
    'comp/amd64 required 3:1 2:1',
    'comp/amd64 required 0:1 -',
  ])
    assert.throws(
      () => decodeNeed(line),
      (error) => isBinderyError(error, 'bad-format') || isBinderyError(error, 'over-limit'),
    )
})

/** `{ 2: ['kernel>=2'] }`: the needs of release 2. */
type Needs = Readonly<Record<number, readonly string[]>>

function line(product: string, last: number, needs: Needs = {}, repository = 'one'): Line {
  const releases = Array.from({ length: last }, (_, i): Candidate => candidate(product, i + 1, needs[i + 1] ?? []))
  return { channel: amd64(product), repository, releases: releases as unknown as Line['releases'] }
}

function candidate(product: string, sequence: number, needs: readonly string[]): Candidate {
  return { name: releaseName(`${sequence}`, { product }), sequence, needs: needs.map(needOf) }
}

function needOf(text: string): Need {
  const { product, optional, from, to } = parseWantedNeed(text)
  return {
    channel: amd64(product),
    optional,
    ...(from === undefined ? {} : { from: at(Number(from)) }),
    ...(to === undefined ? {} : { to: at(Number(to)) }),
  }
}

const chosen = (...lines: readonly Line[]): readonly number[] => chooseFitting(lines).map(({ sequence }) => sequence)
const why = (at: number, ...lines: readonly Line[]): string => {
  const unmet = whyNot(lines, chooseFitting(lines), at)
  return unmet === undefined ? '' : describeUnmet(unmet)
}

describe('which releases fit each other', () => {
  test('all come to the newest where nothing speaks against it', () => {
    assert.deepEqual(chosen(line('base', 3, { 3: ['kernel>=2'] }), line('kernel', 2), line('comp', 4)), [3, 2, 4])
  })

  test('one that needs what is not there stays, or comes as far as it can', () => {
    const lines = [line('base', 3, { 2: ['kernel>=1'], 3: ['kernel>=2'] }), line('kernel', 1)]
    assert.deepEqual(chosen(...lines), [2, 1])
    assert.equal(why(0, ...lines), 'base-3-20260101-amd64 needs kernel/amd64 from 2 on, and kernel-1-20260101-amd64 stays')
  })

  test('one that would be too new stays behind the one that was enrolled before it', () => {
    const lines = [line('base', 2, { 2: ['kernel<=2'] }), line('kernel', 3)]
    assert.deepEqual(chosen(...lines), [2, 2])
    assert.equal(why(1, ...lines), 'base-2-20260101-amd64 needs kernel/amd64 up to 2, and kernel-3-20260101-amd64 would come')
  })

  test('what is installed goes on needing what it needs', () => {
    assert.deepEqual(chosen(line('base', 2), line('kernel', 1, { 1: ['base<=1'] })), [1, 1])
  })

  test('what does not fit already is no matter of this step', () => {
    assert.deepEqual(chosen(line('base', 1, { 1: ['kernel>=5', 'other'] }), line('kernel', 1), line('comp', 2)), [1, 1, 2])
  })

  test('a channel that is not followed, or from elsewhere', () => {
    const needy = line('base', 2, { 2: ['kernel>=1'] })
    assert.deepEqual(chosen(needy), [1])
    assert.equal(why(0, needy), 'base-2-20260101-amd64 needs kernel/amd64 from 1 on, which is not followed here')
    assert.equal(
      why(0, needy, line('kernel', 4, {}, 'two')),
      'base-2-20260101-amd64 needs kernel/amd64 from 1 on, which is followed from another repository',
    )
    assert.deepEqual(chosen(line('base', 2, { 2: ['kernel?>=1'] })), [2])
    assert.deepEqual(chosen(line('base', 2, { 2: ['kernel?>=3'] }), line('kernel', 2)), [1, 2])
  })

  test('two that contradict each other', () => {
    const lines = [line('base', 2, { 2: ['kernel>=2'] }), line('kernel', 2, { 2: ['base>=3'] })]
    assert.deepEqual(chosen(...lines), [1, 1])
    assert.match(why(0, ...lines), /^base-2-\S+ needs kernel\/amd64 from 2 on, and kernel-1-\S+ stays$/)
  })

  test('releases that need each other in too many ways are given up after so many looks', () => {
    // Each of ten releases is looked at, and `last` beside it, before `needy` is found to stay: 1 + 2 * 10 looks, and then 3.
    const lines = [line('needy', 2, { 2: ['last>=2'] }), line('many', 10), line('last', 1)]
    assert.deepEqual(
      chooseFitting(lines, 24).map(({ sequence }) => sequence),
      [1, 10, 1],
    )
    assert.throws(() => chooseFitting(lines, 23), { code: 'over-limit', hint: 'name one channel' })
  })

  test('many channels of many releases that need nothing of each other take one look each', () => {
    const lines = Array.from({ length: 40 }, (_, i) => line(`p${i}`, 64))
    assert.deepEqual(
      chosen(...lines),
      lines.map(() => 64),
    )
  })
})

test('those come together of which one needs something of the other, before or after', () => {
  const groups = (...lines: readonly Line[]): unknown => fittingGroups(lines, chooseFitting(lines))
  assert.deepEqual(groups(line('base', 2, { 2: ['kernel>=2'] }), line('comp', 2), line('kernel', 2), line('still', 1)), [[0, 2], [1]])
  assert.deepEqual(groups(line('a', 2, { 1: ['b<=1'], 2: [] }), line('b', 2)), [[0, 1]])
  assert.deepEqual(groups(line('a', 2, { 2: ['c>=2'] }), line('b', 2, { 2: ['c>=2'] }), line('c', 2)), [[0, 1, 2]])
  assert.deepEqual(groups(line('a', 1)), [])
  // Of a group it is enough to need one, and whoever needs two groups makes them one.
  assert.deepEqual(groups(line('a', 2, { 2: ['b>=2'] }), line('b', 2), line('c', 2, { 2: ['b>=2'] })), [[0, 1, 2]])
  assert.deepEqual(groups(line('a', 2, { 2: ['c>=2'] }), line('b', 2), line('c', 2), line('d', 2, { 2: ['a', 'b'] })), [[0, 1, 2, 3]])
})
