import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { needs } from './helpers/programs.ts'
import { folderInMemory } from './helpers/temporary.ts'
import { networkPoints } from './torture/network.ts'
import { makeNetworkSite } from './torture/network-site.ts'
import type { NetworkSite } from './torture/network-site.ts'
import type { Point } from './torture/machines.ts'

/** Two points of `make torture-network`, other ones each day, and that its judge sees what is wrong. */

const today = Math.floor(Date.now() / 86_400_000)
const work = folderInMemory('bindery-torture-network-test-')
after(() => rmSync(work, { recursive: true, force: true }))

describe('torture-network', needs('bash'), () => {
  let site: NetworkSite
  before(async () => void (site = await makeNetworkSite(work)))
  after(async () => await site.close())

  for (const turn of [0, 1]) {
    test(`point ${turn + 1} of today`, async () => {
      const rows = Object.entries(networkPoints(site).points)
      const [what, points] = rows[(today + 3 * turn) % rows.length] as (typeof rows)[number]
      const { name, faults } = points[(today * 37 + turn) % points.length] as Point
      assert.deepEqual(await faults(), [], `${what}: ${name}`)
    })
  }

  test('what a mirror serves too much of is found', async () => {
    const wasteful: NetworkSite = { ...site, signedSize: () => -(1 << 20) }
    const [point] = networkPoints(wasteful).points['delta damaged on one mirror'] ?? []
    assert.match((await point?.faults())?.join('\n') ?? '', /bytes of .*, signed as/)
  })
})
