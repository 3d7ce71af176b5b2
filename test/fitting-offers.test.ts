import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { describeKeptBack, fitOffers, goalsNamed, refuseKeptBack } from '../src/engine/client/fetch/fitting-offers.ts'
import { channelFile, channelFiles } from '../src/engine/client/state.ts'
import { encodeTerms } from '../src/format/release-terms.ts'
import { amd64, enrolledOf, follower, installedOf, record, servedRecord, trustIn } from './helpers/listed-releases.ts'
import { releaseName } from './helpers/repository.ts'
import type { FittingOffers, Goals } from '../src/engine/client/fetch/fitting-offers.ts'
import type { Offer } from '../src/engine/client/fetch/offer.ts'
import type { Listing } from '../src/format/listing.ts'
import type { Need } from '../src/format/need.ts'
import type { Update } from '../src/format/update.ts'
import type { Following, Served } from './helpers/listed-releases.ts'
import type { Literal } from './helpers/plant.ts'

/** Offers of several channels that fit each other, and which release a name means. */

const needs = (product: string, from: number): Pick<Update, 'needs'> & { readonly needs: readonly Need[] } => ({
  needs: [{ channel: amd64(product), optional: false, from: { sequence: from, revision: `${from}` } }],
})

/** Records up to `to`, all of which may be come to, with the digests of what is served for them. */
function offerOf(product: string, to: number, more: Readonly<Record<number, Partial<Update>>> = {}, installed = 1): Offer {
  const updates = Array.from({ length: to - installed }, (_, i) => record(installed + 1 + i, more[installed + 1 + i], product))
  return {
    enrolled: enrolledOf(product),
    installed: installedOf(product, installed),
    trust: trustIn({}),
    updates: updates.map(markVerified),
    goals: updates.map(markVerified),
    records: updates.map((update) => servedRecord(update).info.sha256).toReversed(),
    listed: new Map(),
    isHeld: false,
  }
}

const all: Goals = ({ goals }) => goals

async function fitted(offers: readonly Offer[], { following, on = {}, goals = all }: Partial<Fitted> = {}): Promise<FittingOffers> {
  const enrolled = following ?? Object.fromEntries(offers.map(({ enrolled: { channel } }) => [channel.product, {}]))
  return await fitOffers(await follower(enrolled, on), offers, goals)
}

type Fitted = { readonly following: Following; readonly on: Literal; readonly goals: Goals }

/** `base 2, 3`: the records that come, of each group. */
const shown = ({ groups }: FittingOffers): readonly (readonly string[])[] =>
  groups.map((group) =>
    group.map(({ enrolled, updates }) => `${enrolled.channel.product} ${updates.map(({ value }) => value.sequence).join(', ')}`),
  )

test('what needs nothing of each other comes by itself, with all of its records', async () => {
  const [base, comp] = [offerOf('base', 3), offerOf('comp', 2)]
  const found = await fitted([comp, base], { following: { base: {}, comp: {}, x11: {} } })
  assert.deepEqual([shown(found), found.keptBack], [[['base 2, 3'], ['comp 2']], []])
  assert.deepEqual(found.groups, [[base], [comp]])
})

test('what needs each other comes together', async () => {
  const found = await fitted([offerOf('base', 2, { 2: needs('comp', 2) }), offerOf('comp', 2)])
  assert.deepEqual([shown(found), found.keptBack], [[['base 2', 'comp 2']], []])
})

test('an offer ends with the release to come to, as if nothing had come after it', async () => {
  const base = offerOf('base', 4, { 4: needs('comp', 5), 3: needs('comp', 2) })
  const found = await fitted([base, offerOf('comp', 2)])
  const upTo3 = { ...base, updates: base.updates.slice(0, 2), goals: base.goals.slice(0, 2), records: base.records.slice(1) }
  assert.deepEqual(found.groups[0]?.[0], upTo3)
  const [need] = needs('comp', 5).needs
  const instead = { kind: 'release', name: releaseName('2', { product: 'comp' }), isInstalled: false } as const
  const keptBack = { channel: 'base/amd64', release: 'base-4-20260101-amd64', unmet: { by: releaseName('4'), need, instead } }
  assert.deepEqual(found.keptBack, [keptBack])
  assert.equal(
    describeKeptBack(found.keptBack[0] as never),
    'base/amd64: base-4-20260101-amd64 is not installed: base-4-20260101-amd64 needs comp/amd64 from 5 on, and comp-2-20260101-amd64 would come',
  )
})

test('a channel that is not asked for stays, with what its installed release needs', async () => {
  const terms = encodeTerms(releaseName('1', { product: 'comp' }), {
    needs: [{ channel: amd64('base'), optional: false, to: { sequence: 2, revision: '2' } }],
    generated: [],
  })
  const on: Literal = { [channelFile(amd64('comp'), channelFiles.terms)]: { kind: 'file', content: terms } }
  const found = await fitted([offerOf('base', 3)], { following: { base: {}, comp: {} }, on })
  assert.deepEqual([shown(found), found.keptBack.map(({ channel }) => channel)], [[['base 2']], ['base/amd64']])
  const free = await fitted([offerOf('base', 3)], { following: { base: {}, comp: {} } })
  assert.deepEqual([shown(free), free.keptBack], [[['base 2, 3']], []])
})

test('only goals are come to, and another repository’s channel counts as none', async () => {
  const offers = [offerOf('base', 3), offerOf('comp', 3)]
  const goals: Goals = ({ enrolled, goals: own }) => (enrolled.channel.product === 'base' ? own.slice(0, 1) : [])
  assert.deepEqual(shown(await fitted(offers, { goals })), [['base 2']])
  const elsewhere: Following = { base: {}, comp: { repository: '1'.repeat(16) } }
  const found = await fitted([offerOf('base', 2, { 2: needs('comp', 1) })], { following: elsewhere })
  assert.deepEqual([found.groups, found.keptBack[0]?.unmet.instead], [[], { kind: 'elsewhere' }])
})

test('where nothing can be installed, the way out is told', async () => {
  const ways = [
    [{ base: {} }, /^follow it: bindery enroll URL ROOT\.json comp\/amd64$/],
    [{ base: {}, comp: { repository: '1'.repeat(16) } }, /^enroll comp\/amd64 from the repository that base-2-20260101-amd64 comes from$/],
    [{ base: {}, comp: {} }, /^both channels have to be installed together/],
  ] as const
  for (const [following, hint] of ways) {
    const { keptBack } = await fitted([offerOf('base', 2, { 2: needs('comp', 2) })], { following })
    const expected = { code: 'unmet-need', subject: 'base/amd64', message: /^base-2-20260101-amd64 is not installed: /, hint }
    assert.throws(() => refuseKeptBack(keptBack[0] as never), expected)
  }
})

// --- by name

const sequences = (goals: Goals, offer: Offer): readonly number[] => goals(offer).map(({ value }) => value.sequence)

test('a release is meant by its name or its revision, in all channels that have it', async () => {
  const [base, comp] = [offerOf('base', 4), offerOf('comp', 2)]
  const by = async (to: string): Promise<readonly (readonly number[])[]> => {
    const goals = await goalsNamed([base, comp], to)
    return [sequences(goals, base), sequences(goals, comp)]
  }
  assert.deepEqual(await by('2'), [[2], [2]])
  assert.deepEqual(await by('3'), [[3], []])
  assert.deepEqual(await by('comp-2-20260101-amd64'), [[], [2]])
  // What is installed is there already: nothing is to come.
  assert.deepEqual(await by('1'), [[], []])
  assert.deepEqual(await by('base-1-20260101-amd64'), [[], []])
})

test('of several releases of one revision the newest is meant', async () => {
  const later = { release: { ...record(3).release, name: releaseName('2', { date: '20260201' }) } }
  const offer = offerOf('base', 4, { 3: later })
  assert.deepEqual(sequences(await goalsNamed([offer], '2'), offer), [3])
})

type Named = readonly [number, Partial<Listing>?, Partial<Update>?]

async function naming(to: string, installed: number, ...listed: readonly Named[]): Promise<unknown> {
  const blobs: readonly Served[] = listed.map(([sequence, listing, more]) => servedRecord(record(sequence, more), listing))
  const base = { ...offerOf('base', installed, {}, installed), trust: trustIn({ 'base-amd64': blobs }) }
  const comp = { ...offerOf('comp', 7, {}, 7), trust: trustIn({ 'comp-amd64': [] }) }
  const error: unknown = await goalsNamed([comp, base], to).catch((cause: unknown) => cause)
  assert.ok(error instanceof BinderyError, String(error))
  return [error.code, error.subject, error.hint]
}

test('a name that is not offered is refused, with what it is instead', async () => {
  const unknown = ['not-found', undefined, "'bindery check' shows the newest ones"]
  const older = ['downgrade', 'base/amd64', "'bindery rollback --to base-2-20260101-amd64' goes back to what was installed here"]
  assert.deepEqual(await naming('9', 3, [1], [2], [3]), unknown)
  assert.deepEqual(await naming('2', 3, [1], [2], [3]), older)
  assert.deepEqual(await naming('base-2-20260101-amd64', 3, [1], [2], [3]), older)
  assert.deepEqual(await naming('4', 3, [4, { withdrawn: true }]), ['not-found', 'base/amd64', undefined])
  assert.deepEqual(await naming('2', 3, [2, { withdrawn: true }]), ['not-found', 'base/amd64', undefined])
  // Listed, and not offered to this machine.
  assert.deepEqual(await naming('4', 3, [4]), unknown)
  // In the place of the installed one, which was taken out of the repository: never installed here, and not older.
  assert.deepEqual(await naming('5', 3, [3, {}, { release: { ...record(3).release, name: releaseName('5') } }]), unknown)
})
