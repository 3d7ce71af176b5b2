import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeBundleSite } from './helpers/bundle-site.ts'
import { needsRoot } from './helpers/programs.ts'
import { folderInMemory } from './helpers/temporary.ts'
import { isWholeSuite } from './helpers/whole-suite.ts'

/** A bundle that ends too early or holds another bit does nothing, wherever that is. */
const work = folderInMemory('bindery-damage-')
after(() => rmSync(work, { recursive: true }))

const options = needsRoot()
/** Each place costs the start of a shell. */
const stride = isWholeSuite ? 3 : 9

let whole: Buffer
let call: number
let list: number
before(() => {
  if (options.skip !== undefined) return
  makeBundleSite(work)
  whole = readFileSync(join(work, 'update.sh'))
  call = whole.indexOf('\n{ bindery_bundle ') + 1
  list = call + 512
})

/** Nothing was changed, and nobody is told that all is well, but by a shell that has nothing to run. */
function runDamaged(bytes: Uint8Array): number | null {
  writeFileSync(join(work, 'damaged.sh'), bytes)
  const { status, stdout } = spawnSync('sh', ['damaged.sh', '-R', 'OLD'], { cwd: work })
  assert.equal(stdout.toString(), '')
  assert.ok(!existsSync(join(work, 'OLD/var/db/bindery')), 'changed something')
  return status
}

test('a program that ends too early does nothing', options, () => {
  for (let end = 0; end < call; end += 140 * stride) runDamaged(whole.subarray(0, end))
  for (let end = call; end < call + 170; end += stride) runDamaged(whole.subarray(0, end))
})

test("one that ends in the name of a function does not call a program by the name's beginning", options, () => {
  const names = [
    ...whole
      .subarray(0, call)
      .toString('latin1')
      .matchAll(/^(find|make|read|set|look)(?=\w*\(\) \{$)/gm),
  ]
  assert.ok(names.length > 3)
  for (const { index, 0: program } of names) runDamaged(whole.subarray(0, index + program.length))
})

test('a payload that ends too early is refused', options, () => {
  for (let end = list; end < whole.length; end += Math.ceil((whole.length - list) / (72 / stride)))
    assert.equal(runDamaged(whole.subarray(0, end)), 3)
  assert.equal(runDamaged(whole.subarray(0, -1)), 3)
})

test('another bit in list or payload is refused', options, () => {
  for (let at = list; at < whole.length; at += Math.ceil((whole.length - list) / (72 / stride))) assert.equal(runDamaged(flipped(at)), 3)
})

test('another bit in the program is never installed', options, () => {
  for (let at = 200; at < call; at += 262 * stride) assert.notEqual(runDamaged(flipped(at)), 0)
  for (let at = call; at < call + 165; at += 1 + stride) assert.notEqual(runDamaged(flipped(at)), 0)
})

function flipped(at: number): Uint8Array {
  const bytes = Uint8Array.from(whole)
  bytes[at] = (bytes[at] as number) ^ (1 << (at % 7))
  return bytes
}
