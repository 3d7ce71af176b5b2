import assert from 'node:assert/strict'
import { chmodSync, linkSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { pbi } from '../src/command/pbi.ts'
import { readPbi } from '../src/engine/pkg/pbi.ts'
import { packPbi } from '../src/engine/pkg/pbi-pack.ts'
import { applyPbp } from '../src/engine/pkg/pbp.ts'
import { makePbp } from '../src/engine/pkg/pbp-make.ts'
import { fileNode, withParents } from '../src/engine/pkg/tree.ts'
import { makeBsdiff } from '../src/engine/delta/bsdiff.ts'
import { needs } from './helpers/programs.ts'
import { plantPbi, rawPbi, shell, usualHeader } from './helpers/pbi.ts'
import { runCommand } from './helpers/run-command.ts'
import { directory, end, file, symlink } from './helpers/tar-builder.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { RelPath } from '../src/base/path.ts'
import type { FileTree, TreeNode } from '../src/engine/pkg/tree.ts'
import type { Outcome } from './helpers/run-command.ts'

const run = async (...words: readonly string[]): Promise<Outcome> => await runCommand(pbi, words)

async function done(...words: readonly string[]): Promise<Outcome> {
  const outcome = await run(...words)
  assert.equal(outcome.status, 0, `${words.join(' ')}: ${outcome.error?.subject ?? ''}: ${outcome.error?.message ?? ''}`)
  return outcome
}

const oldText = Array.from({ length: 3000 }, (_, i) => `line ${i}, ${(i * 62710561) % 1000003}\n`).join('')
const newText = oldText.replace('line 1500,', 'another line,')

/** Two versions that differ in every way that there is. */
function plantVersions(at: string): void {
  const odd = "odd 'name'; $(touch evil)"
  plantPbi(
    join(at, 'old'),
    {},
    { text: oldText, same: 'same', foo: 'stays', foobar: 'goes', [odd]: 'x', 'd/f': 'f', 'e/x': 'x', 'kind/y': 'y', file: 'f' },
  )
  plantPbi(
    join(at, 'new'),
    { pbi_version: '1.1', pbi_mdate: '20130101 120000', 'post-install.sh': 'echo done' },
    { text: newText, same: 'same', foo: 'stays', [odd]: 'x', 'd/f': 'f', kind: 'now a file', 'file/z': 'now a folder', 'n/new': 'new' },
  )
  chmodSync(join(at, 'new/payload/same'), 0o755)
  chmodSync(join(at, 'new/payload', odd), 0o755)
  chmodSync(join(at, 'new/payload/d'), 0o700)
  chmodSync(join(at, 'new/payload/text'), 0o600)
  symlinkSync('foobar', join(at, 'old/payload/link'))
  symlinkSync('foo', join(at, 'new/payload/link'))
}

/** Both PBIs, both folders as they come out, and the patch. */
async function prepare(at: string): Promise<void> {
  plantVersions(at)
  for (const side of ['old', 'new']) {
    await done('pack', join(at, side), '-o', join(at, `${side}.pbi`))
    await done('extract', join(at, `${side}.pbi`), '-o', join(at, `${side}.d`))
  }
  await done('diff', join(at, 'old.pbi'), join(at, 'new.pbi'), '-o', join(at, 'x.pbp'))
}

/** Paths, kinds and modes. */
const listing = `cd "$1" && find . ! -type l -printf '%p %y %m\\n' -o -printf '%p %l\\n' | sort`

test('a patch makes of the old PBI the new one, which packs to the same file', needs('find', 'diff'), async () => {
  await inTemporary(async (at) => {
    await prepare(at)
    const { stderr } = await done('patch', join(at, 'old.d'), join(at, 'x.pbp'), '-o', join(at, 'out'))
    assert.deepEqual(stderr, [])
    shell(at, 'diff -r --no-dereference new.d/payload out/payload')
    assert.equal(shell(at, listing, 'out/payload'), shell(at, listing, 'new.d/payload'))
    await done('pack', join(at, 'out'), '-o', join(at, 'again.pbi'))
    assert.deepEqual(readFileSync(join(at, 'again.pbi')), readFileSync(join(at, 'new.pbi')))
    assert.ok(statSync(join(at, 'x.pbp')).size < statSync(join(at, 'new.pbi')).size)
  })
})

test(
  "a patch is what PC-BSD's own steps make the new PBI of",
  needs('tar', 'npm:node-liblzma', 'xz', 'awk', 'bspatch', 'sha256sum', 'find'),
  async () => {
    await inTemporary(async (at) => {
      await prepare(at)
      shell(
        at,
        `mkdir p; n=$(awk '/^__PBI_ARCHIVE__/ {print NR+1; exit 0}' x.pbp); tail -n "+$n" x.pbp | tar xJf - -C p
       cp -a old.d/payload t; cd t
       while read -r path; do rm -rf "$path"; done <../p/PBI-rmList
       tar xpf ../p/PBI-newFiles.tar
       find ../p -name '*.bsdiff' | while read -r f; do
         path=\${f#../p/}; path=\${path%.bsdiff}
         test "$(cat "../p/$path.sha256")" = "$(sha256sum <"$path" | cut -c1-64)"
         bspatch "$path" "$path.new" "$f"; cat "$path.new" >"$path"; rm "$path.new"
       done
       while read -r line; do eval "$line"; done <../p/PBI-permList; test ! -e evil`,
      )
      shell(at, 'diff -r --no-dereference new.d/payload t')
      assert.equal(shell(at, listing, 't'), shell(at, listing, 'new.d/payload'))
    })
  },
)

test(
  'a patch made by bsdiff and tar is applied, and says what nobody promised',
  needs('tar', 'npm:node-liblzma', 'xz', 'bzip2', 'bsdiff', 'sha256sum'),
  async () => {
    await inTemporary(async (at) => {
      plantVersions(at)
      shell(
        at,
        `mkdir p; cd p; printf 'foobar\\n' >PBI-rmList; printf 'chmod 755 ./same\\n' >PBI-permList
       tar cf PBI-newFiles.tar -C ../new/payload ./n ./link; bsdiff ../old/payload/text ../new/payload/text text.bsdiff
       sha256sum <../old/payload/text | cut -c1-64 >text.sha256; tar cJf ../payload .; cd ..
       printf 'helloworld-1.0-amd64:helloworld-1.1-amd64\\n' >new/header/pbi_patchfile; cp old/header/pbi_mdate new/header/pbi_patchmdate
       sha256sum <payload | cut -c1-64 >new/header/pbi_archivesum
       (tar cjf - -C new/header .; printf '\\n__PBI_ICON__\\n'; cat new/icon.png; printf '\\n__PBI_ARCHIVE__\\n'; cat payload) >x.pbp`,
      )
      const { stderr } = await done('patch', join(at, 'old'), join(at, 'x.pbp'), '-o', join(at, 'out'))
      assert.match(stderr.join(), /^2 files came out of the patch, and nobody has told/)
      shell(
        at,
        'cmp out/payload/text new/payload/text; test ! -e out/payload/foobar; test -x out/payload/same; test "$(readlink out/payload/link)" = foo',
      )
      assert.deepEqual(
        readdirSync(join(at, 'out/header')).filter((name) => /patch|archive/.test(name)),
        [],
      )
    })
  },
)

test('an installed PBI is patched by its header in the database', async () => {
  await inTemporary(async (at) => {
    await prepare(at)
    shell(at, 'mv old.d/header db; mv old.d/payload hello-amd64')
    await done('patch', join(at, 'hello-amd64'), join(at, 'x.pbp'), '--header', join(at, 'db'), '-o', join(at, 'out'))
    shell(at, 'diff -r --no-dereference new.d/payload out/payload')
  })
})

test('names of one file part where a patch changes one', async () => {
  await inTemporary(async (at) => {
    plantPbi(join(at, 'old'), {}, { a: oldText })
    linkSync(join(at, 'old/payload/a'), join(at, 'old/payload/b'))
    writeFileSync(join(at, 'x.pbp'), pbp({ a: patchOf(oldText, newText), permissions: 'chmod 600 b\n' }))
    await done('patch', join(at, 'old'), join(at, 'x.pbp'), '-o', join(at, 'out'))
    const [a, b] = ['a', 'b'].map((name) => join(at, 'out/payload', name)) as [string, string]
    assert.deepEqual([readFileSync(a, 'latin1') === newText, readFileSync(b, 'latin1') === oldText], [true, true])
    assert.deepEqual([statSync(a).mode & 0o777, statSync(b).mode & 0o777], [0o644, 0o600])
  })
})

// --- any two trees

const names = ['a', 'b', 'a.bsdiff', 'a.sha256', 'PBI-rmList', "o'd; $d", 'x:::y', '-r', '\u00ff']

const arbitraryTree = fc
  .array(
    fc.record({
      path: fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }),
      kind: fc.constantFrom('file', 'file', 'dir', 'symlink'),
      mode: fc.constantFrom(0o644, 0o755, 0o600),
      text: fc.constantFrom('', 'x', oldText, newText),
    }),
    { maxLength: 12 },
  )
  .map((nodes): FileTree => {
    const tree = new Map<RelPath, TreeNode>()
    for (const { path, kind, mode, text } of nodes) {
      const parents = path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join('/') as RelPath)
      if (parents.some((parent) => (tree.get(parent)?.kind ?? 'dir') !== 'dir') || tree.has(path.join('/') as RelPath)) continue
      for (const parent of parents) if (!tree.has(parent)) tree.set(parent, { kind: 'dir', mode: 0o755 })
      const node: TreeNode =
        kind === 'file' ? fileNode(utf8(text), mode) : kind === 'dir' ? { kind, mode } : { kind: 'symlink', target: 'a' }
      tree.set(path.join('/') as RelPath, node)
    }
    return withParents(tree)
  })

async function shown(tree: FileTree): Promise<readonly unknown[]> {
  return await Promise.all(
    [...tree].map(async ([path, node]) =>
      node.kind === 'file'
        ? [path, node.mode, latin1(await node.content())]
        : node.kind === 'dir'
          ? [path, node.mode]
          : [path, node.target],
    ),
  )
}

test('whatever two trees are, the patch of one makes the other', async () => {
  const headerOf = (version: string): FileTree =>
    new Map(
      Object.entries({ ...usualHeader, pbi_version: version }).map(([name, value]) => [name as RelPath, fileNode(utf8(`${value}\n`))]),
    )
  const none = async (): Promise<undefined> => undefined
  const check = async (before: FileTree, after: FileTree): Promise<void> => {
    const old = { header: headerOf('1'), icon: undefined, payload: before }
    const packed = await packPbi(await makePbp(old, { ...old, header: headerOf('2'), payload: after }), {
      codec: 'bzip2',
      key: undefined,
      loadXz: none,
    })
    const patched = await applyPbp(old, await readPbi(packed, none), none)
    assert.deepEqual(await shown(patched.payload), await shown(after))
    assert.deepEqual(patched.unpromised, [])
  }
  await fc.assert(fc.asyncProperty(arbitraryTree, arbitraryTree, check), { numRuns: 40 })
})

// --- what is refused

type Patch = {
  readonly header?: Readonly<Record<string, string>>
  readonly removals?: string
  readonly permissions?: string
  readonly newFiles?: readonly Uint8Array[]
  readonly more?: readonly Uint8Array[]
  readonly a?: { readonly patch: Uint8Array; readonly digest: string }
}

function patchOf(old: string, next: string): NonNullable<Patch['a']> {
  return { patch: makeBsdiff(utf8(old), utf8(next)), digest: sha256(utf8(old)) }
}

/** For a PBI whose payload has `a`, with the text above. */
function pbp({ header = {}, removals = '', permissions = '', newFiles = [], more = [], a }: Patch): Uint8Array {
  return rawPbi({
    header: { pbi_version: '1.1', pbi_patchfile: '1.0:1.1', pbi_patchmdate: '20120528 134500', ...header },
    members: [
      file('PBI-rmList', removals),
      file('PBI-newFiles.tar', latin1(concatBytes([...newFiles, end]))),
      file('PBI-permList', permissions),
      ...(a === undefined ? [] : [file('a.bsdiff', latin1(a.patch)), file('a.sha256', `${a.digest}\n`)]),
      ...more,
    ],
  })
}

test('what does not fit, or should not be, is refused; the old folder stays, and there is no new one', needs('find', 'cp'), async () => {
  const good = patchOf(oldText, newText)
  const large = good.patch.slice()
  new DataView(large.buffer).setBigUint64(24, 2n ** 31n, true)
  const cut = { ...good, patch: good.patch.subarray(0, good.patch.length - 20) }
  const cases: readonly (readonly [string, Patch, string, RegExp])[] = [
    ['another version', { header: { pbi_patchfile: '0.9:1.1' } }, 'wrong-base', /pbi_version is '1.0', and it wants '0.9'/],
    ['another name', { header: { pbi_name: 'Other' } }, 'wrong-base', /pbi_name/],
    ['another architecture', { header: { pbi_arch: 'i386' } }, 'wrong-base', /pbi_arch/],
    ['another date', { header: { pbi_patchmdate: '20120528 134501' } }, 'wrong-base', /pbi_mdate/],
    ['another release', { header: { pbi_fbsdver: '10.0' } }, 'wrong-base', /major number/],
    ['no patch', { header: { pbi_patchfile: 'x' } }, 'bad-format', /is no patch/],
    ['a wrong sum', { header: { pbi_archivesum: '0'.repeat(64) } }, 'bad-digest', /pbi_archivesum/],
    ['no sum', { header: { pbi_archivesum: 'two\nlines' } }, 'bad-digest', /has no pbi_archivesum/],
    ['another old file', { a: { ...good, digest: sha256(utf8('other')) } }, 'wrong-base', /a: is not the file that the patch was made for/],
    ['no old digest', { a: { ...good, digest: 'none' } }, 'bad-format', /a.bsdiff: has no digest/],
    ['a cut-off patch', { a: cut }, 'bad-format', /a: /],
    ['a patch that is none', { a: { ...good, patch: utf8('BSDIFF41xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') } }, 'not-supported', /BSDIFF41/],
    ['a patch that makes two gigabytes', { a: { ...good, patch: large } }, 'over-limit', /a: the patch makes 2147483648 bytes/],
    ['a command', { permissions: 'chmod 755 a; touch evil\n' }, 'wrong-base', /a; touch evil/],
    ['another command', { permissions: 'touch evil\n' }, 'hostile', /is no 'chmod MODE PATH'/],
    ['a mode in letters', { permissions: 'chmod u+s a\n' }, 'hostile', /is no 'chmod MODE PATH'/],
    ['a mode outside', { permissions: 'chmod 644 ../x\n' }, 'hostile', /no path inside/],
    ['half a line', { permissions: 'chmod 644 a' }, 'bad-format', /ends within a line/],
    ['a removal outside', { removals: '../old\n' }, 'hostile', /no path inside/],
    ['a removal of all', { removals: './\n' }, 'hostile', /no path inside/],
    ['a new file outside', { newFiles: [file('../x', 'x')] }, 'hostile', /unsafe path/],
    ['a new file through a link', { newFiles: [file('out/x', 'x')] }, 'hostile', /lies below out/],
    ['a new link that leads out', { newFiles: [symlink('x', '../..')] }, 'hostile', /leads out/],
    ['a folder for a link', { newFiles: [directory('out'), file('out/x', 'x')] }, 'wrong-base', /no folder here/],
    ['a file for a folder', { newFiles: [file('d', 'x')] }, 'wrong-base', /d: is a folder here/],
    ['something unknown', { more: [file('PBI-script.sh', 'x')] }, 'not-supported', /PBI-script.sh: is nothing/],
    ['a digest alone', { more: [file('b.sha256', 'x')] }, 'not-supported', /b.sha256: is nothing/],
    [
      'a patch of a link',
      { more: [file('out.bsdiff', latin1(good.patch)), file('out.sha256', `${good.digest}\n`)] },
      'wrong-base',
      /out: is to be patched/,
    ],
    ['an unkept promise', { a: good, more: [file('PBI-hashList', `a:::${good.digest}\n`)] }, 'bad-digest', /a: came out otherwise/],
    ['a promise of nothing', { more: [file('PBI-hashList', `b:::${good.digest}\n`)] }, 'bad-digest', /b: came out otherwise/],
    [
      'a new list of hashes',
      { a: good, newFiles: [file('.pbi-hash-list', `a:::${good.digest}\n`)] },
      'bad-digest',
      /a: came out otherwise/,
    ],
    ['a damaged list', { newFiles: [file('.pbi-hash-list', 'a\n')] }, 'bad-format', /no 'path:::sha256'/],
  ]
  await inTemporary(async (at) => {
    plantPbi(join(at, 'old'), {}, { a: oldText, 'd/x': 'x' })
    symlinkSync('d', join(at, 'old/payload/out'))
    shell(at, 'cp -a old before')
    for (const [name, patch, code, message] of cases) {
      writeFileSync(join(at, 'x.pbp'), pbp(patch))
      const { code: found, error } = await run('patch', join(at, 'old'), join(at, 'x.pbp'), '-o', join(at, 'out'))
      assert.equal(found, code, `${name}: ${error?.message ?? 'applied'}`)
      assert.match(`${error?.subject ?? ''}: ${error?.message ?? ''}`, message, name)
    }
    assert.deepEqual(readdirSync(at).toSorted(), ['before', 'old', 'x.pbp'])
    shell(at, 'diff -r --no-dereference before old')
    writeFileSync(join(at, 'x.pbp'), pbp({ a: good, newFiles: [file('.pbi-hash-list', `a:::${sha256(utf8(newText))}\n`)] }))
    const { stderr } = await done('patch', join(at, 'old'), join(at, 'x.pbp'), '-o', join(at, 'out'))
    assert.match(stderr.join(), /^1 files came out/)
  })
})

test('a patch that would be larger than the new PBI is none', async () => {
  await inTemporary(async (at) => {
    plantPbi(join(at, 'old'), {}, { a: 'x' })
    plantPbi(join(at, 'new'), { pbi_version: '2' }, { b: 'y' })
    for (const side of ['old', 'new']) await done('pack', join(at, side), '-o', join(at, `${side}.pbi`))
    const { code } = await run('diff', join(at, 'old.pbi'), join(at, 'new.pbi'), '-o', join(at, 'x.pbp'))
    assert.equal(code, 'no-way')
    assert.ok(!readdirSync(at).includes('x.pbp'))
  })
})
