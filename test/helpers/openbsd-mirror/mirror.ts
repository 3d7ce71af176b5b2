import { createHash } from 'node:crypto'
import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromLatin1, latin1 } from '../../../src/base/bytes.ts'
import { signatureBy } from '../../../src/engine/repo/key-file.ts'
import { generateKey, openSigner } from '../../../src/engine/repo/keys.ts'
import { encodeUpdateDb } from '../../../src/format/openbsd/update-db.ts'
import { encodeSignedMessage } from '../../../src/format/signify.ts'
import { packageFile } from './package-file.ts'
import { packageOf, packingList, updateLines } from './package-facts.ts'
import type { PackageKey } from './package-file.ts'
import type { PackageFacts } from './package-facts.ts'

/** Folders that look like `/pub/OpenBSD/snapshots/packages/amd64/` of a mirror, for a catalog of packages. */
export type MirrorOptions = {
  readonly folder: string
  readonly packages: readonly PackageFacts[]
  /** Packages are unsigned without. */
  readonly key?: PackageKey
  /** When quirks was signed, and all else. */
  readonly date?: string
  /** `quirks-7.103` unless told; without one where this is false. */
  readonly quirks?: string | false
}

export const mirrorDate = '2026-11-20T09:30:15Z'

/** The same key for the same seed. */
export async function packageKey(
  name = 'openbsd-78-pkg',
  seed = 1,
): Promise<PackageKey & { readonly publicKeyFile: Uint8Array; readonly secretKeyFile: Uint8Array }> {
  let turn = 0
  const random = {
    bytes: (count: number) => new Uint8Array(createHash('sha512').update(`${name} ${seed} ${turn++}`).digest().subarray(0, count)),
  }
  const pair = await generateKey(random, { comment: name })
  const signer = await openSigner(pair.secretKeyFile, async () => await Promise.reject(new Error('it has no passphrase')))
  return { signer, name, ...pair }
}

/** Writes packages, quirks with its update.db, SHA256, SHA256.sig and index.txt. Answers the files in the order of index.txt. */
export async function writeMirror(options: MirrorOptions): Promise<readonly string[]> {
  const { folder, key, date = mirrorDate } = options
  mkdirSync(folder, { recursive: true })
  const written: string[] = []
  const sums: string[] = []
  for (const facts of withQuirks(options)) {
    const bytes = await packageFile(facts, key, date)
    writeFileSync(join(folder, `${facts.name}.tgz`), bytes)
    written.push(`${facts.name}.tgz`)
    sums.push(`SHA256 (${facts.name}.tgz) = ${createHash('sha256').update(bytes).digest('base64')}\n`)
  }
  writeChecksums(folder, sums.join(''), key)
  const files = [...written, 'SHA256', ...(key === undefined ? [] : ['SHA256.sig'])].toSorted()
  for (const name of files) utimesSync(join(folder, name), Date.parse(date) / 1000, Date.parse(date) / 1000)
  writeIndexTxt(folder, files)
  return files
}

function writeChecksums(folder: string, sums: string, key: PackageKey | undefined): void {
  const message = fromLatin1(sums)
  writeFileSync(join(folder, 'SHA256'), message)
  if (key === undefined) return
  const signature = signatureBy(key.signer, message, `verify with ${key.name}.pub`)
  writeFileSync(join(folder, 'SHA256.sig'), encodeSignedMessage({ signature, message }))
}

function withQuirks({ packages, quirks = 'quirks-7.103' }: MirrorOptions): readonly PackageFacts[] {
  if (quirks === false) return packages
  const database = latin1(encodeUpdateDb(packages.map((facts) => ({ name: facts.name, lines: updateLines(facts) }))))
  const files = [
    { path: 'libdata/perl5/site_perl/OpenBSD/Quirks.pm', content: 'package OpenBSD::Quirks;\n1;\n' },
    { path: 'share/update.db', content: database },
  ]
  const facts = packageOf({ name: quirks, pkgpath: 'devel/quirks', options: ['always-update'], files })
  return [...packages, facts].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** As `ls -nT` prints it. */
export function writeIndexTxt(folder: string, files: readonly string[]): void {
  const lines = files.map((name) => {
    const { size, mtimeMs } = statSync(join(folder, name))
    return `-rw-r--r--  1 0  0 ${String(size).padStart(12)} ${lsTime(mtimeMs)} ${name}\n`
  })
  writeFileSync(join(folder, 'index.txt'), lines.join(''))
}

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

function lsTime(ms: number): string {
  const time = new Date(ms)
  const clock = time.toISOString().slice(11, 19)
  return `${months[time.getUTCMonth()] as string} ${String(time.getUTCDate()).padStart(2)} ${clock} ${time.getUTCFullYear()}`
}

/** `/var/db/pkg` of a machine that has these packages, below `root`. */
export function installPackages(
  root: string,
  packages: readonly PackageFacts[],
  signed?: { readonly signer: string; readonly date: string },
): void {
  for (const facts of packages) {
    const folder = join(root, 'var/db/pkg', facts.name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, '+CONTENTS'), packingList(facts, signed), 'latin1')
    writeFileSync(join(folder, '+DESC'), `${facts.name}\n`)
  }
}
