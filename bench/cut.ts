import { statSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, quote } from './harness.ts'
import type { Bench } from './harness.ts'

/** `cut` beside bsdtar into zstd at the same level, warm; the peer neither orders nor syncs what it writes. */
export const bench: Bench = {
  name: 'cut',
  run: async ({ trees, work, compare }) => {
    const root = quote(trees.new)
    const name = '--product base --revision 1 --date 20260101 --arch amd64'
    const peer = 'bsdtar + zstd -3'
    const { ours, theirs } = compare({
      ours: `${bindery} cut ${root} -o ours.tar.zst ${name}`,
      theirs: `bsdtar -cf - -C ${root} . | zstd -q -3 -f -o theirs.tar.zst`,
    })
    // Apart, since these keep the disk busy for a while after they have ended.
    const { plain, peerPlain } = compare({
      plain: `${bindery} cut ${root} -o ours.tar --format none ${name}`,
      peerPlain: `bsdtar -cf theirs.tar -C ${root} .`,
    })
    const size = (file: string): number => statSync(join(work, file)).size
    return [
      {
        what: 'a tree into a compressed dist',
        unit: 's',
        ours: ours.wallSeconds,
        peer: { name: peer, value: theirs.wallSeconds },
        goal: { of: 'ratio', atMost: 1 },
      },
      {
        what: 'its size',
        unit: 'bytes',
        ours: size('ours.tar.zst'),
        peer: { name: peer, value: size('theirs.tar.zst') },
        goal: { of: 'ratio', atMost: 1.02 },
      },
      { what: 'memory', unit: 'MiB', ours: ours.peakMiB, peer: { name: peer, value: theirs.peakMiB }, goal: { of: 'ours', atMost: 200 } },
      { what: 'not compressed', unit: 's', ours: plain.wallSeconds, peer: { name: 'bsdtar', value: peerPlain.wallSeconds } },
    ]
  },
}
