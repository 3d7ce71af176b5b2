import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeBuilt } from '../../src/format/built.ts'
import { unsignedPackage } from './openbsd-mirror/package-file.ts'
import type { Sha256 } from '../../src/base/digest.ts'
import type { PackageFacts } from './openbsd-mirror/package-facts.ts'

/** What `farm build` leaves behind for these packages, without a build. */
export function writeBuiltFolder(folder: string, packages: readonly PackageFacts[], arch = 'amd64', release = '7.6'): void {
  mkdirSync(join(folder, 'packages'), { recursive: true })
  const built = packages.map((facts) => {
    const bytes = unsignedPackage(facts)
    writeFileSync(join(folder, `packages/${facts.name}.tgz`), bytes)
    return {
      file: `${facts.name}.tgz`,
      pkgpath: facts.pkgpath,
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex') as Sha256,
      signature: `${facts.name},0`,
      log: '',
      reproducible: undefined,
    }
  })
  writeFileSync(
    join(folder, 'manifest.json'),
    encodeBuilt({ release, arch, packages: built.toSorted((a, b) => (a.file < b.file ? -1 : 1)), failed: [] }),
  )
}
