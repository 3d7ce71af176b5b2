import { readFile } from 'node:fs/promises'
import { brotliDecompressSync } from 'node:zlib'
import { systemError } from './system-error.ts'
import type { RecoveryProgram } from '../port/recovery-program.ts'

/** What the build puts into the client bundle, which is one file (tools/build.mjs). */
declare const packedRecovery: string

/** This module and the chunks of a build lie at the same depth below what is installed. */
export const recoveryProgram: RecoveryProgram = async () => {
  if (typeof packedRecovery === 'string') return brotliDecompressSync(Buffer.from(packedRecovery, 'base64'))
  const file = new URL('../../dist/bindery-recover', import.meta.url)
  return await readFile(file).catch((cause: unknown) => Promise.reject(systemError(cause, file.pathname)))
}
