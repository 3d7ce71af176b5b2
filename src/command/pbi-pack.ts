import { oneChunk, utf8 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { packPbi, pbiFileName } from '../engine/pkg/pbi-pack.ts'
import { requiredMembers } from '../engine/pkg/pbi.ts'
import { rsaSecretKey } from '../format/rsa-key.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { writeFileAtomically } from '../host/source.ts'
import { readPbiFolder } from './pbi-folder.ts'
import { keyOf } from './pbi-input.ts'
import type { RelPath } from '../base/path.ts'
import type { Context, Input } from './command.ts'

export async function pack(context: Context, input: Input): Promise<void> {
  const folder = input.operands[1] as string
  const key = await keyOf(context, input.value('sign'), rsaSecretKey)
  const contents = await readPbiFolder(folder)
  const file = input.value('output') ?? (await pbiFileName(contents.header))
  for (const member of requiredMembers)
    if (!contents.header.has(member as RelPath)) context.say(`${folder}: the header has no ${member}, which PC-BSD asks for`)
  const codec = input.flag('bzip2') ? 'bzip2' : 'xz'
  const bytes = await packPbi(contents, { codec, key, loadXz: loadLiblzma })
  await writeWithDigest(context, file, bytes)
}

export async function writeWithDigest(context: Context, file: string, bytes: Uint8Array): Promise<void> {
  if (file === '-') throw new BinderyError('usage', 'a PBI has a file beside it with its digest: -o takes a name')
  context.signal.throwIfAborted()
  await writeFileAtomically(file, oneChunk(bytes))
  await writeFileAtomically(`${file}.sha256`, oneChunk(utf8(`${sha256(bytes)}\n`)))
}
