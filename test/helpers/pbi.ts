import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { concatBytes, utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { bzip2 } from '../../src/format/bzip2-encode.ts'
import { end, file } from './tar-builder.ts'

/** What a shell does to a PBI, in the words of PC-BSD's tools. */
export function shell(folder: string, script: string, ...args: readonly string[]): string {
  return execFileSync('sh', ['-euc', script, 'sh', ...args], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

export const png: Uint8Array = concatBytes([Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), utf8('picture')])

export const usualHeader: Readonly<Record<string, string>> = {
  pbi_defaultpath: '/usr/pbi/hello-amd64',
  pbi_name: 'Hello World',
  pbi_version: '1.0',
  pbi_author: 'A. Maker',
  pbi_web: 'http://www.example.org',
  pbi_arch: 'amd64',
  pbi_fbsdver: '9.1',
  pbi_createver: '9.1.1',
  pbi_mdate: '20120528 134500',
}

/** A folder as `pbi extract` makes it. */
export function plantPbi(
  folder: string,
  header: Readonly<Record<string, string>>,
  payload: Readonly<Record<string, string | Uint8Array>>,
): void {
  for (const [name, value] of Object.entries({ ...usualHeader, ...header })) plant(join(folder, 'header', name), `${value}\n`)
  mkdirSync(join(folder, 'payload'), { recursive: true })
  for (const [name, content] of Object.entries(payload)) plant(join(folder, 'payload', name), content)
  writeFileSync(join(folder, 'icon.png'), png)
}

function plant(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

export type RawPbi = {
  readonly header?: Readonly<Record<string, string>>
  /** Members of the payload, as they are; `archive` for what is no such tar. */
  readonly members?: readonly Uint8Array[]
  readonly archive?: Uint8Array
}

/** A PBI 9 byte by byte, with the sum that fits. */
export function rawPbi({ header = {}, members = [], archive = bzip2(concatBytes([...members, end])) }: RawPbi): Uint8Array {
  const values = { ...usualHeader, pbi_archivesum: sha256(archive), ...header }
  const tar = concatBytes([...Object.entries(values).map(([name, value]) => file(name, `${value}\n`)), end])
  return concatBytes([bzip2(tar), utf8('\n__PBI_ICON__\n'), png, utf8('\n__PBI_ARCHIVE__\n'), archive])
}
