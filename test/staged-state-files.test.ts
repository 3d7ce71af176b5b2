import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCarried, isStateFile } from '../src/engine/client/staged/state-files.ts'
import { relPath } from './helpers/plant.ts'

/** What of bindery's own state goes along into a new tree. */

const digest = '0123456789abcdef'.repeat(4)

const carried = [
  '.',
  'bin/sh',
  'bin/new.new',
  'var/db',
  'var/db/bindery',
  'var/db/bindery-notes.new',
  'var/db/bindery/cache',
  `var/db/bindery/cache/${digest}`,
  'var/db/bindery/channel/base-amd64/release',
  'var/db/bindery/enrolled',
  'var/db/bindery/lock',
  'var/db/bindery/log/1',
  'var/db/bindery/newer',
  'var/db/bindery/receipt/10',
  'var/db/bindery/recover',
  'var/db/bindery/recovering-notes',
  'var/db/bindery/stage',
  'var/db/bindery/store/10/0',
]

const left = [
  'usr/.bindery',
  'usr/.bindery/store/10/0',
  'usr/lib/.bindery-10-2',
  `var/db/bindery/cache/${digest.slice(1)}`,
  `var/db/bindery/cache/${digest}.part`,
  `var/db/bindery/cache/${'x'.repeat(64)}`,
  'var/db/bindery/channel/base-amd64/release.new',
  'var/db/bindery/commit-hooks',
  'var/db/bindery/enrolled.new',
  'var/db/bindery/journal',
  'var/db/bindery/lock/10.x',
  'var/db/bindery/next',
  'var/db/bindery/next-root',
  'var/db/bindery/recovering',
  'var/db/bindery/recovering.10',
  'var/db/bindery/recovering/10',
  'var/db/bindery/stage/10',
  'var/db/bindery/stage/10/0',
  'var/db/bindery/tree',
]

test('what says what is installed and how to go back goes along; what belongs to one run, or is written on, stays', () => {
  const isAsSaid = (path: string): boolean => isCarried(relPath(path))
  assert.deepEqual([...carried, ...left].filter(isAsSaid), carried)
})

test('files of the state are those in its folder, and the folder itself', () => {
  const paths = ['.', 'var/db', 'var/db/bindery', 'var/db/bindery/tree', 'var/db/bindery-notes', 'usr/.bindery/store/10/0']
  assert.deepEqual(
    paths.filter((path) => isStateFile(relPath(path))),
    ['var/db/bindery', 'var/db/bindery/tree'],
  )
})
