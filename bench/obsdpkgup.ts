import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { referenceLine } from '../test/helpers/openbsd-mirror/reference-index.ts'

/** node bench/obsdpkgup.ts ROOT MIRROR: what obsdpkgup does, written plainly: which of the packages in ROOT/var/db/pkg have another signature in the index. */
const [root, mirror] = process.argv.slice(2) as [string, string]
const get = async (name: string): Promise<Buffer> => Buffer.from(await (await fetch(`${mirror}${name}`)).arrayBuffer())

const index = new Map<string, string>()
for (const line of gunzipSync(await get('index.pkgup.gz'))
  .toString('latin1')
  .split('\n')
  .slice(2)) {
  const [file, signature, pkgpath] = line.split(/\s+/)
  if (file?.endsWith('.tgz') === true) index.set(`${stemOf(file)} ${pkgpath}`, signature as string)
}
const quirks = (await get('index.txt'))
  .toString('latin1')
  .split('\n')
  .map((line) => line.split(/\s+/)[9])
  .find((name) => name?.startsWith('quirks-'))
const date = /date=(.*)/.exec((await get(quirks as string)).toString('latin1'))?.[1]
const found: string[] = []
for (const name of readdirSync(join(root, 'var/db/pkg'))) {
  const [, signature, pkgpath] = referenceLine(name, readFileSync(join(root, 'var/db/pkg', name, '+CONTENTS'), 'latin1'))
    .trim()
    .split(' ')
  const other = index.get(`${stemOf(name)} ${pkgpath}`)
  if (other !== undefined && other !== signature) found.push(stemOf(name))
}
process.stdout.write(`${date} pkg_add -u ${found.sort().join(' ')}\n`)

function stemOf(name: string): string {
  const parts = name.replace(/\.tgz$/, '').split('-')
  return parts
    .slice(
      0,
      parts.findLastIndex((part) => /^[0-9.]+/.test(part)),
    )
    .join('-')
}
