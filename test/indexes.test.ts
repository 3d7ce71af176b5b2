import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIndex } from '../src/engine/client/apply/indexes.ts'
import { relPath } from './helpers/plant.ts'

/** What a system writes beside the modules of a kernel. */

test('indexes of the modules of a kernel are known, of Linux and of the BSDs, and nothing else is one', () => {
  const names =
    'devname softdep weakdep alias alias.bin builtin builtin.bin builtin.alias builtin.alias.bin dep dep.bin symbols symbols.bin'
  for (const top of ['lib', 'usr/lib'])
    for (const name of names.split(' ')) assert.equal(isIndex(relPath(`${top}/modules/6.1/modules.${name}`)), true, name)
  for (const folder of ['kernel', 'modules', 'kernel.old', 'modules.old'])
    assert.equal(isIndex(relPath(`boot/${folder}/linker.hints`)), true)
  const others = [
    'lib/modules/6.1/modules.order',
    'lib/modules/6.1/modules.devname.bin',
    'lib/modules/6.1/kernel/modules.dep',
    'lib/modules/modules.dep',
    'lib64/modules/6.1/modules.dep',
    'boot/linker.hints',
    'boot/kernels/linker.hints',
    'boot/kernel/deep/linker.hints',
    'boot/kernel/other.hints',
  ]
  for (const path of others) assert.equal(isIndex(relPath(path)), false, path)
})
