import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import {
  channelOf,
  channelOfRole,
  channelRole,
  deltaFileName,
  formatChannel,
  formatDistName,
  isDistName,
  manifestDeltaFileName,
  parseChannel,
  parseDistName,
} from '../src/base/name.ts'

const long = 'x'.repeat(64)
const name = { product: 'base-extra', revision: '1.0+a_b', date: '20260101', arch: 'amd64' }

test("a dist's name is split from the right, since a product may hold a dash", () => {
  assert.equal(formatDistName(name), 'base-extra-1.0+a_b-20260101-amd64')
  for (const product of ['base', 'base-extra', 'a.b_c+d-', 'Z9', long])
    assert.deepEqual(parseDistName(formatDistName({ ...name, product })), { ...name, product })
  assert.deepEqual(channelOf(name), { product: 'base-extra', arch: 'amd64' })
})

test('what a file system, a URL or a shell could take for something else is no name', () => {
  for (const bad of ['', '.x', '-x', '_x', '../x', 'x/y', 'x y', 'x\n', '\nx', 'x:y', `${long}x`]) {
    for (const part of ['product', 'revision', 'arch'] as const) assert.equal(isDistName({ ...name, [part]: bad }), false, `${part} ${bad}`)
    assert.equal(parseDistName(`${bad}-1.0-20260101-amd64`), undefined, bad)
  }
  for (const part of ['revision', 'arch']) assert.equal(isDistName({ ...name, [part]: 'a-b' }), false)
  for (const date of ['2026010', '202601011', 'x20260101', '2026010x', '2026-1-1']) assert.equal(isDistName({ ...name, date }), false, date)
  for (const short of ['', 'base', 'base-1.0-20260101', '1.0-20260101-amd64']) assert.equal(parseDistName(short), undefined, short)
})

test('a name holds at most 64 characters in each part', () => {
  assert.equal(isDistName({ product: long, revision: long, date: '20260101', arch: long }), true)
  assert.equal(isDistName({ ...name, product: 'a', revision: '1', arch: 'b' }), true)
})

test('a channel is a product and an architecture', () => {
  assert.deepEqual(parseChannel('base-extra/amd64'), { product: 'base-extra', arch: 'amd64' })
  assert.equal(formatChannel(parseChannel('base/amd64')), 'base/amd64')
  for (const bad of [
    '',
    'base',
    '/amd64',
    'base/',
    'base/amd64/x',
    'base/amd64/',
    '-base/amd64',
    'base/am-d64',
    'b ase/amd64',
    'base/am d64',
  ])
    assert.throws(
      () => parseChannel(bad),
      (error) => isBinderyError(error, 'usage'),
      bad,
    )
})

test('the role of a channel says which channel it is', () => {
  assert.equal(channelRole({ product: 'base-extra', arch: 'amd64' }), 'base-extra-amd64')
  assert.deepEqual(channelOfRole('base-extra-amd64'), { product: 'base-extra', arch: 'amd64' })
  for (const role of ['', 'targets', '-amd64', 'base-', 'ba se-amd64', 'base-am d64', 'base-extra/amd64'])
    assert.equal(channelOfRole(role), undefined, role)
})

test('a delta is named after both releases', () => {
  assert.equal(deltaFileName('a-1', 'a-2'), 'a-1_to_a-2.delta')
  assert.equal(manifestDeltaFileName('a-1', 'a-2'), 'a-1_to_a-2.mtree.delta')
})
