import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { nodeTree, sameContent } from '../../src/engine/client/apply/nodes.ts'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { scanTree } from '../../src/engine/tree/scan.ts'
import { hostDisk } from '../../src/host/disk.ts'
import { assertSameTree } from '../acceptance/judge.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { halfToday, isWholeSuite } from '../helpers/whole-suite.ts'
import { recovery } from '../helpers/recovery.ts'
import type { NodeTree } from '../../src/engine/client/apply/nodes.ts'

/** A real process on a real file system, killed at some changing call; other programs judge what recover makes of it. */

const work = mkdtempSync(join(tmpdir(), 'bindery-kill-'))
after(() => rmSync(work, { recursive: true }))
const at = (name: string): string => join(work, name)

function run(root: string, call: number): { readonly status: number | null; readonly stdout: string } {
  const args = [resolve('test/helpers/dying-install.ts'), at('OLD'), at('NEW'), at(root), String(call)]
  return spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

async function treeOf(folder: string): Promise<NodeTree> {
  return nodeTree(await scanTree(hostDisk(at(folder))), { xattrs: true, flags: true, excluded: () => false })
}

/** Every name is there in its old or its new version, or not at all where one of the two has none. */
async function assertOldOrNew(root: string, old: NodeTree, next: NodeTree): Promise<void> {
  const live = await treeOf(root)
  for (const path of new Set([...live.nodes.keys(), ...old.nodes.keys(), ...next.nodes.keys()])) {
    if (path === 'var/db') continue
    const node = live.nodes.get(path)
    const versions = [old.nodes.get(path), next.nodes.get(path)]
    // A path that turns from a folder into something else, or back, is nothing for a moment.
    const isTurning =
      versions[0] !== undefined && versions[1] !== undefined && (versions[0].kind === 'dir') !== (versions[1].kind === 'dir')
    if (node === undefined) assert.ok(isTurning || versions.includes(undefined), `${path} is gone`)
    else
      assert.ok(
        versions.some((version) => version !== undefined && sameContent(version, node)),
        `${path} is neither old nor new`,
      )
  }
}

const steps = isWholeSuite ? 12 : 6

describe('kill -9', { ...needs('mtree', 'diff', 'getfattr', 'setfattr'), ...needsRoot() }, () => {
  let calls = 0
  let old: NodeTree
  let next: NodeTree
  before(async () => {
    execFileSync(resolve('test/acceptance/trees.sh'), [at('OLD'), at('NEW')])
    execFileSync('cp', ['-a', at('OLD'), at('whole')])
    const { status, stdout } = run('whole', 0)
    assert.equal(status, 0)
    calls = Number(stdout)
    old = await treeOf('OLD')
    next = await treeOf('NEW')
  })

  test('the whole install is right', async () => await assertSameTree(at('whole'), at('NEW')))

  for (const step of halfToday(Array.from({ length: steps }, (_, i) => i))) {
    test(`after ${Math.round((step * 100) / steps)} percent of an install`, async () => {
      const root = `root${step}`
      execFileSync('cp', ['-a', at('OLD'), at(root)])
      const call = 1 + Math.floor(((step + 0.5) * calls) / steps)
      assert.equal(run(root, call).status, null, `call ${call} of ${calls} was never made`)
      await assertOldOrNew(root, old, next)
      const wasCommitted = existsSync(join(at(root), 'var/db/bindery/journal'))
      const undo = Math.floor(step / 2) % 2 === 1
      await recover(hostDisk(at(root)), { undo, keepReleases: 5, recovery })
      await assertSameTree(at(root), at(wasCommitted && !undo ? 'NEW' : 'OLD'))
      rmSync(at(root), { recursive: true })
    })
  }
})
