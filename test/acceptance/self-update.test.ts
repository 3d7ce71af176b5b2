import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, globSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { cut } from '../../src/command/cut.ts'
import { init } from '../../src/command/init.ts'
import { publish } from '../../src/command/publish.ts'
import { makeProduct, version } from '../../tools/product/tree.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { runCommand } from '../helpers/run-command.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { inTurn, isTurn } from '../helpers/whole-suite.ts'
import { bashBeside, talkBeside } from './bash-beside.ts'
import { assertSameTree } from './judge.ts'
import { serveWithHabits } from './servers.ts'
import type { Command } from '../../src/command/command.ts'
import type { Site } from './servers.ts'

/** A machine whose bindery is a release like any other: the next one comes first, and does the rest, whoever is killed. */

const work = folderInMemory('bindery-self-')
after(() => rmSync(work, { recursive: true }))
const [sh, talk] = [bashBeside(work), talkBeside(work)]
const at = (...names: readonly string[]): string => join(work, ...names)
const products = ['bindery', 'comp', 'base']
let site: Site

/** The real bundles under another number; chunks get other names, as those of another version have. */
function bundles(number: string): string {
  const folder = at(`dist-${number}`)
  cpSync('dist', folder, { recursive: true, filter: (file) => !/meta|\.compile-cache/.test(file) })
  const chunks = globSync('apart/*.js', { cwd: folder }).map((file) => basename(file))
  const renamed = (name: string): string => name.replace('.js', `${number}.js`)
  const pattern = new RegExp(chunks.map((name) => name.replaceAll('.', '\\.')).join('|'), 'g')
  for (const file of globSync(['*.js', 'apart/*.js'], { cwd: folder })) {
    const text = readFileSync(join(folder, file), 'latin1').replaceAll(`version: "${version}"`, `version: "9.0.${number}"`)
    writeFileSync(join(folder, file), text.replaceAll(pattern, renamed), 'latin1')
  }
  for (const name of chunks) renameSync(join(folder, 'apart', name), join(folder, 'apart', renamed(name)))
  return folder
}

async function good(command: Command, ...words: readonly string[]): Promise<void> {
  const { status, error } = await runCommand(command, words)
  assert.equal(status, 0, error?.message)
}

/** What is of no interest to a client would be most of it. */
function plantReleases(number: string): void {
  makeProduct(at(`bindery-${number}`), { prefix: 'usr', dist: bundles(number) })
  for (const folder of ['usr/man', 'usr/lib/bindery/doc', 'usr/lib/bindery/share/web'])
    rmSync(at(`bindery-${number}`, folder), { recursive: true })
  for (const product of ['base', 'comp']) {
    mkdirSync(at(`${product}-${number}`))
    writeFileSync(at(`${product}-${number}`, product), number)
  }
}

async function release(number: string, ...needed: readonly string[]): Promise<void> {
  for (const product of products) {
    const [folder, dist] = [at(`${product}-${number}`), at(`${product}-${number}.tar.zst`)]
    await good(cut, folder, '-o', dist, '--product', product, '--revision', number, '--date', '20260101', '--arch', 'any')
    const words = product === 'base' ? needed : []
    await good(publish, '-r', at('repo'), '-k', at('keys'), '--system', 'none', '--effort', '0', ...words, dist)
  }
}

if (isTurn(0))
  describe('an update of bindery itself', { ...needs('mtree', 'diff', 'getfattr'), ...needsRoot() }, () => {
    before(async () => {
      await good(init, '-r', at('repo'), '-k', at('keys'), '--no-passphrase')
      for (const number of ['1', '2']) plantReleases(number)
      await release('1')
      site = await serveWithHabits(at('repo'), { validator: 'etag', ranges: true })
      await sh(`for r in 1 2; do mkdir -p whole-$r/var/db && for p in ${products.join(' ')}; do cp -a $p-$r/. whole-$r; done; done
      cp -a whole-1 machine
      machine/usr/bin/bindery -C machine enroll ${site.url} repo/metadata/1.root.json --no-boot-hook ${products.join('/any ')}/any`)
      await release('2', '--needs', 'bindery>=2')
    })
    after(async () => await site.close())

    /** As it is to be in the end, and as the bindery says that is there then. */
    async function assertUpdated(root: string): Promise<void> {
      assert.equal(await sh(`${root}/usr/bin/bindery --version && ${root}/usr/bin/bindery -C ${root} audit`), 'bindery 9.0.2\n')
      rmSync(at(root, 'usr/lib/bindery/dist/.compile-cache'), { recursive: true })
      await assertSameTree(at(root), at('whole-2'), ['time'])
    }

    test('the next one comes first, alone, and brings the rest by itself', async () => {
      await sh('cp -a machine walk')
      const said = await talk('walk/usr/bin/bindery -C walk install')
      assert.equal(said, 'bindery: install: bindery is now 9.0.2, which goes on\n')
      const receipts = (await sh('walk/usr/bin/bindery -C walk list')).split('\n').filter((line) => line.includes('->'))
      assert.deepEqual(
        receipts.map((line) => line.replace(/ 20\S+Z/, '')),
        products.map((p, i) => `${i + 1}: install ${p}-1-20260101-any -> ${p}-2-20260101-any`),
      )
      await assertUpdated('walk')
    })

    const inode = (root: string): number | undefined =>
      statSync(at(root, 'usr/lib/bindery/dist/bindery.js'), { throwIfNoEntry: false })?.ino
    const isThere = (root: string, file: string): boolean =>
      statSync(at(root, 'var/db/bindery', file), { throwIfNoEntry: false }) !== undefined

    /** Each is true of a run from some moment on. */
    const moments: readonly (readonly [string, (root: string, first: number | undefined) => boolean])[] = [
      ['as its files begin to change', (root) => isThere(root, 'journal')],
      ['in the middle of its files', (root, first) => inode(root) !== first],
      ['as the next one begins', (root) => isThere(root, 'receipt/1')],
      ['in the rest', (root) => isThere(root, 'receipt/2')],
    ]

    for (const [when, isTime] of inTurn(moments, Math.floor(Date.now() / 86_400_000))) {
      test(`killed ${when}, one is there that starts, and brings all of it`, async () => {
        const root = `killed ${when}`.replaceAll(' ', '-')
        await sh(`cp -a machine ${root}`)
        const child = spawn(at(root, 'usr/bin/bindery'), ['-C', root, 'install'], { cwd: work, stdio: 'ignore' })
        const ended = new Promise((resolve) => child.once('close', resolve))
        const first = inode(root)
        while (child.exitCode === null && !isTime(root, first)) await pause(1)
        child.kill('SIGKILL')
        await ended
        await sh(`${root}/usr/bin/bindery -C ${root} install`)
        await assertUpdated(root)
      })
    }
  })
