import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAccounts, isConfiguration, mayBeEdited, namedConfiguration } from '../src/engine/client/apply/configuration.ts'
import { matchesAny, pathPattern } from '../src/format/conf.ts'
import { relPath } from './helpers/plant.ts'
import type { Update } from '../src/format/update.ts'

/** Which files are configuration, of which some are written by programs, and some are accounts. */

const config = { configProtect: [pathPattern('/opt/app'), pathPattern('/etc/own.db')] }

for (const [path, isMerged, isEdited, isOfAccounts = false] of [
  ['etc/rc.conf', true, true],
  ['etc/ssh/sshd_config', true, true],
  ['usr/local/etc/app.conf', true, true],
  ['bin/sh', false, false],
  ['etcetera/x', false, false],
  ['usr/local/lib/x', false, false],
  // What bindery.conf says, whatever it is.
  ['opt/app/settings', true, true],
  ['opt/app/settings.db', true, true],
  ['etc/own.db', true, true],
  // Made by programs.
  ['etc/pwd.db', false, true],
  ['etc/ld.so.cache', false, true],
  ['etc/ssl/cert.pem', false, true],
  ['etc/ssl/a.crt', false, true],
  ['etc/ssl/a.key', false, true],
  ['etc/signify/a.pub', false, true],
  ['etc/key', true, true],
  ['etc/a.keys', true, true],
  ['etc/cert.pem.conf', true, true],
  ['usr/lib/x.db', false, false],
  // Merged by entry.
  ['etc/passwd', false, true, true],
  ['etc/master.passwd', false, true, true],
  ['etc/shadow', false, true, true],
  ['etc/group', false, true, true],
  ['etc/gshadow', false, true, true],
  ['etc/passwd.conf', true, true],
  ['usr/local/etc/passwd', true, true],
] as const)
  test(`/${path} is ${isMerged ? '' : 'no '}configuration, ${isEdited ? 'may be edited' : 'is left alone by people'}`, () => {
    const at = relPath(path)
    assert.deepEqual([isConfiguration(config, at), mayBeEdited(config, at), isAccounts(at)], [isMerged, isEdited, isOfAccounts])
  })

test('records of a step name configuration, or none', () => {
  const records = [['/opt/a', '/opt/b'], undefined, ['/srv/c']].map((configuration) => ({ configuration }) as unknown as Update)
  const named = namedConfiguration(records)
  const paths = ['opt/a', 'opt/b/x', 'srv/c', 'opt/c', 'srv'].map(relPath)
  assert.deepEqual(
    paths.map((path) => matchesAny(named, path)),
    [true, true, true, false, false],
  )
  assert.equal(named.length, 3)
  assert.deepEqual(namedConfiguration([]), [])
})
