import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

/**
 * Packs $FAKE/usr/local (of a subpackage: $FAKE/usr/local-SUB) as pkg_create does: the packing list first, every file with its digest.
 * Uses nothing of src: the tests judge by what it makes.
 */
const { NAME, PKGPATH, FAKE, SUB, LIB_DEPENDS = '', WANTLIB = '', ARCH } = process.env
const time = 1_790_000_000
const own = join(FAKE, `usr/local${SUB}`)
const root = SUB !== '' && existsSync(own) ? own : join(FAKE, 'usr/local')

const files = namesBelow('').map((path) => ({
  path,
  content: readFileSync(join(root, path)),
  mode: lstatSync(join(root, path)).mode & 0o777,
}))
const description = Buffer.from(`${NAME}, of ${PKGPATH}\n`)
const list = [
  `@name ${NAME}`,
  `@comment pkgpath=${PKGPATH} ftp=yes`,
  `@arch ${ARCH}`,
  '+DESC',
  ...stamps(description),
  ...words(LIB_DEPENDS).map((depend) => `@depend ${depend}`),
  ...words(WANTLIB).map((lib) => `@wantlib ${lib}`),
  '@cwd /usr/local',
  ...files.flatMap(({ path, content }) => [path.startsWith('bin/') ? `@bin ${path}` : path, ...stamps(content), `@ts ${time}`]),
]
const members = [
  { path: '+CONTENTS', content: Buffer.from(`${list.join('\n')}\n`), mode: 0o444 },
  { path: '+DESC', content: description, mode: 0o444 },
  ...files,
]
writeFileSync(process.argv[2], gzipSync(Buffer.concat([...members.flatMap(member), Buffer.alloc(1024)])))

function namesBelow(folder) {
  const entries = existsSync(join(root, folder)) ? readdirSync(join(root, folder), { withFileTypes: true }) : []
  const names = entries.flatMap((one) => (one.isDirectory() ? namesBelow(join(folder, one.name)) : [join(folder, one.name)]))
  return names.sort()
}

function words(text) {
  return text.split(' ').filter((word) => word !== '')
}

function stamps(content) {
  return [`@sha ${createHash('sha256').update(content).digest('base64')}`, `@size ${content.length}`]
}

function member({ path, content, mode }) {
  const block = Buffer.alloc(512)
  const octal = (value, at, width) => block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1')
  block.write(path, 0, 100, 'latin1')
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(content.length, 124, 12)
  octal(time, 136, 12)
  block.write('        0', 148, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    8,
  )
  return [block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
}
