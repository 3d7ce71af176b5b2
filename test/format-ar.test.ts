import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { readAr } from '../src/format/ar.ts'
import { needs } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'

const field = (text: string | number, size: number): string => String(text).padEnd(size)
const header = (name: string, size: number): string =>
  field(name, 16) + field(0, 12) + field(0, 6) + field(0, 6) + field(100644, 8) + field(size, 10) + '`\n'
const archive = (...members: readonly (readonly [name: string, content: string])[]): Uint8Array =>
  utf8(`!<arch>\n${members.map(([name, text]) => header(name, text.length) + text + (text.length % 2 ? '\n' : '')).join('')}`)

const shown = (bytes: Uint8Array): readonly string[] | undefined =>
  readAr(bytes)?.map(({ kind, name, content }) => `${kind} ${name}: ${latin1(content)}`)

test('an archive that ar wrote', needs('ar'), async () => {
  await inTemporary(async (folder) => {
    const names = ['a.o', 'a-name-of-more-than-sixteen-bytes.o', 'odd']
    for (const name of names) writeFileSync(join(folder, name), `in ${name}`)
    execFileSync('ar', ['rc', 'x.a', ...names], { cwd: folder })
    const members = readAr(new Uint8Array(readFileSync(join(folder, 'x.a')))) ?? []
    const files = members.filter(({ kind }) => kind === 'file')
    assert.deepEqual(
      files.map(({ name, content }) => [name, latin1(content)]),
      names.map((name) => [name, `in ${name}`]),
    )
    assert.deepEqual(
      members.filter(({ kind }) => kind !== 'file').map(({ kind }) => kind),
      ['names'],
    )
  })
})

test('names as GNU and as BSD write them, and tables of symbols', () => {
  assert.deepEqual(shown(archive(['/', 'table'], ['//', 'long.o/\nlonger.o/\n'], ['/8', 'x'], ['/0', 'yy'], ['short.o/', '']))?.slice(2), [
    'file longer.o: x',
    'file long.o: yy',
    'file short.o: ',
  ])
  assert.deepEqual(shown(archive(['#1/12', 'long name.o\0content'], ['#1/20', '__.SYMDEF SORTED\0\0\0\0table'], ['plain.o', 'x'])), [
    'file long name.o: content',
    'symbols __.SYMDEF SORTED: table',
    'file plain.o: x',
  ])
  assert.deepEqual(shown(utf8('!<arch>\n')), [])
})

test('what is no archive from first to last has no members', () => {
  const good = archive(['a.o', 'content'])
  const text = latin1(good)
  for (const bad of [
    '',
    '!<arch>',
    text.replace('!<arch>', '!<thin>'),
    text.slice(0, -2),
    `${text}x`,
    text.replace('`', "'"),
    text.replace('7         `', '-7        `'),
    text.replace('7         `', '0x7       `'),
    text.replace('7         `', '9999999999`'),
    text.replace('a.o ', '/99 '),
    text.replace('a.o ', '#1/8'),
  ])
    assert.equal(readAr(Buffer.from(bad, 'latin1')), undefined, JSON.stringify(bad))
})

test('whatever the bytes are, reading ends without an error', () => {
  const damaged = fc.tuple(fc.nat(), fc.nat({ max: 255 }), fc.nat({ max: 200 })).map(([at, byte, cut]) => {
    const bytes = archive(['//', 'long.o/\n'], ['/0', 'x'], ['#1/4', 'nameyy'])
    bytes[at % bytes.length] = byte
    return bytes.subarray(0, bytes.length - (cut > 150 ? cut - 150 : 0))
  })
  fc.assert(fc.property(damaged, (bytes) => void readAr(bytes)))
})
