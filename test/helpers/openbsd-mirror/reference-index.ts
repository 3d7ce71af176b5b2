import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** genpkgup's rules, written down once more from doc/spec/pkgup-index.md: the whole of each package, regular expressions, nothing of src. */
export function referenceIndex(folder: string): string {
  const names = readFileSync(join(folder, 'index.txt'), 'latin1')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.trim().split(/\s+/)[9] as string)
  const quirks = names.find((name) => name.startsWith('quirks-')) as string
  const date = /^date=(.*)$/m.exec(readFileSync(join(folder, quirks)).subarray(0, 2000).toString('latin1'))?.[1]
  const lines = names
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => referenceLine(name, contentsOf(readFileSync(join(folder, name)))))
  return `1\n${date}\n${lines.join('')}`
}

function contentsOf(gzip: Buffer): string {
  const tar = gunzipSync(gzip)
  for (let at = 0; ;) {
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8)
    if (tar.toString('latin1', at, at + 10) === '+CONTENTS\0') return tar.toString('latin1', at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
  }
}

/** Of one package. */
export function referenceLine(file: string, contents: string): string {
  const all = (keyword: string): string[] =>
    [...contents.matchAll(new RegExp(`^@${keyword} (.*)$`, 'gm'))].map((match) => match[1] as string)
  const depends = [...new Set(all('depend').map((depend) => `@${depend.split(':')[2]}`))].map((depend) => {
    const parts = depend.split('-')
    const flavors: string[] = []
    while (!/^\d+.*/.test(parts.at(-1) as string)) flavors.push(parts.pop() as string)
    return [...parts, ...flavors.sort()].join('-')
  })
  const signature = [...all('name'), all('version')[0] ?? '0', ...depends.sort(), ...all('wantlib').sort()].join(',')
  return `${file} ${signature} ${/^@comment pkgpath=([^ ]+).*$/m.exec(contents)?.[1]}\n`
}
