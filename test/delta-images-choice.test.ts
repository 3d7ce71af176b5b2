import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseImages } from '../src/engine/delta/image/choose.ts'
import { gainCounter } from '../src/engine/delta/image/gain.ts'
import { seedIndexer } from '../src/engine/delta/seed-index.ts'
import { link, randomProgram } from './helpers/executable.ts'
import type { Candidate } from '../src/engine/delta/image/choose.ts'
import type { Program } from './helpers/executable.ts'

type Change = (program: Program) => Program

const gainOf = gainCounter(seedIndexer())

const kind = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false } as const

/** All that comes behind the first function moves, and so does every reference to it. */
const moveAll: Change = (program) => ({
  ...program,
  functions: [{ name: 'f new', seed: 7, size: 333, uses: ['f1'] }, ...program.functions],
})

const changeLast: Change = (program) => ({
  ...program,
  functions: program.functions.map((one, i) => (i === program.functions.length - 1 ? { ...one, seed: one.seed + 1 } : one)),
})

function candidate(seed: number, change: Change): Candidate & { readonly ratings: number } {
  const program = randomProgram(kind, 80, seed)
  const [old, next] = [link(program), link(change(program))]
  let ratings = 0
  return {
    size: next.length,
    gain: async () => {
      ratings++
      return gainOf(old, next)
    },
    get ratings() {
      return ratings
    },
  }
}

const many = [1, 2, 3].map((seed) => candidate(seed, moveAll))
const few = [4, 5, 6].map((seed) => candidate(seed, changeLast))
const all = many.flatMap((one, i) => [...few.slice(i, i + 1), one])
const room = (list: readonly Candidate[]): number => list.reduce((sum, { size }) => sum + size, 0)

test('all executables are chosen where there is room, and none is rated', async () => {
  const unrated = all.map(({ size }) => ({ size, gain: () => assert.fail('rated') }))
  assert.deepEqual(await chooseImages(unrated, room(unrated), 2), new Set<Candidate>(unrated))
})

test('where room is short, those in which most has moved are chosen, wherever they stand', async () => {
  assert.deepEqual(await chooseImages(all, room(many), 2), new Set<Candidate>(many))
})

test('one that does not fit leaves its room to others', async () => {
  const large = { ...candidate(8, moveAll), size: room(all) }
  assert.deepEqual(await chooseImages([large, ...all], room(all), 2), new Set<Candidate>(all))
  assert.deepEqual(await chooseImages([large], 10, 2), new Set<Candidate>())
})

test('each is rated once, also where many are at a time', async () => {
  const list = [1, 2, 3].map((seed) => candidate(seed, moveAll))
  await chooseImages(list, room(list) - 1, 2)
  assert.deepEqual(
    list.map(({ ratings }) => ratings),
    [1, 1, 1],
  )
})
