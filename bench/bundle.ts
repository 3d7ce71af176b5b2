import { join } from 'node:path'
import { bindery, quote } from './harness.ts'
import { bytesWritten, changedBytes } from './writes.ts'
import type { Bench, Kit } from './harness.ts'

/** One update by a bundle: how large it is, and what it writes where flash must not be worn. */
export const bench: Bench = {
  name: 'bundle',
  run: async (kit) => {
    const at = (name: string): string => quote(join(kit.work, name))
    const made = publishedBundle(kit)
    kit.measure(`cp -a ${quote(kit.trees.old)} ${at('machine')}`)
    const written = join(kit.work, 'writes')
    kit.measure(
      `strace --seccomp-bpf -f -qq -y -s 0 -e trace=write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile -o ${quote(written)} sh ${at('update.sh')} -R ${at('machine')}`,
    )
    const back = kit.measure(`sh ${at('update.sh')} -R ${at('machine')} rollback`)
    const install = kit.measure(`sh ${at('update.sh')} -R ${at('machine')}`)
    return [
      {
        what: 'bytes written by a bundle',
        unit: 'bytes',
        ours: bytesWritten(written, join(kit.work, 'machine')),
        peer: { name: 'bytes of the changed files', value: changedBytes(kit.trees) },
        goal: { of: 'ratio', atMost: 1.1 },
      },
      { what: '`bundle`', unit: 's', ours: made.wallSeconds },
      { what: '`bundle`, memory', unit: 'MiB', ours: made.peakMiB },
      { what: '`sh BUNDLE`', unit: 's', ours: install.wallSeconds },
      { what: '`sh BUNDLE rollback`', unit: 's', ours: back.wallSeconds },
    ]
  },
}

function publishedBundle(kit: Kit): ReturnType<Kit['measure']> {
  const at = (name: string): string => quote(join(kit.work, name))
  kit.measure(`${bindery} init -r ${at('repo')} -k ${at('keys')} --no-passphrase`)
  for (const [side, revision] of [
    ['old', '1.0'],
    ['new', '1.1'],
  ] as const) {
    const name = `--product bench --revision ${revision} --date 20260101 --arch amd64`
    kit.measure(`${bindery} cut ${quote(kit.trees[side])} -o ${at(`${side}.tar.zst`)} ${name}`)
    // The trees have no shell that could run steps.
    kit.measure(`${bindery} publish -r ${at('repo')} -k ${at('keys')} --system none --deltas 0 ${at(`${side}.tar.zst`)}`)
  }
  return kit.measure(`${bindery} bundle -r ${at('repo')} -o ${at('update.sh')} bench/amd64`)
}
