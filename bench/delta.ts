import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { bindery, quote } from './harness.ts'
import type { Bench, Kit, Row, Usage } from './harness.ts'

/** `delta` and `patch` between two whole systems as tars, beside bsdiff, xdelta3 and zstd --patch-from on the same tars. */
export const bench: Bench = {
  name: 'delta',
  run: async (kit) => {
    cutBoth(kit)
    const { ours, patched } = oursOf(kit)
    const size = (file: string): number => statSync(join(kit.work, file)).size
    const delta = size('ours')
    const rows: Row[] = peersOf(kit).flatMap(({ name, made, applied, file, ...goals }): readonly Row[] => [
      { what: `delta: size, beside ${name}`, unit: 'bytes', ours: delta, peer: { name, value: size(file) }, ...goals.size },
      { what: `delta: time, beside ${name}`, unit: 's', ours: ours.wallSeconds, peer: { name, value: made.wallSeconds }, ...goals.time },
      { what: `delta: memory, beside ${name}`, unit: 'MiB', ours: ours.peakMiB, peer: { name, value: made.peakMiB } },
      { what: `patch: time, beside ${name}`, unit: 's', ours: patched.pipe.wallSeconds, peer: { name, value: applied.wallSeconds } },
      { what: `patch: memory, beside ${name}`, unit: 'MiB', ours: patched.pipe.peakMiB, peer: { name, value: applied.peakMiB } },
    ])
    const rate = (usage: Usage): number => size('new.tar') / 1e6 / usage.wallSeconds
    return [
      ...rows,
      { what: 'delta: memory', unit: 'MiB', ours: ours.peakMiB, goal: { of: 'ours', atMost: 512 } },
      { what: 'patch: output, old from a file', unit: 'MB/s', ours: rate(patched.file), goal: { of: 'ours', atLeast: 100 } },
      { what: 'patch: output, old from a pipe', unit: 'MB/s', ours: rate(patched.pipe), goal: { of: 'ours', atLeast: 100 } },
      {
        what: 'patch: output, old from gunzip',
        unit: 'MB/s',
        ours: rate(patched.gunzip),
        peer: { name: 'gunzip alone', value: rate(patched.alone) },
      },
      { what: 'patch: memory, old from a file', unit: 'MiB', ours: patched.file.peakMiB, goal: { of: 'ours', atMost: 192 } },
      { what: 'patch: memory, old from a pipe', unit: 'MiB', ours: patched.pipe.peakMiB, goal: { of: 'ours', atMost: 192 } },
    ]
  },
}

/** The tars that all of them work on. */
function cutBoth({ trees, work }: Kit): void {
  for (const side of ['old', 'new'] as const) {
    const name = `--product base --revision ${side} --date 20260101 --arch amd64 --format none`
    execFileSync('bash', ['-c', `${bindery} cut ${quote(trees[side])} -o ${side}.tar ${name}`], { cwd: work })
  }
  execFileSync('bash', ['-c', 'gzip -6 < old.tar > old.tgz'], { cwd: work })
}

function oursOf({ compare }: Kit): {
  readonly ours: Usage
  readonly patched: Readonly<Record<'file' | 'pipe' | 'gunzip' | 'alone', Usage>>
} {
  const { made } = compare({ made: `${bindery} delta old.tar new.tar -o ours` }, 3)
  const patched = compare({
    file: `${bindery} patch ours old.tar | cmp - new.tar`,
    pipe: `cat old.tar | ${bindery} patch ours | cmp - new.tar`,
    gunzip: `gunzip < old.tgz | ${bindery} patch ours | cmp - new.tar`,
    alone: 'gunzip < old.tgz | cmp - old.tar',
  })
  return { ours: made, patched }
}

type Peer = {
  readonly name: string
  readonly file: string
  readonly made: Usage
  readonly applied: Usage
  readonly size?: Pick<Row, 'goal'>
  readonly time?: Pick<Row, 'goal'>
}

/** Once each: the first takes minutes. */
function peersOf({ measure }: Kit): readonly Peer[] {
  return [
    {
      name: 'bsdiff',
      file: 'bsdiff',
      made: measure('bsdiff old.tar new.tar bsdiff'),
      applied: measure('bspatch old.tar out.tar bsdiff && cmp out.tar new.tar'),
      size: { goal: { of: 'ratio', atMost: 1 } },
      time: { goal: { of: 'ratio', atMost: 0.1 } },
    },
    {
      name: 'xdelta3 -9, lzma',
      file: 'xdelta3',
      made: measure('xdelta3 -9 -S lzma -B 268435456 -e -f -s old.tar new.tar xdelta3'),
      applied: measure('xdelta3 -B 268435456 -d -f -c -s old.tar xdelta3 | cmp - new.tar'),
    },
    {
      name: 'zstd -19 --patch-from',
      file: 'zstd',
      made: measure('zstd -q -19 --long=28 -f --patch-from=old.tar new.tar -o zstd'),
      applied: measure('zstd -q -d --long=28 -c --patch-from=old.tar zstd | cmp - new.tar'),
    },
  ]
}
