import { latin1 } from '../../../src/base/bytes.ts'
import { decodeNextRoot, encodeNextRoot } from '../../../src/format/next-root.ts'
import { decodeTreeState, encodeTreeState } from '../../../src/format/tree-state.ts'
import { parseStat } from '../../../src/host/disk-flags.ts'
import { parseMountInfo } from '../../../src/host/disk-refusal.ts'
import { parseDump } from '../../../src/host/disk-xattrs.ts'
import { parseRange } from '../../../src/host/http-range.ts'
import { mountsOfTree, parseMounts } from '../../../src/host/mount-table.ts'
import { parseMountLines } from '../../../src/host/remote-mounts.ts'
import { parseTable } from '../../../src/engine/tree/owners.ts'
import { canonical, decoder } from '../decoder.ts'
import type { Decoder } from '../decoder.ts'

/** What the system and its tools print, and a staged root keeps. */

const mounts =
  '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:5 / /mnt/a\\040b rw shared:1 - tmpfs tmpfs rw\n31 30 0:6 / /mnt/a\\040b/c rw - nfs host:/x rw\n'

export const systemDecoders: readonly Decoder[] = [
  canonical('tree-state', ['bindery-tree 1\nnumber 3\nfrom 2\nmade 1700000000\nleft 1.000000002\n'], decodeTreeState, encodeTreeState),
  canonical('next-root', ['bindery-next-root 1\nname bindery-20260101T000000Z\nstate making\n'], decodeNextRoot, encodeNextRoot),
  decoder('mountinfo', [mounts], (bytes) => [
    mountsOfTree(parseMounts(latin1(bytes)), '/mnt', () => true),
    parseMountInfo(latin1(bytes), '/mnt'),
  ]),
  decoder('mount-lines', ['/dev/sd0a on / type ffs (local)\nhost:/usr on /usr (nfs, read-only)\n'], (bytes) =>
    parseMountLines(latin1(bytes)),
  ),
  decoder('getfattr', ['# file: a\\040b\nuser.x=0x616263\nuser.empty\n\n# file: c\nuser.y=0x\n'], (bytes) => parseDump(latin1(bytes))),
  decoder('stat-flags', ['1 2 uchg,schg\n1 3 -\n1 4\n'], (bytes) => parseStat(latin1(bytes))),
  decoder('passwd', ['root:*:0:0:Charlie:/root:/bin/sh\nada:*:1000:1000::/home/ada:/bin/sh\n'], (bytes) => parseTable(latin1(bytes))),
  decoder('http-range', ['bytes=1-5', 'bytes=-3', 'bytes=4-'], (bytes) => parseRange(latin1(bytes), 10)),
]
