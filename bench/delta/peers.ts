import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { bindery } from '../harness.ts'
import type { Files } from './pairs.ts'

/**
 * A program that makes and applies deltas. Both commands are bash pipelines in a folder that holds `old` and `new`;
 * the first makes `delta`, the second makes `out` of `old` and `delta` alone.
 */
export type Tool = {
  readonly name: ToolName
  /** What must be the same for an earlier figure to hold. */
  version(): string
  make(files: Files): string
  apply(files: Files): string
}

export type ToolName = 'bindery' | PeerName
export type PeerName = 'bsdiff' | 'xdelta3 -9 lzma' | 'zstd -19' | 'zstd -22' | 'rdiff + zstd'

export const ours: Tool = {
  name: 'bindery',
  version: () => execFileSync('git', ['describe', '--always', '--dirty=+'], { encoding: 'utf8' }).trim(),
  make: () => `${bindery} delta old new -o delta`,
  apply: () => `${bindery} patch delta old > out`,
}

export const peers: readonly Tool[] = [
  {
    name: 'bsdiff',
    version: () => debianVersion('bsdiff'),
    make: () => 'bsdiff old new delta',
    apply: () => 'bspatch old out delta',
  },
  {
    // The buffer for the old side defaults to 64 MiB, and what lies outside of it is not found.
    name: 'xdelta3 -9 lzma',
    version: () => debianVersion('xdelta3'),
    make: (files) => `xdelta3 -9 -S lzma -B ${2 ** windowBits(files.oldBytes)} -e -f -s old new delta`,
    apply: (files) => `xdelta3 -B ${2 ** windowBits(files.oldBytes)} -d -f -s old delta out`,
  },
  zstd('zstd -19', '-19'),
  zstd('zstd -22', '-22 --ultra'),
  {
    // Its deltas hold the new bytes as they are: whoever uses it compresses them.
    name: 'rdiff + zstd',
    version: () => `${debianVersion('rdiff')}, zstd ${debianVersion('zstd')}`,
    make: () => 'rdiff signature old signature && rdiff delta signature new - | zstd -q -19 -f -o delta && rm signature',
    apply: () => 'zstd -q -d -c delta | rdiff patch old - out',
  },
]

/** The window must reach over both sides, else the start of the old one is forgotten too early. */
function zstd(name: PeerName, level: string): Tool {
  const long = (files: Files): string => `--long=${windowBits(files.oldBytes + files.newBytes)}`
  return {
    name,
    version: () => debianVersion('zstd'),
    make: (files) => `zstd -q ${level} ${long(files)} -f --patch-from=old new -o delta`,
    apply: (files) => `zstd -q -d ${long(files)} -f --patch-from=old delta -o out`,
  }
}

function windowBits(bytes: number): number {
  return Math.max(27, Math.ceil(Math.log2(bytes)))
}

/** The package's version, or on other systems a digest of the program, which is called like its package. */
function debianVersion(name: string): string {
  try {
    return execFileSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    const path = execFileSync('bash', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
    return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12)
  }
}

/**
 * HDiffPatch is in no distribution that the benchmark runs on. Sizes of `hdiffz -m-6` with lzma2, measured elsewhere
 * (November 2026), hold for the same files; that they are the same shows in the size that bsdiff makes of them.
 */
export const hdiffzMeasured: Readonly<Record<string, { readonly bsdiff: number; readonly hdiffz: number }>> = {
  'rollup-openbsd': { bsdiff: 176203, hdiffz: 142164 },
  libc: { bsdiff: 54976, hdiffz: 49494 },
  libcrypto: { bsdiff: 204087, hdiffz: 188514 },
  postgres: { bsdiff: 821147, hdiffz: 640754 },
  'esbuild-openbsd': { bsdiff: 472479, hdiffz: 412637 },
  'lefthook-openbsd': { bsdiff: 166832, hdiffz: 161770 },
  libvips: { bsdiff: 911377, hdiffz: 727739 },
  'esbuild-freebsd': { bsdiff: 174, hdiffz: 58 },
}
