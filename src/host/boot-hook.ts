import { brotliDecompressSync } from 'node:zlib'
import { readShared } from './share.ts'
import type { BootSystem } from '../format/boot-hook.ts'

/** What the build puts into the client bundle, which is one file (tools/build.mjs). */
declare const packedBootHooks: string

/** share/boot/SYSTEM. */
export async function bootHookText(system: BootSystem): Promise<string> {
  if (typeof packedBootHooks !== 'string') return await readShared(`boot/${system}`)
  const all = JSON.parse(brotliDecompressSync(Buffer.from(packedBootHooks, 'base64')).toString('latin1')) as Readonly<
    Record<BootSystem, string>
  >
  return all[system]
}
