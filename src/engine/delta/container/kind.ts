import { isAr } from '../../../format/ar.ts'
import { isXz } from '../../../format/xz.ts'
import { isZip } from '../../../format/zip.ts'
import { isZstd } from '../../../format/zstd-frame.ts'
import { blockSize } from '../../../format/tar.ts'
import { hasGoodChecksum } from '../../../format/tar-numbers.ts'
import type { ContainerKind } from '../../../format/container-delta.ts'

/** Bytes that are enough to tell. */
export const containerStartSize: number = blockSize

/** What the first bytes of a file say it is, as far as it could be opened. */
export function kindOfContainer(start: Uint8Array): ContainerKind {
  if (start[0] === 0x1f && start[1] === 0x8b && start[2] === 8) return 'gzip'
  if (isXz(start)) return 'xz'
  if (isBzip2(start)) return 'bzip2'
  if (isZstd(start)) return 'zstd'
  if (isZip(start)) return 'zip'
  if (isAr(start)) return 'ar'
  if (start.length >= blockSize && hasGoodChecksum(start.subarray(0, blockSize))) return 'tar'
  return isLzma(start) ? 'lzma' : 'other'
}

function isBzip2(start: Uint8Array): boolean {
  const [b, z, h, level = 0, pi, alsoPi] = start
  return b === 0x42 && z === 0x5a && h === 0x68 && level >= 0x31 && level <= 0x39 && pi === 0x31 && alsoPi === 0x41
}

/** The properties that every encoder has by default, a dictionary of a usual size, a size that is not absurd or not known. */
function isLzma(start: Uint8Array): boolean {
  if (start.length < 18 || start[0] !== 0x5d || start[1] !== 0 || start[2] !== 0 || start[13] !== 0) return false
  const [, , , low = 0, high = 0] = start
  const size = start.subarray(5, 13)
  const isKnown = (size[5] as number) === 0 && (size[6] as number) === 0 && (size[7] as number) === 0
  return (low !== 0 || high !== 0) && (isKnown || size.every((byte) => byte === 0xff))
}
