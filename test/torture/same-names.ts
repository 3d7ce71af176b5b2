import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** For `--import`: what is named by chance has the same names in each run, so that strace can be told by name which file's call to fail. */

let count = 0
const next = (size: number): Buffer => {
  const bytes = Buffer.alloc(size)
  bytes.writeUInt32BE(++count, Math.max(0, size - 4))
  return bytes
}

Object.assign(crypto, { randomBytes: next })
Math.random = () => ++count / 2 ** 32
syncBuiltinESMExports()
