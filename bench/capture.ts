import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, quote } from './harness.ts'
import type { Bench, Job } from './harness.ts'

/**
 * `capture` of a small change: over a root of 100,000 small files in an overlay, beside chroot(8) with the same command
 * in the tree itself; over the real tree as a snapshot, beside two runs of mtree(8), which is the least that finding
 * changes without an overlay costs.
 */
export const bench: Bench = {
  name: 'capture',
  run: async ({ trees, smoke, work, compare }) => {
    const many = join(work, 'many')
    plantMany(many, smoke ? 1000 : 100_000)
    const change = "/world/sh -c 'echo x > d1/new; /world/rm -f d2/f3; echo y >> d3/f4'"
    const out = quote(join(work, 'taken'))
    const capture = (root: string, kind: string): Job => ({
      command: `rm -rf ${out} && ${bindery} -q capture ${quote(root)} -o ${out} --sandbox ${kind} -- ${change} >/dev/null`,
    })
    const { overlay, bare } = compare({ overlay: capture(many, 'overlay'), bare: `chroot ${quote(many)} ${change}` })
    const copy = join(work, 'copy')
    execFileSync('cp', ['-a', trees.old, copy])
    plantWorld(copy)
    const mtree = `mtree -c -K sha256 -p ${quote(copy)} > m`
    const touch = "/world/sh -c 'echo x > captured'"
    const { snapshot, twice } = compare({
      snapshot: `rm -rf ${out} && ${bindery} -q capture ${quote(copy)} -o ${out} --sandbox snapshot -- ${touch} >/dev/null`,
      twice: `${mtree} && ${mtree}`,
    })
    return [
      {
        what: 'overlay over 100,000 files, beyond the command',
        unit: 's',
        ours: overlay.wallSeconds - bare.wallSeconds,
        goal: { of: 'ours', atMost: 0.5 },
      },
      { what: 'the same, memory', unit: 'MiB', ours: overlay.peakMiB },
      {
        what: 'snapshot of the real tree',
        unit: 's',
        ours: snapshot.wallSeconds,
        peer: { name: 'twice `mtree -c -K sha256`', value: twice.wallSeconds },
        goal: { of: 'ratio', atMost: 1.2 },
      },
    ]
  },
}

function plantMany(root: string, count: number): void {
  for (let n = 0; n < count; n++) {
    if (n % 100 === 0) mkdirSync(join(root, `d${n / 100}`), { recursive: true })
    writeFileSync(join(root, `d${Math.floor(n / 100)}`, `f${n % 100}`), `${n}\n`)
  }
  plantWorld(root)
}

/** busybox as sh and rm, and what it wants. */
function plantWorld(root: string): void {
  for (const folder of ['world', 'dev', 'proc']) mkdirSync(join(root, folder), { recursive: true })
  for (const name of ['sh', 'rm']) copyFileSync('/bin/busybox', join(root, 'world', name))
}
