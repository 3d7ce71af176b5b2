import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bindery, quote } from './harness.ts'
import { benchMirror, rebuilder } from './mirror.ts'
import type { Bench } from './harness.ts'

/** An index of a mirror in a folder, beside genpkgup's way of making one; and again when some packages have changed. */
export const bench: Bench = {
  name: 'pkgindex',
  run: async (kit) => {
    const mirror = await benchMirror(kit)
    const rebuild = await rebuilder(mirror, 20)
    const folder = quote(mirror.packages)
    const out = join(kit.work, 'index.pkgup.gz')
    const forget = (): void => rmSync(join(kit.work, '.index.pkgup.gz.state'), { force: true })
    const run = `${bindery} pkgindex ${folder} -o ${quote(out)}`
    const plain = (how: string): string => `node ${quote(resolve('bench/genpkgup.ts'))} ${how} ${folder} > plain`
    const { first, full, head } = kit.compare({ first: { before: forget, command: run }, full: plain('full'), head: plain('head') }, 3)
    let turn: 'first' | 'other' = 'first'
    const change = (): void => rebuild((turn = turn === 'first' ? 'other' : 'first'))
    const { again, changed } = kit.compare({ again: run, changed: { before: change, command: run } })
    rebuild('first')
    const name = `${mirror.catalog.length} packages`
    return [
      {
        what: `${name}, beside a full read of each`,
        unit: 's',
        ours: first.wallSeconds,
        peer: { name: 'genpkgup, reading to the end', value: full.wallSeconds },
        goal: { of: 'ratio', atMost: 1 / 3 },
      },
      { what: `${name}, beside genpkgup's way`, unit: 's', ours: first.wallSeconds, peer: { name: 'genpkgup', value: head.wallSeconds } },
      { what: `${name}, memory`, unit: 'MiB', ours: first.peakMiB, peer: { name: 'genpkgup', value: head.peakMiB } },
      { what: 'after 20 changes', unit: 's', ours: changed.wallSeconds, goal: { of: 'ours', atMost: 1 } },
      { what: 'after no change', unit: 's', ours: again.wallSeconds },
    ]
  },
}
