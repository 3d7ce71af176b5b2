import assert from 'node:assert/strict'
import { test } from 'node:test'
import { selectPorts } from '../src/engine/farm/select.ts'
import { decodeRdiff } from '../src/format/cvs-rdiff.ts'
import { utf8 } from '../src/base/bytes.ts'
import type { SourceChange } from '../src/base/source-change.ts'
import type { Selection } from '../src/engine/farm/select.ts'
import type { ListedPackage, PortsList } from '../src/port/ports-list.ts'

/** By fullpkgpaths. */
function list(packages: Readonly<Record<string, Partial<ListedPackage>>>): PortsList {
  const ports = new Map<string, ListedPackage[]>()
  for (const [fullpkgpath, facts] of Object.entries(packages)) {
    const pkgpath = fullpkgpath.replace(/,.*/, '')
    const one = { fullpkgpath, onlyFor: undefined, notFor: [], broken: [], ...facts }
    ports.set(pkgpath, [...(ports.get(pkgpath) ?? []), one])
  }
  return { ports, source: 'test' }
}

const plain = (...paths: readonly string[]): PortsList => list(Object.fromEntries(paths.map((path) => [path, {}])))
const changed = (...paths: readonly string[]): readonly SourceChange[] => paths.map((path) => ({ kind: 'changed', path }))
const packagesOf = ({ ports }: Selection): readonly string[] => ports.flatMap(({ packages }) => packages)

/** The example of the article about OpenBSD's stable packages. */
const article = `File ports/net/dhcpcd/Makefile changed from revision 1.80 to 1.80.2.1
File ports/net/dhcpcd/distinfo changed from revision 1.48 to 1.48.2.1
File ports/net/dnsdist/Makefile changed from revision 1.19 to 1.19.2.1
File ports/net/dnsdist/distinfo changed from revision 1.7 to 1.7.2.1
File ports/net/icinga/core2/Makefile changed from revision 1.104 to 1.104.2.1
File ports/net/icinga/core2/distinfo changed from revision 1.40 to 1.40.2.1
File ports/net/synapse/Makefile changed from revision 1.13 to 1.13.2.1
File ports/net/synapse/distinfo changed from revision 1.11 to 1.11.2.1
File ports/net/synapse/pkg/PLIST changed from revision 1.10 to 1.10.2.1
`

test("the article's nine changes are its four ports, with a list of ports and without", () => {
  const changes = decodeRdiff(utf8(article)).map(({ kind, path }) => ({ kind, path: path.replace(/^ports\//, '') }))
  const four = ['net/dhcpcd', 'net/dnsdist', 'net/icinga/core2', 'net/synapse']
  for (const known of [plain(), plain(...four, 'net/icinga/cgi', 'net/curl')])
    assert.deepEqual(packagesOf(selectPorts(changes, known, 'amd64')), four)
})

test('a port brings every flavor and subpackage that is listed', () => {
  const vim = ['editors/vim', 'editors/vim,-lang', 'editors/vim,gtk2', 'editors/vim,gtk2,-lang', 'editors/vim,no_x11,ruby,-main']
  assert.deepEqual(packagesOf(selectPorts(changed('editors/vim/Makefile'), plain(...vim, 'editors/vile'), undefined)), vim)
})

test('the longest known path owns a file, however deep', () => {
  const known = plain('lang/python', 'lang/python/3.8', 'lang/python/3.10', 'net/curl')
  const owners = (path: string): readonly string[] => selectPorts(changed(path), known, undefined).ports.map(({ pkgpath }) => pkgpath)
  assert.deepEqual(owners('lang/python/3.8/patches/patch-setup_py'), ['lang/python/3.8'])
  assert.deepEqual(owners('lang/python/files/CHANGES.OpenBSD'), ['lang/python'])
  assert.deepEqual(owners('net/curl/pkg/a/b/c'), ['net/curl'])
})

test('what ports share concerns every port below', () => {
  const known = plain('x11/kde/a', 'x11/kde/b', 'x11/kdeother', 'lang/python/3.8', 'lang/python/tools')
  assert.deepEqual(packagesOf(selectPorts(changed('x11/kde/Makefile.inc'), known, undefined)), ['x11/kde/a', 'x11/kde/b'])
  const module = selectPorts(changed('lang/python/python.port.mk'), known, undefined)
  assert.deepEqual(packagesOf(module), ['lang/python/3.8', 'lang/python/tools'])
  assert.deepEqual(new Set(module.ports.map(({ how }) => how)), new Set(['shared']))
})

test('machinery and the files of a category belong to no port, and are told', () => {
  const paths = ['infrastructure/mk/bsd.port.mk', 'net/Makefile', 'Makefile']
  const { ports, others } = selectPorts(changed(...paths), plain('net/curl'), undefined)
  assert.deepEqual(ports, [])
  assert.deepEqual(
    others.map(({ why }) => why),
    ['infrastructure', 'category', 'top'],
  )
})

test('a port that the list does not know is taken by its folder; one that is gone is told', () => {
  const changes: readonly SourceChange[] = [
    { kind: 'added', path: 'net/new/Makefile' },
    { kind: 'added', path: 'net/new/pkg/PLIST' },
    { kind: 'removed', path: 'net/gone/Makefile' },
  ]
  const { ports, others } = selectPorts(changes, plain('net/curl'), undefined)
  assert.deepEqual(
    ports.map(({ pkgpath, how, packages }) => ({ pkgpath, how, packages })),
    [{ pkgpath: 'net/new', how: 'guessed', packages: ['net/new'] }],
  )
  assert.deepEqual(others, [{ path: 'net/gone/Makefile', why: 'removed' }])
})

test('what an architecture cannot have is left, with the reason', () => {
  const known = list({
    'a/any': {},
    'a/arm': { onlyFor: ['aarch64', 'arm'] },
    'a/intel': { onlyFor: ['amd64', 'i386'] },
    'a/not': { notFor: ['arm64'] },
    'a/broken': { broken: [{ arch: undefined, why: 'does not build' }] },
    'a/here': { broken: [{ arch: 'aarch64', why: 'no Ada' }] },
    'a/there': { broken: [{ arch: 'sparc64', why: 'SIGBUS' }] },
  })
  const changes = changed(...[...known.ports.keys()].map((path) => `${path}/Makefile`))
  const { ports } = selectPorts(changes, known, 'arm64')
  assert.deepEqual(
    ports.flatMap(({ packages }) => packages),
    ['a/any', 'a/arm', 'a/there'],
  )
  assert.deepEqual(
    ports.flatMap(({ left }) => left.map(({ why }) => why)),
    ['broken: does not build', 'broken on aarch64: no Ada', 'only for amd64 i386', 'not for arm64'],
  )
})
