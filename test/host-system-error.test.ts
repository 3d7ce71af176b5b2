import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { diskError } from '../src/host/disk-error.ts'
import type { ErrorCode } from '../src/base/error.ts'

/** What the system's errors become: the code of the port, and words without the way that we took to the file. */

function refusal(code: string, errno: number): Error {
  const way = "rename '/proc/self/fd/23/7' -> '/proc/self/fd/24/motd'"
  return Object.assign(new Error(`${code}: as libuv says it, ${way}`), { code, errno, syscall: 'rename' })
}

const meanings: readonly (readonly [string, number, ErrorCode])[] = [
  ['EBUSY', -16, 'io'],
  ['EPERM', -1, 'permission'],
  ['EXDEV', -18, 'not-supported'],
  ['ETXTBSY', -26, 'io'],
  ['EIO', -5, 'io'],
  ['EMFILE', -24, 'io'],
  ['EUCLEAN', -117, 'io'],
]

test('a full quota, for which node has no name, is told as one', () => {
  const number = -constants.errno.EDQUOT
  // Of a promise, and of a call that is waited for.
  for (const code of [`Unknown system error ${number}`, 'UNKNOWN']) {
    const error = diskError(refusal(code, number), 'etc/motd')
    assert.ok(isBinderyError(error, 'no-space'))
    assert.equal(error.message, 'the disk quota is used up')
  }
})

for (const [errno, number, code] of meanings) {
  test(`${errno} is told in words, of the path`, () => {
    const error = diskError(refusal(errno, number), 'etc/motd')
    assert.ok(isBinderyError(error, code))
    assert.equal(error.subject, 'etc/motd')
    assert.doesNotMatch(error.message, /\/proc\/|^E[A-Z]+:/)
  })
}
