import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, latin1 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodePackingList, encodePackingList } from '../src/format/openbsd/packing-list.ts'
import { readUpdateInfo, readUpdateInfoSoFar } from '../src/format/openbsd/update-info.ts'
import type { ErrorCode } from '../src/base/error.ts'

const sha = `${'A'.repeat(43)}=`

/** Every row of the grammar, in the order in which pkg_create writes. */
const whole = `@comment $OpenBSD: PLIST,v 1.1 2023/01/01 00:00:00 x Exp $
@name vim-9.0.1-gtk3
@url http://example.org/vim-9.0.1-gtk3.tgz
@version 2
@signer openbsd-78-pkg
@digital-signature signify2:2023-08-08T12:34:56Z:external
@option no-default-conflict
@option manual-installation
@option firmware
@option always-update ${'A'.repeat(43)}
@option updatedb
@option is-branch
@comment pkgpath=editors/vim,gtk3,-main ftp=yes
@localbase /usr/local
@arch amd64,i386
+DESC
@sha ${sha}
@size 17
+DISPLAY
@size 4
@conflict vim-*
@pkgpath editors/vim,gtk2[,-main]
@ask-update vim-<9 remember your plugins
@libset gtk:gtk-3,gdk-3
@depend converters/libiconv:libiconv-*:libiconv-1.17
@wantlib c.97.1
@define-tag update-desktop at-end /usr/local/bin/update-desktop-database
@newgroup _vim:!999
@newuser _vim:999:_vim:daemon:Vim:/var/empty:/sbin/nologin
@cwd /usr/local
bin/vim
@sha ${sha}
@size 1234
@ts 1691498096
@bin bin/xxd
@tag update-desktop %f
@sha ${sha}
bin/ex
@symlink vim
bin/vi
@link bin/vim
@temp bin/vim.pkg
@comment no checksum
@file @odd
@comment no debug
@so lib/vim.so
@lib lib/libvim.so.1.0
@static-lib lib/libvim.a
@ltlib lib/libvim.la
@pkgconfig lib/pkgconfig/vim.pc
@man man/man1/vim.1
@info info/vim.info
@shell bin/vsh
@mode 0644
@owner _vim
@group _vim
share/examples/vim/vimrc
@sample /etc/vimrc
@sample /etc/vim/
@mode
@owner
@group
@ghost /var/log/vim.log
@rcscript /etc/rc.d/vim
@extra /var/vim/cache
@extraglob /var/vim/*.swp
share/vim/
@fontdir share/fonts/
@mandir man/
@comment a remark
@exec -add %D/bin/vim -c quit
@unexec -delete rm -f %D/cache
@extraunexec rm -rf /var/vim
@dirrm share/old
`

test('a list with every keyword is read and written to the byte', () => {
  const { list, obsolete } = decodePackingList(fromLatin1(whole))
  assert.equal(latin1(encodePackingList(list)), whole)
  assert.deepEqual(obsolete, ['dirrm'])
  assert.equal(list.unique.get('name'), 'vim-9.0.1-gtk3')
  assert.deepEqual([...list.options.keys()].length, 6)
  assert.deepEqual(
    list.infoFiles.map(({ path }) => path),
    ['+DESC', '+DISPLAY'],
  )
  const vim = list.items.find((item) => item.kind === 'file' && item.path === 'bin/vim')
  assert.ok(vim?.kind === 'file' && vim.annotations.get('ts') === '1691498096')
})

test('another order is read, and comes out in the canonical one', () => {
  const mixed =
    '@cwd /usr/local\n\nbin/a\n@size 1\n@sample /etc/a\n@size 2\n@wantlib c.1.0\n@arch *\n@name a-1\n@depend x/y:z-*:z-1\n@version 3\n'
  assert.throws(() => decodePackingList(fromLatin1(mixed)), code('bad-format'))
  const sound = mixed.replace('@size 2\n', `@sha ${sha}\n`)
  const written = latin1(encodePackingList(decodePackingList(fromLatin1(sound)).list))
  const lines = ['@name a-1', '@version 3', '@arch *', '@depend x/y:z-*:z-1', '@wantlib c.1.0', '@cwd /usr/local', 'bin/a', `@sha ${sha}`]
  assert.equal(written, [...lines, '@size 1', '@sample /etc/a', ''].join('\n'))
})

test('what signing adds, and what differs between two builds, can be left out', () => {
  const { list } = decodePackingList(fromLatin1(whole))
  const without = (pattern: RegExp, text: string): string => text.replaceAll(pattern, '')
  const unsigned = without(/^@(signer|digital-signature) .*\n/gm, whole)
  assert.equal(latin1(encodePackingList(list, 'signature')), unsigned)
  const same = without(/^@(url .*|option manual-installation|comment \$OpenBSD.*)\n/gm, unsigned)
  assert.equal(latin1(encodePackingList(list, 'variation')), same.replace(/always-update .*/, 'always-update'))
})

function code(expected: ErrorCode) {
  return (error: unknown) => isBinderyError(error, expected)
}

test('hostile lists are refused in one line', () => {
  const cases: readonly (readonly [string, ErrorCode])[] = [
    ['../etc/passwd', 'hostile'],
    ['a/../../b', 'hostile'],
    ['/etc/passwd', 'hostile'],
    ['@bin /bin/sh', 'hostile'],
    ['@sample ../x', 'hostile'],
    ['@sample /etc/../x', 'hostile'],
    ['@cwd /usr/../..', 'hostile'],
    ['/', 'hostile'],
    ['@file', 'hostile'],
    ['@dir', 'hostile'],
    ['bin/a\n@link ../../etc/passwd', 'hostile'],
    ['bin/a\n@temp ../b', 'hostile'],
    ['@surprise x', 'bad-format'],
    ['@option surprise', 'bad-format'],
    ['@option is-branch now', 'bad-format'],
    ['@option firmware\n@option firmware', 'bad-format'],
    ['@name b-1', 'bad-format'],
    ['@sha x', 'bad-format'],
    ['bin/a\n@sha x', 'bad-format'],
    ['bin/a\n@size many', 'bad-format'],
    ['@tag x', 'bad-format'],
    ['@depend a/b', 'bad-format'],
    ['@depend a/b:c-*:', 'bad-format'],
    ['bin/a\r', 'bad-format'],
    ['bin/a\0', 'bad-format'],
    ['+DESC\n+DESC', 'bad-format'],
    ['x'.repeat(70_000), 'over-limit'],
    [`@comment ${'x'.repeat(5_000_000)}`, 'over-limit'],
  ]
  for (const [lines, expected] of cases)
    assert.throws(() => decodePackingList(fromLatin1(`@name a-1\n${lines}\n`)), code(expected), lines.slice(0, 60))
  assert.throws(() => decodePackingList(fromLatin1('')), code('bad-format'))
  assert.throws(() => decodePackingList(fromLatin1('bin/a\n')), code('bad-format'))
})

const word = fc.stringMatching(/^[A-Za-z0-9+._-]{1,12}$/).filter((text) => !text.includes('..') && text !== '.')
const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const itemLines = fc.oneof(
  path,
  path.map((text) => `${text}/`),
  path.map((text) => `@bin ${text}\n@size 3\n@sha ${sha}`),
  path.map((text) => `${text}\n@tag b\n@tag a\n@tag b\n@ts 5`),
  path.map((text) => `@sample /etc/${text}`),
  path.map((text) => `@comment no checksum\n${text}`),
  path.map((text) => `@comment ${text}`),
  word.map((text) => `@exec \t ${text} %D  `),
  fc.constantFrom(
    '@mode 755',
    '@mode',
    '@cwd /a',
    '',
    '   ',
    '@wantlib c.1.0',
    '@depend a/b:c-*:c-1',
    '@option is-branch',
    '@newgroup g:1',
  ),
)

test('whatever can be read is written canonically: reading and writing again changes nothing', () => {
  fc.assert(
    fc.property(fc.array(itemLines, { maxLength: 20 }), word, (lines, name) => {
      const options = lines.filter((line) => line !== '@option is-branch')
      const text = [...options, `@name ${name}-1`].join('\n')
      const once = encodePackingList(decodePackingList(fromLatin1(text)).list)
      const again = decodePackingList(once).list
      assert.deepEqual(encodePackingList(again), once)
      assert.deepEqual(readUpdateInfo(once), readUpdateInfo(fromLatin1(`${text.replaceAll(/^@(cwd|newgroup).*$/gm, '')}\n`)))
    }),
  )
})

test('damaged lists are read or refused, never more', () => {
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
      const bytes = fromLatin1(whole)
      bytes[at] = byte
      try {
        const { list } = decodePackingList(cut ? bytes.subarray(0, at) : bytes)
        encodePackingList(list)
      } catch (error) {
        assert.ok(isBinderyError(error), String(error))
      }
    }),
    { numRuns: 1000 },
  )
})

test('the head alone tells of updates', () => {
  const info = readUpdateInfo(fromLatin1(whole))
  assert.deepEqual(info, {
    names: ['vim-9.0.1-gtk3'],
    versions: ['2'],
    depends: [{ pkgpath: 'converters/libiconv', pattern: 'libiconv-*', default: 'libiconv-1.17' }],
    wantlibs: ['c.97.1'],
    libsets: ['gtk:gtk-3,gdk-3'],
    conflicts: ['vim-*'],
    formerPaths: ['editors/vim,gtk2[,-main]'],
    options: ['no-default-conflict', 'manual-installation', 'firmware', `always-update ${'A'.repeat(43)}`, 'updatedb', 'is-branch'],
    arch: 'amd64,i386',
    url: 'http://example.org/vim-9.0.1-gtk3.tgz',
    pkgpath: 'editors/vim,gtk3,-main',
  })
})

test('it is told as soon as the head is there, whatever comes behind it', () => {
  const end = whole.indexOf('@newgroup') + '@newgroup '.length
  const rest = 'x'.repeat(100_000)
  for (let length = 0; length < end; length++)
    assert.equal(readUpdateInfoSoFar(fromLatin1(whole.slice(0, length))).kind, 'partial', String(length))
  const head = readUpdateInfoSoFar(fromLatin1(whole.slice(0, end) + rest))
  assert.deepEqual(head, { kind: 'whole', info: readUpdateInfo(fromLatin1(whole)) })
  // A longer word is no end of the head.
  assert.equal(readUpdateInfoSoFar(fromLatin1('@name a-1\n@cwdir x\n')).kind, 'partial')
  assert.throws(() => readUpdateInfoSoFar(new Uint8Array((4 << 20) + 1)), code('over-limit'))
})

test('the fast reader refuses what it would have to guess', () => {
  const cases: readonly (readonly [string, ErrorCode])[] = [
    ['@name a-1\r\n', 'bad-format'],
    ['@depend a/b\n', 'bad-format'],
    [`@name ${'x'.repeat(70_000)}\n`, 'over-limit'],
    ['bin/x\n'.repeat(800_000), 'over-limit'],
  ]
  for (const [text, expected] of cases) assert.throws(() => readUpdateInfo(fromLatin1(text)), code(expected), text.slice(0, 40))
})
