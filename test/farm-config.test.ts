import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeFarmConfig } from '../src/format/farm-config.ts'
import { isHandoverDue } from '../src/engine/farm/handover-due.ts'
import { literalLines } from './helpers/mdoc.ts'
import type { Build } from '../src/port/farm-build.ts'

const least = `key = "k.pub"
[branch.stable]
release = "7.6"
git = "/ports"
from = "release"
to = "stable"
archs = ["amd64"]
`

test('the least farm.toml, and what it leaves to its defaults', () => {
  const config = decodeFarmConfig(utf8(least))
  assert.deepEqual(config.branches, [
    {
      name: 'stable',
      product: undefined,
      release: '7.6',
      source: { kind: 'git', place: '/ports', module: undefined },
      from: 'release',
      to: 'stable',
      sqlports: undefined,
      archs: ['amd64'],
      tags: [],
      everySeconds: 28_800,
      poll: undefined,
      cves: undefined,
    },
  ])
  const { leaseSeconds, publish, graceHours, handoverSeconds, builders, keep } = config
  assert.deepEqual(
    { leaseSeconds, publish, graceHours, handoverSeconds, builders, keep },
    {
      leaseSeconds: 120,
      publish: 'public',
      graceHours: 24,
      handoverSeconds: 3600,
      builders: [],
      keep: { eventDays: 400, logDays: 60, requestDays: 60 },
    },
  )
})

test('the example of the manual is one', () => {
  const lines = literalLines(readFileSync('man/bindery-farm-run.1', 'utf8'), 'FILES')
  const start = lines.findIndex((line) => line.startsWith('key ='))
  const end = lines.findIndex((line) => line.startsWith('flags ='))
  const config = decodeFarmConfig(utf8(lines.slice(start, end + 1).join('\n')))
  assert.deepEqual(
    config.builders.map(({ flags }) => flags[0]),
    ['--pkg-path'],
  )
})

const wrong: readonly (readonly [string, string, RegExp])[] = [
  ['no TOML', 'key =', /is no TOML/],
  ['a word that is mistyped', least.replace('archs', 'arch'), /\[branch\.stable\] has 'arch'/],
  ['no branch', 'key = "k"', /has no branch/],
  ['two sources', `${least}cvs = "/cvs"\n`, /one of cvs and git/],
  ['no architecture', least.replace('["amd64"]', '[]'), /archs is missing/],
  ['a lease that is too short', `lease = 5\n${least}`, /lease is no whole number from 10/],
  ['a name that leads elsewhere', least.replace('branch.stable', 'branch."../x"'), /no plain name/],
  [
    'two branches for one place',
    least + least.replace('key = "k.pub"\n', '').replace('stable', 'other'),
    /both make packages of 7\.6 for amd64/,
  ],
]

for (const [what, text, message] of wrong)
  test(`${what} is refused`, () => {
    assert.throws(
      () => decodeFarmConfig(utf8(text)),
      (error) => isBinderyError(error, 'bad-format') && message.test(error.message),
    )
  })

test('a request is made when nothing more is to come, after a while, and at once for security', () => {
  const built = { since: 1000_000, isSecurity: false } as Build
  const pending = { built: [built], unfinished: 1, now: 1000_000, mostSeconds: 60 }
  assert.equal(isHandoverDue(pending), false)
  assert.equal(isHandoverDue({ ...pending, unfinished: 0 }), true)
  assert.equal(isHandoverDue({ ...pending, now: 1060_000 }), true)
  assert.equal(isHandoverDue({ ...pending, built: [{ ...built, isSecurity: true }] }), true)
  assert.equal(isHandoverDue({ ...pending, built: [], unfinished: 0 }), false)
})
