import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sourceFolder } from './world.ts'

/** What mandoc says of an empty page, and what it shall say. */
export const saidBefore = 'no document body'
export const saidAfter = 'no document body, is the page complete'

/** An erratum for mandoc as OpenBSD writes them: text, instructions, diff. The diff is made of the source that is there. */
export function errataText(world: string): string {
  const source = join(world, sourceFolder)
  const folders = [`${source}.orig`, source]
  cpSync(source, folders[0] as string, { recursive: true, preserveTimestamps: true })
  const file = join(source, 'mandoc_msg.c')
  const text = readFileSync(file, 'utf8')
  if (!text.includes(`"${saidBefore}"`)) throw new Error(`${file} does not say "${saidBefore}"`)
  writeFileSync(file, text.replace(`"${saidBefore}"`, `"${saidAfter}"`))
  const diff = diffOf(world)
  rmSync(source, { recursive: true })
  execFileSync('mv', [folders[0] as string, source])
  return `OpenBSD 7.6 errata 001, November 1, 2026:

mandoc said too little of a page that was cut off.

Apply by doing:
    signify -Vep /etc/signify/demo-76-base.pub -x 001_mandoc.patch.sig \\
        -m - | (cd /usr/src && patch -p0)

And then rebuild and install mandoc:
    cd /${sourceFolder}
    make
    make install

${diff}`
}

/** Status 1 of diff(1) is what is wanted. */
function diffOf(world: string): string {
  const words = ['-u', 'mandoc.orig/mandoc_msg.c', 'mandoc/mandoc_msg.c']
  const script = 'diff "$@" || [ $? = 1 ]'
  const text = execFileSync('sh', ['-c', script, 'sh', ...words], { cwd: join(world, 'usr/src'), encoding: 'utf8' })
  const hunks = text.split('\n').slice(2).join('\n')
  return `Index: mandoc/mandoc_msg.c\n--- mandoc/mandoc_msg.c\n+++ mandoc/mandoc_msg.c\n${hunks}`
}
