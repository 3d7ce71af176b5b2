import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../src/base/bytes.ts'
import { mergeAccounts } from '../src/engine/client/apply/merge-accounts.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { install, machine, release, text } from './helpers/client-world.ts'
import { plant, relPath } from './helpers/plant.ts'
import { needs } from './helpers/programs.ts'

function merged(file: string, base: string, ours: string, theirs: string): string | undefined {
  const bytes = mergeAccounts(relPath(`etc/${file}`), { base: utf8(base), ours: utf8(ours), theirs: utf8(theirs) })
  return bytes && Buffer.from(bytes).toString('utf8')
}

const passwd = 'root:*:0:0:Charlie:/root:/bin/sh\nwww:*:67:67:Web:/var/www:/sbin/nologin\n'
const own = 'ann:*:1000:1000:Ann:/home/ann:/bin/ksh\n'
const fresh = '_ntp:*:83:83:Time:/var/empty:/sbin/nologin\n'

test('users of the release come behind those who are here, with their numbers; nobody goes', () => {
  assert.equal(merged('passwd', passwd, passwd + own, passwd + fresh), passwd + own + fresh)
  const without = passwd.split('\n').slice(0, 1).join('\n') + '\n'
  assert.equal(merged('passwd', passwd, passwd + own, without + fresh), passwd + own + fresh)
  assert.equal(merged('passwd', passwd, without + own, passwd + fresh), without + own + fresh)
})

test('fields are merged each on its own, but numbers never change', () => {
  const shell = passwd.replace('/bin/sh', '/bin/ksh')
  const named = passwd.replace('Charlie', 'Super User').replace(':67:67:', ':80:80:')
  assert.equal(merged('passwd', passwd, shell, named), shell.replace('Charlie', 'Super User'))
  assert.equal(merged('passwd', passwd, shell, passwd.replace('/bin/sh', '/bin/csh')), undefined)
})

test('a number or a name that is taken otherwise is a conflict', () => {
  assert.equal(merged('passwd', passwd, `${passwd}bob:*:83:83:Bob:/home/bob:/bin/sh\n`, passwd + fresh), undefined)
  assert.equal(merged('passwd', passwd, passwd + fresh.replaceAll('83', '99'), passwd + fresh), undefined)
  assert.equal(merged('passwd', passwd, passwd + fresh.replace('Time', 'Mine'), passwd + fresh), passwd + fresh.replace('Time', 'Mine'))
})

test('members of groups are those of both sides', () => {
  const group = 'wheel:*:0:root\nwww:*:67:\n'
  const [ours, theirs] = ['wheel:*:0:root,ann\nwww:*:67:\nown:*:1000:\n', 'wheel:*:0:root,op\nwww:*:67:_httpd\n_ntp:*:83:\n']
  assert.equal(merged('group', group, ours, theirs), 'wheel:*:0:root,ann,op\nwww:*:67:_httpd\nown:*:1000:\n_ntp:*:83:\n')
})

test('comments stay at the top and what asks NIS at the end; passwords stay', () => {
  const head = '# $FreeBSD$\n#\n'
  assert.equal(
    merged('passwd', head + passwd, `${head}${passwd}${own}+:::::\n`, head + passwd + fresh),
    `${head}${passwd}${own}${fresh}+:::::\n`,
  )
  const shadow = 'root:*:19000:0:99999:7:::\n'
  const secret = shadow.replace('*', '$6$salt$hash')
  assert.equal(merged('shadow', shadow, secret, `${shadow}sshd:!:19500::::::\n`), `${secret}sshd:!:19500::::::\n`)
})

test('the passwords of a group that comes have no number that could be taken', () => {
  const gshadow = 'wheel:!::root\n'
  const ours = 'wheel:!:ann:root\nown:!::\n'
  assert.equal(merged('gshadow', gshadow, ours, `${gshadow}_ntp:!::\n`), `${ours}_ntp:!::\n`)
})

test('other files are none, whichever version is one', () => {
  const good = 'a:b:c\n'
  assert.equal(merged('group', good, good, good), good)
  assert.equal(merged('hosts', good, good, good), undefined)
  const unordered = ['a:b:c\n#a:b:c\nd:e:f\n', 'a:b:c\n\nd:e:f\n', 'a:b:c\n+:b:c\nd:e:f\n', 'a:b:c\n-:b:c\nd:e:f\n']
  for (const bad of ['', '# comments\n', 'a:b\n', ':b:c\n', 'a:b:c\na:d:e\n', 'a:b:c\nd:e:f:g\n', 'a:b:c\0\n', ...unordered]) {
    assert.equal(merged('group', bad, good, good), undefined, bad)
    assert.equal(merged('group', good, bad, good), undefined, bad)
    assert.equal(merged('group', good, good, bad), undefined, bad)
    assert.equal(merged('group', bad, bad, bad), undefined, bad)
  }
})

test('a field more or less on either side is a conflict; a sign within a name is none', () => {
  const [three, four] = ['a:b:1\n', 'a:b:1:\n']
  assert.equal(merged('group', three, three, four), undefined)
  assert.equal(merged('group', three, four, four), undefined)
  assert.equal(merged('group', four, three, four), undefined)
  const signs = 'a-b:*:1:\nc+d:*:2:\ne#f:*:3:\n'
  assert.equal(
    merged('group', signs, `${signs}own:*:9:\n`, signs.replace('*:3:', '*:3:new')),
    'a-b:*:1:\nc+d:*:2:\ne#f:*:3:new\nown:*:9:\n',
  )
})

test('a user whom both sides made with another user’s or group’s number is a conflict', () => {
  assert.equal(merged('passwd', passwd, passwd + fresh.replace(':83:83:', ':83:84:'), passwd + fresh), undefined)
  assert.equal(merged('passwd', passwd, passwd + fresh.replace(':83:83:', ':84:83:'), passwd + fresh), undefined)
})

test('a number of somebody who is gone here is free; empty lines stay at the end', () => {
  const without = passwd.replace(/www.*\n/, '')
  const ours = `${without}web:*:67:67:My web:/srv:/sbin/nologin\n\n`
  assert.equal(merged('passwd', passwd, ours, passwd), ours)
})

test('each file has its own numbers, which never change, and its own lists, which are joined', () => {
  for (const [file, base, ours, theirs, wanted] of [
    ['master.passwd', 'a:*:1:1::0:0:A:/:/x', 'a:*:1:1::0:0:B:/:/x', 'a:*:2:3::0:0:A:/:/y', 'a:*:1:1::0:0:B:/:/y'],
    ['group', 'a:*:1:', 'a:*:1:x', 'a:*:2:', 'a:*:1:x'],
    ['gshadow', 'a:!::', 'a:!:x:x', 'a:!:y:y', 'a:!:x,y:x,y'],
    ['passwd', 'a:*:1:1:A:/:/x', 'a:*:1:1:B:/:/x', 'a:*:1:1:C:/:/x', undefined],
    ['shadow', 'a:!:1::', 'a:!:2::', 'a:!:3::', undefined],
  ] as const)
    assert.equal(merged(file, `${base}\n`, `${ours}\n`, `${theirs}\n`), wanted === undefined ? undefined : `${wanted}\n`, file)
})

test('what both sides changed alike, and members that both added, are there once; members that the release drops stay', () => {
  const shell = passwd.replace('/bin/sh', '/bin/ksh')
  assert.equal(merged('passwd', passwd, shell + own, shell), shell + own)
  assert.equal(merged('group', 'g:*:5:root\n', 'g:*:5:root,ann,op\n', 'g:*:5:root,op,_ntp\n'), 'g:*:5:root,ann,op,_ntp\n')
  assert.equal(merged('group', 'g:*:5:root,op\n', 'g:*:5:root,op,ann\n', 'g:*:5:op,\n'), 'g:*:5:root,op,ann\n')
  assert.equal(merged('group', 'g:*:5:op\n', 'g:*:5:\n', 'g:*:5:op,_ntp\n'), 'g:*:5:_ntp\n')
})

test('an install merges them, and keeps both versions where it cannot', async () => {
  const [old, next] = [await release('1.0', { 'etc/passwd': passwd }), await release('1.1', { 'etc/passwd': passwd + fresh })]
  const disk = await machine(memoryDisk(), { 'etc/passwd': passwd })
  await disk.unlink(relPath('etc/passwd'))
  await plant(disk, { 'etc/passwd': passwd + own })
  assert.deepEqual((await install(disk, old, next)).kept, [{ path: 'etc/passwd', reason: 'merged' }])
  assert.equal(await text(disk, 'etc/passwd'), passwd + own + fresh)

  const other = await machine(memoryDisk(), { 'etc/passwd': passwd })
  await other.unlink(relPath('etc/passwd'))
  await plant(other, { 'etc/passwd': passwd + fresh.replaceAll('83', '99') })
  assert.deepEqual((await install(other, old, next)).kept, [{ path: 'etc/passwd', reason: 'modified', beside: 'etc/passwd.new' }])
})

const names = fc.constantFrom('root', 'www', 'ann', 'bob', '_ntp', 'op')
const numbers = fc.constantFrom('0', '67', '83', '1000')
const entry = fc.tuple(
  names,
  fc.constantFrom('*', 'x'),
  numbers,
  fc.array(names, { maxLength: 3 }).map((list) => list.join(',')),
)
const opaque = fc.constantFrom('', '# a comment\n', '+:::\n')
const accounts = fc
  .tuple(opaque, fc.uniqueArray(entry, { selector: ([name]) => name, maxLength: 5 }), opaque, fc.constantFrom('\n', ''))
  .map(([head, entries, tail, end]) => `${head}${entries.map((fields) => `${fields.join(':')}\n`).join('')}${tail}`.replace(/\n$/, end))

for (const awk of ['mawk', 'original-awk', 'busybox awk'])
  test(`the program of a bundle makes the same of them under ${awk}, or nothing`, needs(awk.replace(/ .*/, '')), (t) => {
    const work = mkdtempSync(join(tmpdir(), 'bindery-accounts-'))
    t.after(() => rmSync(work, { recursive: true }))
    const file = fc.constantFrom('passwd', 'group', 'gshadow', 'shadow')
    const property = fc.property(file, accounts, accounts, accounts, (of, base, ours, theirs) => {
      for (const [name, text] of Object.entries({ base, ours, theirs })) writeFileSync(join(work, name), text)
      const env = { PATH: process.env['PATH'], LC_ALL: 'C', AWK: awk, of: `etc/${of}` }
      const options = { env: { ...env, base: 'base', ours: 'ours', theirs: 'theirs' }, cwd: work, encoding: 'utf8' } as const
      const { status, stdout } = spawnSync('sh', ['-c', `$AWK -f '${resolve('share/bundle/accounts.awk')}'`], options)
      assert.equal(status === 0 ? stdout : undefined, merged(of, base, ours, theirs))
    })
    fc.assert(property, { numRuns: 30 })
  })
