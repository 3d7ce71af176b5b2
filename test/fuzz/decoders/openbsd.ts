import { readFileSync } from 'node:fs'
import { fromBase64, fromLatin1, latin1, utf8 } from '../../../src/base/bytes.ts'
import { readQuirksModule } from '../../../src/engine/pkg/check/quirks-module.ts'
import { unpacked } from '../../../src/engine/pkg/check/unpack.ts'
import { readPackageHead } from '../../../src/engine/pkg/index/package-head.ts'
import {
  decodeBinderyIndex,
  decodePackageRecord,
  encodeBinderyIndex,
  encodePackageRecord,
} from '../../../src/format/openbsd/bindery-index.ts'
import { decodeIndexState, encodeIndexState, knownPackage } from '../../../src/format/openbsd/index-state.ts'
import { decodeIndexTxt } from '../../../src/format/openbsd/index-txt.ts'
import { namesInListing } from '../../../src/format/openbsd/listing-page.ts'
import { locateEntries } from '../../../src/format/openbsd/locate-db.ts'
import { formatPackageName, parsePackageName, readInstalledName, splitFromRight } from '../../../src/format/openbsd/package-name.ts'
import { formatPackageVersion, parsePackageVersion } from '../../../src/format/openbsd/package-version.ts'
import { parseSignedDate } from '../../../src/engine/pkg/check/skew.ts'
import { fitsPackageSpec, parsePackageSpec } from '../../../src/format/openbsd/package-spec.ts'
import { decodePackingList, encodePackingList } from '../../../src/format/openbsd/packing-list.ts'
import { fitsPkgpath, parsePkgpath } from '../../../src/format/openbsd/pkgpath.ts'
import { decodePkgupIndex } from '../../../src/format/openbsd/pkgup-index.ts'
import { updateDbPackages } from '../../../src/format/openbsd/update-db.ts'
import { readUpdateInfo, readUpdateInfoSoFar } from '../../../src/format/openbsd/update-info.ts'
import { updateSignature } from '../../../src/format/openbsd/update-signature.ts'
import { packageOf, packingList } from '../../helpers/openbsd-mirror/package-facts.ts'
import { unsignedPackage } from '../../helpers/openbsd-mirror/package-file.ts'
import { decoder, digest } from '../decoder.ts'
import type { IndexedPackage } from '../../../src/format/openbsd/bindery-index.ts'
import type { Decoder } from '../decoder.ts'

/** What an OpenBSD mirror and machine say of packages. */

const facts = packageOf({
  name: 'lamp-1.2p3v0-gtk3',
  pkgpath: 'x11/lamp,gtk3',
  systemVersion: 2,
  depends: [{ pkgpath: 'net/curl', pattern: 'curl->=8', name: 'curl-8.1' }],
  wantlibs: ['c.97.1'],
  files: [
    { path: 'bin/lamp', content: 'lit', keyword: 'bin' },
    { path: 'share/lamp', content: '', keyword: 'dir' },
    { path: 'share/lamp/x', content: 'x' },
    { path: '/etc/lamp', content: '', keyword: 'sample' },
  ],
  options: ['is-branch', 'always-update'],
  conflicts: ['lamp-*'],
  pkgpaths: ['x11/lamp-old'],
})
const list = packingList(facts, { signer: 'openbsd-76-pkg', date: '2026-01-01T00:00:00Z' })
const info = readUpdateInfo(fromLatin1(list))
const indexed: IndexedPackage = {
  file: 'lamp-1.2.tgz',
  size: 300,
  sha256: digest as never,
  signature: 'lamp-1.2,2,@c.97.1',
  info: { ...info, pkgpath: info.pkgpath ?? 'x11/lamp' },
}
const index = { quirksDate: '2026-01-01T00:00:00Z', made: 1, expires: 2, packages: [indexed] }
const place = 'https://example.org/'
const state = encodeIndexState(place, [knownPackage(indexed, { stamp: '3', tag: '"x"', signedOn: '2026-01-01' })])
const databases = readFileSync('test/vectors/locate-db.jsonl', 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .flatMap((line) => fromBase64((JSON.parse(line) as { database: string }).database) ?? [])
const quirks = `my $stem_extensions = {
	'old' => 'new',
	'xlamp' => 'lamp',
};
my @msg = (
	"ancient software", #0
	"has \\"quotes\\"", #1
);
setup_obsolete_reason(
	1 => 'gone',
);
`
const page = '<html><a href="lamp-1.2.tgz">x</a>\n<A class=b HREF="a%2bb-1.tgz">y</A><a href="../">up</a>'

export const openbsdDecoders: readonly Decoder[] = [
  decoder('packing-list', [list], decodePackingList, ({ list: decoded }) => encodePackingList(decoded)),
  decoder('update-info', [list], (bytes) => {
    const found = readUpdateInfo(bytes)
    return [found, updateSignature(found, () => list)]
  }),
  decoder('update-info-so-far', [list], readUpdateInfoSoFar),
  decoder('package-version', ['1.2p3v0', '2.0rc1'], (bytes) => formatPackageVersion(parsePackageVersion(latin1(bytes)))),
  decoder('signed-date', ['2026-01-01T00:00:00Z'], (bytes) => parseSignedDate(latin1(bytes), 'the date')),
  decoder('package-head', [unsignedPackage(facts)], (bytes) => readPackageHead(bytes, true)),
  decoder('package-name', ['lamp-1.2p3v0-gtk3', 'p5-a.b-2.0rc1'], (bytes) => {
    const text = latin1(bytes)
    readInstalledName(text)
    splitFromRight(text)
    const name = parsePackageName(text)
    return name && formatPackageName(name)
  }),
  decoder('package-spec', ['lamp->=1.2,<3|lamp-*-gtk3,!no_x11', '.libs-curl-*'], (bytes) => {
    const spec = parsePackageSpec(latin1(bytes))
    return spec && fitsPackageSpec(spec, 'lamp-1.2p3v0-gtk3')
  }),
  decoder('pkgpath', ['x11/lamp,gtk3,-main', 'x11/lamp[,gtk3]'], (bytes) => {
    const path = parsePkgpath(latin1(bytes))
    return path && fitsPkgpath(path, path)
  }),
  decoder(
    'index-txt',
    ['-rw-r--r--  1 0  0          300 Jan  1 00:00:00 2026 lamp-1.2.tgz\n-rw-r--r--  1 0  0  9 Jan  1 00:00:00 2026 SHA256\n'],
    decodeIndexTxt,
  ),
  decoder('listing-page', [page], (bytes) => namesInListing(latin1(bytes))),
  decoder('bindery-index', [encodeBinderyIndex(index)], (bytes) => decodeBinderyIndex(bytes), encodeBinderyIndex),
  decoder(
    'index-record',
    [encodePackageRecord(indexed)],
    (bytes) => decodePackageRecord(latin1(bytes), 1),
    (one) => utf8(encodePackageRecord(one)),
  ),
  decoder(
    'index-state',
    [state],
    (bytes) => decodeIndexState(bytes, place),
    (known) => encodeIndexState(place, [...known.values()]),
  ),
  decoder('pkgup-index', ['1\n2026-01-01T00:00:00Z\nlamp-1.2.tgz lamp-1.2,2,@c.97.1 x11/lamp\n'], (bytes) => decodePkgupIndex(bytes)),
  decoder('locate-db', databases, (bytes) => [...locateEntries(bytes)].length),
  decoder('update-db', databases, (bytes) => [...updateDbPackages(bytes, () => true)].length),
  decoder('quirks', [quirks], readQuirksModule),
  decoder('index-gzip', [unsignedPackage(packageOf({ name: 'a-1', pkgpath: 'a/a' }))], unpacked),
]
