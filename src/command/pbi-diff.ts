import { about } from '../base/about.ts'
import { BinderyError } from '../base/error.ts'
import { payloadOf } from '../engine/pkg/pbi.ts'
import { packPbi, pbiFileName } from '../engine/pkg/pbi-pack.ts'
import { rsaSecretKey } from '../format/rsa-key.ts'
import { makePbp, versionOf } from '../engine/pkg/pbp-make.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { keyOf, openTrusted } from './pbi-input.ts'
import { writeWithDigest } from './pbi-pack.ts'
import type { PbiContents } from '../engine/pkg/pbi-pack.ts'
import type { Context, Input } from './command.ts'

export async function diffPbis(context: Context, input: Input): Promise<void> {
  const [oldFile, newFile] = input.operands.slice(1) as [string, string]
  const key = await keyOf(context, input.value('sign'), rsaSecretKey)
  const [old, next] = [await contentsOf(context, input, oldFile), await contentsOf(context, input, newFile)]
  const codec = input.flag('bzip2') ? 'bzip2' : 'xz'
  const bytes = await packPbi(await makePbp(old, next), { codec, key, loadXz: loadLiblzma })
  if (bytes.length >= next.size)
    throw new BinderyError('no-way', `the patch would be larger than the new PBI: ${bytes.length} bytes`, { subject: newFile })
  const version = `${await versionOf(old.header)}_to_${await versionOf(next.header)}`
  await writeWithDigest(context, input.value('output') ?? (await pbiFileName(next.header, { version, suffix: 'pbp' })), bytes)
}

async function contentsOf(context: Context, input: Input, file: string): Promise<PbiContents & { readonly size: number }> {
  const pbi = await openTrusted(context, input, file)
  const payload = await about(file, async () => await payloadOf(pbi, loadLiblzma))
  return { header: pbi.header, icon: pbi.icon, payload, size: pbi.size }
}
