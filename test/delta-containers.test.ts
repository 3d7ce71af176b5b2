import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { sha256 } from '../src/base/digest.ts'
import { delta } from '../src/command/delta.ts'
import { patch } from '../src/command/patch.ts'
import { patch as clientPatch } from '../src/command/patch-client.ts'
import { noise } from './helpers/noise.ts'
import { packageKey } from './helpers/openbsd-mirror/mirror.ts'
import { packageFile } from './helpers/openbsd-mirror/package-file.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import { decodeContainer } from './second-decoder/container.ts'
import type { Outcome } from './helpers/run-command.ts'

const texts = globSync('node_modules/typescript/lib/lib.es20*.d.ts').toSorted().slice(0, 40)

/** Two versions of a program's files, below `old` and `new`. */
function plantTrees(folder: string): void {
  for (const [i, path] of texts.entries()) {
    const text = readFileSync(path, 'utf8')
    put(join(folder, 'old/usr/share/x', basename(path)), text)
    put(join(folder, 'new/usr/share/x', basename(path)), i % 5 === 0 ? `${text.replaceAll('interface', 'class')}// ${i}\n` : text)
  }
}

function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

function sh(cwd: string, command: string): string {
  return execFileSync('bash', ['-euo', 'pipefail', '-c', command], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

const canonical = 'tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 --format=ustar'

type Kind = {
  readonly name: string
  readonly tools: readonly string[]
  /** Makes `SIDE.c` of the tree SIDE. */
  readonly make: string
  /** What accepts `out`. */
  readonly judge: string
  readonly words?: readonly string[]
  /** Of the new file, in per cent. */
  readonly most: number
}

const deb = (compression: string): string =>
  `mkdir -p SIDE/DEBIAN && printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.org>\\nDescription: x\\n' >SIDE/DEBIAN/control &&
   SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group -Z${compression} -b SIDE SIDE.c >/dev/null; rm -r SIDE/DEBIAN`

const kinds: readonly Kind[] = [
  {
    name: 'a .tgz',
    tools: ['tar', 'gzip'],
    make: `${canonical} -cf - -C SIDE . | gzip -9n >SIDE.c`,
    judge: 'tar -tzf out',
    words: ['--exact'],
    most: 6,
  },
  {
    name: 'a Debian package with xz',
    tools: ['dpkg-deb'],
    make: deb('xz'),
    judge: 'dpkg-deb --contents out && dpkg-deb --info out',
    most: 8,
  },
  { name: 'a Debian package with gzip', tools: ['dpkg-deb'], make: deb('gzip'), judge: 'dpkg-deb --contents out', most: 8 },
  {
    name: 'a zip archive',
    tools: ['zip', 'unzip'],
    make: '(cd SIDE && find . -type f | sort | TZ=UTC zip -q -X ../SIDE.zip -@) && mv SIDE.zip SIDE.c',
    judge: 'unzip -tq out',
    most: 12,
  },
  {
    name: 'a zip archive with data descriptors',
    tools: ['zip', 'unzip'],
    make: '(cd SIDE && find . -type f | sort | zip -q -X - -@) >SIDE.c',
    judge: 'unzip -tq out',
    most: 12,
  },
  {
    name: 'a zip archive behind a program',
    tools: ['zip', 'unzip'],
    make: "printf '#!/bin/sh\\n' >SIDE.c && (cd SIDE && find . -type f | sort | zip -q -X - -@) | cat >>SIDE.c",
    judge: '{ unzip -tq out || [ $? = 1 ]; }',
    most: 12,
  },
  { name: 'an xz file', tools: ['xz'], make: 'cat SIDE/usr/share/x/* | xz -6 >SIDE.c', judge: 'xz -t <out', most: 6 },
  {
    name: 'an xz file in blocks',
    tools: ['xz'],
    make: 'cat SIDE/usr/share/x/* | xz -2 -T2 --block-size=65536 >SIDE.c',
    judge: 'xz -t <out',
    most: 6,
  },
  { name: 'a bzip2 file', tools: ['bzip2'], make: 'cat SIDE/usr/share/x/* | bzip2 -3 >SIDE.c', judge: 'bzip2 -t <out', most: 6 },
  { name: 'a gzip file', tools: ['gzip'], make: 'cat SIDE/usr/share/x/* | gzip -6 >SIDE.c', judge: 'gzip -t <out', most: 6 },
  {
    name: 'a zip archive in a .tar.xz',
    tools: ['zip', 'unzip', 'xz', 'tar'],
    make: `(cd SIDE && find . -type f | sort | zip -q -X - -@) >inner.zip && ${canonical} -cf - inner.zip | xz >SIDE.c`,
    judge: 'tar -xOJf out inner.zip >i && unzip -tq i',
    most: 12,
  },
  {
    name: 'a PBI',
    tools: ['bzip2', 'xz', 'tar'],
    make: `${canonical} -cf - SIDE/usr/share/x/lib.es2015.core.d.ts | bzip2 >SIDE.c; printf '\\n__PBI_ICON__\\nicon\\n__PBI_ARCHIVE__\\n' >>SIDE.c; ${canonical} -cf - -C SIDE . | xz >>SIDE.c`,
    judge: 'sed 1,/__PBI_ARCHIVE__/d out | tail -c +1 >payload; xz -t <payload',
    most: 8,
  },
  {
    name: 'a tar with a bzip2 file in it',
    tools: ['bzip2', 'tar'],
    make: `cat SIDE/usr/share/x/* | bzip2 >inner.bz2 && ${canonical} -cf SIDE.c inner.bz2`,
    judge: 'tar -xOf out inner.bz2 | bzip2 -t',
    most: 6,
  },
]

const run = (...words: readonly string[]): Promise<Outcome> => runCommand(delta, words)

for (const kind of kinds) {
  test(`${kind.name} comes out bit for bit, of a delta between contents`, needs(...kind.tools), async () => {
    await inTemporary(async (folder) => {
      plantTrees(folder)
      for (const side of ['old', 'new']) sh(folder, kind.make.replaceAll('SIDE', side))
      const [old, next, file, out] = ['old.c', 'new.c', 'd', 'out'].map((name) => join(folder, name)) as [string, string, string, string]
      const made = await run(old, next, '-o', file, ...(kind.words ?? []))
      assert.deepEqual(made, { status: 0, stdout: '', stderr: [] })
      assert.equal((await runCommand(patch, [file, old, '-o', out])).status, 0)
      assert.equal(sha256(readFileSync(out)), sha256(readFileSync(next)))
      sh(folder, kind.judge)
      const share = (100 * statSync(file).size) / statSync(next).size
      assert.ok(share <= kind.most, `${share.toFixed(1)} % of the new file`)
    })
  })
}

/** A small pair of .tar.xz files, and a delta between them. */
async function withXz(use: (files: Readonly<Record<'folder' | 'old' | 'new' | 'delta' | 'out', string>>) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    plantTrees(folder)
    for (const side of ['old', 'new']) sh(folder, `${canonical} -cf - -C ${side} . | xz >${side}.tar.xz`)
    const files = {
      folder,
      old: join(folder, 'old.tar.xz'),
      new: join(folder, 'new.tar.xz'),
      delta: join(folder, 'd'),
      out: join(folder, 'out'),
    }
    assert.equal((await run(files.old, files.new, '-o', files.delta)).status, 0)
    await use(files)
  })
}

test('a delta between containers tells what it applies to', needs('npm:node-liblzma', 'xz', 'tar'), async () => {
  await withXz(async ({ old, new: next, delta: file }) => {
    const { stdout } = await run('--info', '--json', file)
    const {
      format,
      container,
      old: from,
      new: to,
    } = JSON.parse(stdout) as { format: string; container: string; old: { sha256: string }; new: { sha256: string } }
    assert.deepEqual(
      [format, container, from.sha256, to.sha256],
      ['bindery-container', 'xz', sha256(readFileSync(old)), sha256(readFileSync(next))],
    )
    assert.equal((await run('--info', file, old)).status, 0)
    assert.equal((await run('--info', file, next)).code, 'wrong-base')
  })
})

test(
  'the old container may come from a pipe; another one is refused before anything is written',
  needs('npm:node-liblzma', 'xz', 'tar'),
  async () => {
    await withXz(async ({ old, new: next, delta: file, out }) => {
      const piped = await runCommand(patch, [file, '-o', out], { input: readFileSync(old) })
      assert.deepEqual([piped.status, sha256(readFileSync(out))], [0, sha256(readFileSync(next))])
      assert.equal((await runCommand(patch, [file, next, '-o', out])).code, 'wrong-base')
      assert.equal((await runCommand(patch, [file, '-o', out], { input: readFileSync(next) })).code, 'wrong-base')
      assert.equal((await runCommand(patch, ['--memory', '16', file, old])).code, 'over-limit')
    })
  },
)

test(
  'the client alone says that it does not open containers, and --merge does not join them',
  needs('npm:node-liblzma', 'xz', 'tar'),
  async () => {
    await withXz(async ({ old, delta: file, folder }) => {
      assert.equal((await runCommand(clientPatch, [file, old])).code, 'not-supported')
      assert.equal((await run('--merge', file, file, old, '-o', join(folder, 'joined'))).code, 'not-supported')
    })
  },
)

test('--explain says of each piece how it was handled, and what it costs', needs('npm:node-liblzma', 'xz', 'tar'), async () => {
  await withXz(async ({ old, new: next, delta: file }) => {
    const { stdout } = await run('--explain', '--json', old, next, '-o', file)
    const [whole, piece, , ...members] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    assert.deepEqual([whole?.['container'], whole?.['size']], ['opened', statSync(file).size])
    assert.deepEqual([piece?.['piece'], piece?.['handled'], piece?.['by']], ['xz', 'bit for bit', 'xz -6'])
    assert.ok(members.some((member) => String(member['path']).endsWith('lib.es2015.core.d.ts')))
    const told = await run('--explain', old, next, '-o', file)
    assert.match(told.stdout, /xz -6 +\(the whole file, xz\)/)
  })
})

test('with --components contents come out uncompressed, in the same container', needs('dpkg-deb', 'zip', 'unzip', 'tar'), async () => {
  await inTemporary(async (folder) => {
    plantTrees(folder)
    for (const side of ['old', 'new'])
      sh(
        folder,
        [deb('xz').replace(/; rm.*/, ''), '(cd SIDE && zip -qr ../SIDE.zip usr)', `${canonical} -czf SIDE.tgz -C SIDE .`]
          .join('\n')
          .replaceAll('SIDE', side),
      )
    for (const [ending, judge] of [
      ['c', 'dpkg-deb --contents out'],
      ['zip', 'unzip -tq out'],
      ['tgz', 'tar -tf out'],
    ] as const) {
      const [old, next, file, out] = [`old.${ending}`, `new.${ending}`, 'd', 'out'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
        string,
      ]
      assert.deepEqual(await run('--components', old, next, '-o', file), { status: 0, stdout: '', stderr: [] })
      assert.equal((await runCommand(patch, [file, old, '-o', out])).status, 0)
      sh(folder, judge)
      assert.ok(statSync(out).size > 2 * statSync(next).size)
    }
    sh(folder, 'gunzip <new.tgz | cmp - out')
  })
})

test('a tar in gzip or zstd stands for the tar, and is applied in a pipe as ever', needs('tar'), async () => {
  await inTemporary(async (folder) => {
    plantTrees(folder)
    for (const side of ['old', 'new']) sh(folder, `${canonical} -cf ${side}.tar -C ${side} .`)
    const [old, next] = ['old.tar', 'new.tar'].map((name) => readFileSync(join(folder, name))) as [Buffer, Buffer]
    const [a, b, file, out] = ['old.tgz', 'new.tar.zst', 'd', 'out'].map((name) => join(folder, name)) as [string, string, string, string]
    writeFileSync(a, gzipSync(old))
    writeFileSync(b, zstdCompressSync(next))
    assert.equal((await run(a, b, '-o', file)).status, 0)
    for (const input of [old, readFileSync(a)]) {
      assert.equal((await runCommand(patch, [file, '-o', out], { input })).status, 0)
      assert.deepEqual(readFileSync(out), next)
    }
  })
})

test('what was signed as an OpenBSD package still verifies, and its digests cost nothing', needs('signify-openbsd', 'tar'), async () => {
  await inTemporary(async (folder) => {
    for (const side of ['old', 'new']) {
      put(join(folder, side, 'program'), noise(700_000, 1).content)
      put(join(folder, side, 'a.txt'), `version of ${side}\n`)
    }
    sh(folder, 'signify-openbsd -G -n -p k.pub -s k.sec')
    for (const side of ['old', 'new'])
      sh(folder, `${canonical} -cf - -C ${side} . | gzip -9n >plain && signify-openbsd -zS -s k.sec -m plain -x ${side}.tgz`)
    const [old, next, file, out] = ['old.tgz', 'new.tgz', 'd', 'out'].map((name) => resolve(folder, name)) as [
      string,
      string,
      string,
      string,
    ]
    assert.equal((await run(old, next, '-o', file)).status, 0)
    assert.equal((await runCommand(patch, [file, old, '-o', out])).status, 0)
    assert.equal(sha256(readFileSync(out)), sha256(readFileSync(next)))
    sh(folder, 'signify-openbsd -Vz -p k.pub -x out >verified && tar -tzf verified')
    // A signature, and no eleven digests.
    assert.ok(statSync(file).size < 600, `${statSync(file).size} bytes`)
    assert.equal(sha256(decodeContainer(readFileSync(file), readFileSync(old))), sha256(readFileSync(next)))
  })
})

test(
  'two versions of a package of a mirror: a small delta makes the signed file itself, which signify takes',
  needs('signify-openbsd', 'tar'),
  async () => {
    const key = await packageKey()
    const files = texts.slice(0, 12).map((path, i) => ({ path: `share/vim/${i}.txt`, content: readFileSync(path, 'latin1') }))
    const former = packageOf({ name: 'vim-9.0.1', pkgpath: 'editors/vim', wantlibs: ['c.97.1', 'iconv.7.1'], files })
    const changed = files.map((file, i) => (i === 3 ? { ...file, content: `${file.content}// 9.0.2\n` } : file))
    await inTemporary(async (folder) => {
      const [old, next, file, out] = ['old.tgz', 'new.tgz', 'd', 'out'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
        string,
      ]
      writeFileSync(old, await packageFile(former, key, '2026-10-01T08:00:00Z'))
      writeFileSync(
        next,
        await packageFile({ ...former, name: 'vim-9.0.2', wantlibs: ['c.98.0', 'iconv.7.1'], files: changed }, key, '2026-11-20T09:30:15Z'),
      )
      writeFileSync(join(folder, 'k.pub'), key.publicKeyFile)
      assert.equal((await run(old, next, '-o', file)).status, 0)
      assert.equal((await runCommand(patch, [file, old, '-o', out])).status, 0)
      assert.equal(sha256(readFileSync(out)), sha256(readFileSync(next)))
      sh(folder, 'signify-openbsd -Vz -p k.pub -x out | tar -tzf -')
      assert.ok(statSync(file).size < 1200, `${statSync(file).size} bytes`)
    })
  },
)

test('a delta is never larger than one between the files as they are', needs('zip'), async () => {
  await inTemporary(async (folder) => {
    const entries = Array.from({ length: 50 }, (_, i) => [`f${i}`, `text number ${i} `.repeat(30)] as const)
    for (const side of ['old', 'new']) {
      for (const [name, text] of entries) put(join(folder, side, name), name === 'f49' && side === 'new' ? `${text}!` : text)
      sh(folder, `cd ${side} && touch -d @1700000000 * && TZ=UTC zip -qX ../${side}.zip f*`)
    }
    const [old, next, opened, asBytes] = ['old.zip', 'new.zip', 'd', 'raw'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
      string,
    ]
    assert.equal((await run(old, next, '-o', opened)).status, 0)
    assert.equal((await run('--raw', old, next, '-o', asBytes)).status, 0)
    assert.ok(statSync(opened).size <= statSync(asBytes).size)
    assert.equal((await runCommand(patch, [opened, old, '-o', join(folder, 'out')])).status, 0)
    assert.deepEqual(readFileSync(join(folder, 'out')), readFileSync(next))
  })
})
