import { BinderyError } from '../../base/error.ts'
import { headerSize, readHeader } from '../../format/gzip.ts'
import type { ByteSource } from '../../port/source.ts'

/** The header of any gzip file, a signed one's too: its comment is replaced. */
const maxHeader = 17 << 20

export async function gzipHeaderOf(gzip: ByteSource): Promise<{ readonly start: number; readonly effort: number }> {
  for (let size = 4096; ; size *= 16) {
    const header = readHeader(await gzip.read(0, Math.min(size, gzip.size)), 0)
    if (header !== undefined) return { start: headerSize(header), effort: header.effort }
    if (size >= Math.min(gzip.size, maxHeader)) throw new BinderyError('bad-format', 'is no gzip file', { subject: gzip.label })
  }
}
