import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/**
 * For --import, before bindery is loaded: nothing that it writes is ever synced. A client whose syncs do nothing must lose something when the
 * power fails, or the power cuts would prove nothing.
 */

type Done = (error: null) => void

fs.fsync = Object.assign((_fd: number, done: Done): void => void setImmediate(done, null), { __promisify__: async () => {} })
fs.fdatasync = Object.assign((_fd: number, done: Done): void => void setImmediate(done, null), { __promisify__: async () => {} })
fs.fsyncSync = (): void => {}
fs.fdatasyncSync = (): void => {}
syncBuiltinESMExports()

const handle = await fs.promises.open('/dev/null')
const prototype = Object.getPrototypeOf(handle) as fs.promises.FileHandle
await handle.close()
prototype.sync = async () => {}
prototype.datasync = async () => {}
