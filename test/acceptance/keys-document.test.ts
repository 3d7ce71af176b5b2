import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Updater } from 'tuf-js'
import { serveSite } from '../helpers/site.ts'
import { bashBeside } from './bash-beside.ts'
import { isTurn } from '../helpers/whole-suite.ts'
import type { Page } from '../../src/host/memory-http.ts'

/** doc/keys.md as it stands, with clients of the first root: one of ours, and tuf-js. */

const work = mkdtempSync(join(tmpdir(), 'bindery-keys-'))
after(() => rmSync(work, { recursive: true }))

const sh = bashBeside(work)

/** The commands of the document, by the heading above them. */
function chapters(): ReadonlyMap<string, string> {
  const parts = readFileSync('doc/keys.md', 'utf8').split(/^## /m).slice(1)
  return new Map(
    parts.map((part) => [
      (part.split('\n')[0] as string).trim(),
      [...part.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] as string).join(''),
    ]),
  )
}

async function tree(revision: string): Promise<void> {
  mkdirSync(join(work, `tree-${revision}/etc`), { recursive: true })
  writeFileSync(join(work, `tree-${revision}/etc/version`), `${revision}\n`)
  await sh(`bindery cut tree-${revision} -o base-${revision}.tar.zst --product base --revision ${revision} --date 20260101 --arch amd64`)
}

if (isTurn(2))
  test('the commands of doc/keys.md do what it says, for clients that knew only the first root', async (t) => {
    const commands = chapters()
    assert.deepEqual([...commands.keys()].slice(0, 3), ['The ceremony', 'Next keys', 'Every day'])
    await tree('1.0')
    await tree('1.1')
    const [ceremony, ...changes] = [...commands.values()]
    await sh(ceremony as string)
    await sh('mkdir client && cp -a tree-1.0/. client/ && bindery -C client enroll "file://$PWD/repo" trusted.root.json base/amd64')
    for (const chapter of changes) await sh(chapter)
    // Ten versions later, where all keys are at hand.
    await sh('mkdir all && cp online/* bob.* dave.* erin.* all/ && for i in 1 2 3; do bindery keys renew root -r repo -k all; done')
    const newest = Math.max(
      ...readdirSync(join(work, 'repo/metadata')).flatMap((name) => Number(/^(\d+)\.root\.json$/.exec(name)?.[1] ?? 0)),
    )
    assert.ok(newest > 10, `root ${newest}`)

    await sh('bindery publish -r repo -k online --system none base-1.1.tar.zst && bindery fsck -r repo --deep trusted.root.json')
    assert.match(await sh('bindery -C client check'), /base-1\.1-20260101-amd64/)
    await sh('bindery -C client install && bindery -C client audit')
    assert.equal(readFileSync(join(work, 'client/etc/version'), 'utf8'), '1.1\n')
    assert.match(
      await sh('bindery keys doctor "file://$PWD/repo" trusted.root.json || test $? = 6'),
      /^role root: no next key is announced/,
    )
    await tufJsFollows(t, newest)
  })

async function tufJsFollows(t: { after(work: () => unknown): void }, newest: number): Promise<void> {
  const names = readdirSync(join(work, 'repo/metadata'))
  const site = await serveSite(
    new Map<string, Page>(names.map((name) => [`/metadata/${name}`, { bytes: readFileSync(join(work, 'repo/metadata', name)) }])),
  )
  t.after(() => site.close())
  const trust = join(work, 'tuf-js')
  mkdirSync(trust)
  writeFileSync(join(trust, 'root.json'), readFileSync(join(work, 'trusted.root.json')))
  const updater = new Updater({ metadataDir: trust, metadataBaseUrl: `${site.base}/metadata` })
  await updater.refresh()
  const root = JSON.parse(readFileSync(join(trust, 'root.json'), 'utf8')) as { signed: { version: number } }
  assert.equal(root.signed.version, newest)
}
