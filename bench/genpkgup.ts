import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { referenceIndex, referenceLine } from '../test/helpers/openbsd-mirror/reference-index.ts'

/**
 * node bench/genpkgup.ts full|head DIR: the index as genpkgup makes it, written plainly. `head` reads one package after the other until its
 * packing list has come, as genpkgup does; `full` reads each to its end.
 */
const [how, folder] = process.argv.slice(2) as [string, string]
process.stdout.write(how === 'full' ? referenceIndex(folder) : await byHeads(folder))

async function byHeads(folder: string): Promise<string> {
  const lines: string[] = []
  for (const line of readFileSync(join(folder, 'index.txt'), 'latin1').split('\n')) {
    const name = line.trim().split(/\s+/)[9]
    if (name?.endsWith('.tgz') === true) lines.push(referenceLine(name, await contentsOf(join(folder, name))))
  }
  return lines.join('')
}

async function contentsOf(file: string): Promise<string> {
  const stream = createReadStream(file).pipe(createGunzip())
  let tar = Buffer.alloc(0)
  for await (const bytes of stream) {
    tar = Buffer.concat([tar, bytes as Buffer])
    const size = Number.parseInt(tar.toString('latin1', 124, 135), 8)
    if (tar.length >= 512 + size) return tar.toString('latin1', 512, 512 + size)
  }
  throw new Error(`${file} ends too early`)
}
