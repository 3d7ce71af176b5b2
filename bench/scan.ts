import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, quote } from './harness.ts'
import type { Bench } from './harness.ts'

/** `scan` beside `mtree -c` with the same facts, on the new tree, warm; and on an empty tree, which is the start alone. */
export const bench: Bench = {
  name: 'scan',
  run: async ({ trees, work, compare }) => {
    const root = quote(trees.new)
    const empty = join(work, 'empty')
    mkdirSync(empty)
    const peer = 'mtree -c -K sha256'
    const { ours, theirs, manifests, start } = compare({
      ours: `${bindery} scan ${root} -o m`,
      theirs: `${peer} -p ${root} > mtree`,
      manifests: `${bindery} diff m m`,
      start: `${bindery} scan ${quote(empty)}`,
    })
    return [
      {
        what: 'the whole tree',
        unit: 's',
        ours: ours.wallSeconds,
        peer: { name: peer, value: theirs.wallSeconds },
        goal: { of: 'ratio', atMost: 1.5 },
      },
      { what: 'memory', unit: 'MiB', ours: ours.peakMiB, peer: { name: peer, value: theirs.peakMiB } },
      { what: 'an empty tree', unit: 's', ours: start.wallSeconds },
      { what: '`diff` of two manifests of the tree', unit: 's', ours: manifests.wallSeconds },
    ]
  },
}
