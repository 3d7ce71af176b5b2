import { concatBytes, fromLatin1, latin1, utf8 } from '../../../src/base/bytes.ts'
import { decodeBootHook, encodeBootHook } from '../../../src/format/boot-hook.ts'
import { decodeBundleIndex, encodeBundleIndex } from '../../../src/format/bundle-index.ts'
import { decodeChecksumList, encodeChecksumList } from '../../../src/format/checksum-list.ts'
import { decodeConf } from '../../../src/format/conf.ts'
import { decodeEnrolled, encodeEnrolled } from '../../../src/format/enrolled.ts'
import { decodeErrata } from '../../../src/format/errata.ts'
import { decodeFrames, encodeFrames } from '../../../src/format/frames.ts'
import { decodeJournal, decodeJournalHead, encodeJournal } from '../../../src/format/journal.ts'
import { decodeManifest, encodeManifest } from '../../../src/format/manifest.ts'
import { decodeMtree } from '../../../src/format/mtree.ts'
import { decodeObsolete, encodeObsolete } from '../../../src/format/obsolete.ts'
import { decodeOldNames, encodeOldNames } from '../../../src/format/old-names.ts'
import { decodePhaseState, encodePhaseState } from '../../../src/format/phase-state.ts'
import { decodeRest, encodeRest } from '../../../src/format/rest.ts'
import { decodeStateVersion, encodeStateVersion } from '../../../src/format/state-version.ts'
import { decodeReboot, encodeReboot } from '../../../src/format/reboot-state.ts'
import { decodeReleaseState, encodeReleaseState } from '../../../src/format/release-state.ts'
import { decodeRules } from '../../../src/format/rules.ts'
import { decodePublicKey, decodeSignedMessage, encodePublicKey, encodeSignedMessage } from '../../../src/format/signify.ts'
import { decodeChecksums, encodeChecksums } from '../../../src/format/state-checksums.ts'
import { formatJson, parseJson } from '../../../src/format/strict-json.ts'
import { decodeTold, encodeTold } from '../../../src/format/told.ts'
import { decodeDiffFiles } from '../../../src/format/unified-diff.ts'
import { decodeUpdFile, decodeUpdList, encodeUpdFile } from '../../../src/format/upd.ts'
import { formatChannel, formatDistName, parseChannel, parseDistName } from '../../../src/base/name.ts'
import { parseRelPath } from '../../../src/base/path.ts'
import { parseSha256, sha256 } from '../../../src/base/digest.ts'
import { errataText, fileDiff, signedApply } from '../../helpers/errata.ts'
import { canonical, decoder, digest } from '../decoder.ts'
import type { RelPath } from '../../../src/base/path.ts'
import type { Sha256 } from '../../../src/base/digest.ts'
import type { Decoder } from '../decoder.ts'

const journalBody = `bindery-journal 1
transaction 7
purpose install
direction forward
time 1700000000
release base-amd64 base-1.0-20260101-amd64 base-1.1-20260201-amd64
area var/db/bindery
undoes 6
post notice mind\\040the\\040gap
reboot base-amd64 careful
kept modified etc/conf etc/conf.new
mkdir new dir,0755,0,0,1700000000.000000000
put new/file 0:1 file,0644,0,0,1700000000.000000001,3,${digest}
swap etc/conf 0:2 file,0644,0,0,1.000000000,3,${digest} symlink,0777,0,0,1.000000000,to\\040there
attr etc dir,0755,0,0,1.000000000 dir,0700,0,0,1.000000000
`
const journal = `${journalBody}end ${sha256(fromLatin1(journalBody))}\n`
/** A journal with the digest of its lines behind them, whatever stood there. */
function withEndLine(bytes: Uint8Array): Uint8Array {
  const last = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1
  const body = bytes.subarray(0, last)
  return concatBytes([body, fromLatin1(`end ${sha256(body)}\n`)])
}

const checksum = encodeChecksums([{ path: 'told' as RelPath, size: 3, mtime: { sec: 1, nsec: 2 }, inode: 3n, sha256: digest as Sha256 }])
const manifest = encodeManifest({
  entries: [
    { kind: 'dir', path: '.' as RelPath, mode: 0o755, uid: 0, gid: 0, mtime: { sec: 1, nsec: 0 } },
    { kind: 'file', path: 'a b' as RelPath, mode: 0o644, uid: 0, gid: 0, mtime: { sec: 1, nsec: 5 }, size: 3, sha256: digest as Sha256 },
    { kind: 'symlink', path: 'c' as RelPath, mode: 0o777, uid: 0, gid: 0, mtime: { sec: 1, nsec: 0 }, target: 'a b' },
  ],
})
const key = encodePublicKey({ comment: 'a key', keynum: new Uint8Array(8).fill(1), publicKey: new Uint8Array(32).fill(2) })
const signed = encodeSignedMessage({
  signature: { comment: 'signed', keynum: new Uint8Array(8).fill(1), signature: new Uint8Array(64).fill(3) },
  message: utf8('message\n'),
})

const rules = `format = 1
base = "unix"

[[rule]]
name = "kernel"
match = ["/boot/{vmlinuz,bzImage}*", "/{,usr/}lib/modules/**"]
except = ["/boot/grub.cfg"]
on = ["added", "changed"]
reboot = "reboot"
steps = ["depmod"]
phase = "kernel"
instead-of = ["units"]
yes = ["/boot/vmlinuz-6.1"]
no = ["/boot/grub.cfg"]
`
const errata = errataText({
  title: 'OpenBSD 7.4 errata 001, October 25, 2023:',
  description: 'A lamp could be lit without asking.',
  sections: [
    signedApply('001_lampd'),
    { heading: 'And then rebuild and install lampd:', commands: ['cd /usr/src/usr.sbin/lampd', 'make'] },
  ],
  diff: fileDiff('usr.sbin/lampd/lampd.c', ['int lit;'], ['int lit = 0;']),
})
export const clientDecoders: readonly Decoder[] = [
  canonical(
    'enrolled',
    [`bindery-enrolled 1\nchannel base/amd64\nrepository 0123456789abcdef\nbasis tar\nurl https://example.org/\nurl file:///srv/\n`],
    decodeEnrolled,
    encodeEnrolled,
  ),
  canonical(
    'release',
    [
      `bindery-release 1\nname base-1.0-20260101-amd64\nsequence 1\ntar ${digest} 3\nmanifest ${digest} 4\nbase ${digest} 5 ${digest} 6\ndelta ${digest} 7 ${digest} 3\n`,
    ],
    decodeReleaseState,
    encodeReleaseState,
  ),
  { ...canonical('journal', [journal], decodeJournal, encodeJournal), mend: withEndLine },
  decoder('journal-head', [journal], decodeJournalHead),
  canonical('checksums', [checksum], decodeChecksums, encodeChecksums),
  canonical('manifest', [manifest], decodeManifest, encodeManifest),
  canonical('told', ['bindery-told 1\nunreachable 1700000000\nend-of-life base/amd64 2026-01-01 30\n'], decodeTold, encodeTold),
  canonical(
    'reboot',
    ['bindery-reboot 1\nneed base-amd64 base-1.0-20260101-amd64 base-1.1-20260201-amd64 reboot boot-1\n'],
    decodeReboot,
    encodeReboot,
  ),
  canonical(
    'bundle-index',
    ['bindery-bundles 1\nserial 7\nexpires 9\nbundle 3 2 base/amd64 base-1.0-20260101-amd64 base-1.1-20260201-amd64\n'],
    decodeBundleIndex,
    encodeBundleIndex,
  ),
  canonical(
    'boot-hook',
    [`bindery-boot-hook 1\nsystem systemd\nmade etc/systemd\nfile ${digest} etc/systemd/x.service\nlink ../x.service etc/l\n`],
    decodeBootHook,
    encodeBootHook,
  ),
  canonical(
    'phase',
    [
      `bindery-phase 1\ninstalled base-1.0-20260101-amd64\nrelease base-1.1-20260201-amd64\nmanifest ${digest} 4\nboot -\ndone kernel\npath /boot\n`,
    ],
    decodePhaseState,
    encodePhaseState,
  ),
  canonical('rest', ['bindery-rest 1\nchannel base/amd64 base-1.0-20260101-amd64\n'], decodeRest, encodeRest),
  canonical(
    'old-names',
    [`bindery-old-names 1\npath bsd.old\nnode file,0644,0,0,1.000000000,3,${digest}\n`],
    decodeOldNames,
    encodeOldNames,
  ),
  decoder('version', ['bindery-state 1\nleast 0.1.0\n'], decodeStateVersion, encodeStateVersion),
  decoder('obsolete', ['bindery-obsolete 1\nthrough 3\n'], decodeObsolete, encodeObsolete),
  decoder('checksum-list', [`SHA256 (a.sh) = ${digest}\nSHA256 (b) = ${digest}\n`], decodeChecksumList, encodeChecksumList),
  decoder('signify-key', [key], decodePublicKey, encodePublicKey),
  decoder('signify-message', [signed], decodeSignedMessage, encodeSignedMessage),
  decoder('json', ['{"a":[1,-2,"\\u00e9",null,true],"b":{"c":""}}'], parseJson, formatJson),
  decoder('frames', [encodeFrames([])], decodeFrames, encodeFrames),
  decoder(
    'mtree',
    [
      `#mtree\n/set type=file uid=0 gid=0 mode=0644\n. type=dir mode=0755\n    a\\040b size=3 time=1.5 sha256=${digest}\n    c type=link link=a\n..\n`,
      manifest,
    ],
    decodeMtree,
  ),
  decoder('conf', ['# comment\nignore /var/log\nprotect /etc/*.conf\nkeep-releases 3\nbasis installed\nhold base/amd64\n'], decodeConf),
  decoder('rules', [rules], decodeRules),
  decoder('errata', [errata], decodeErrata),
  decoder(
    'unified-diff',
    ['Index: a.c\n--- a.c\n+++ a.c\n@@ -1,2 +1,2 @@\n x\n-a\n+b\n--- /dev/null\n+++ n\n@@ -0,0 +1 @@\n+new\n'],
    (bytes) => decodeDiffFiles(bytes, 0, 1),
  ),
  canonical(
    'dist-names',
    ['base-1.1-20260201-amd64'],
    (bytes) => parseDistName(latin1(bytes)),
    (name) => fromLatin1(formatDistName(name)),
  ),
  canonical(
    'channel',
    ['base/amd64'],
    (bytes) => parseChannel(latin1(bytes)),
    (channel) => fromLatin1(formatChannel(channel)),
  ),
  canonical('path', ['usr/local/bin/a b'], (bytes) => parseRelPath(latin1(bytes)), fromLatin1),
  decoder('sha256', [digest], (bytes) => parseSha256(latin1(bytes)), fromLatin1),
  decoder('upd-list', ['name;1.0;2.0;https://example.org/a.upd;' + digest + '\n'], decodeUpdList),
  decoder(
    'upd-file',
    [
      `Name: x\nMD5: ${'ab'.repeat(16)}\nSize: 3\nFileURL: a/b.tar\nStandAlone: NO\nRequiresReboot: YES\nDetailsURL: https://example.org/\n`,
    ],
    decodeUpdFile,
    (value) => utf8(encodeUpdFile(value)),
  ),
]
