import { about } from '../base/about.ts'
import { applyPbp } from '../engine/pkg/pbp.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { refuseExisting } from '../host/new-file.ts'
import { refuseOutside, writePbiFolder } from './pbi-extract.ts'
import { readInstalled, readPbiFolder } from './pbi-folder.ts'
import { openTrusted } from './pbi-input.ts'
import type { Context, Input } from './command.ts'

/** The old folder stays as it is. */
export async function patchPbi(context: Context, input: Input): Promise<void> {
  const [folder, file] = input.operands.slice(1) as [string, string]
  const output = input.required('output')
  await refuseExisting(output)
  const patch = await openTrusted(context, input, file)
  const header = input.value('header')
  const old = header === undefined ? await readPbiFolder(folder) : await readInstalled(folder, header)
  const patched = await about(file, async () => {
    const made = await applyPbp(old, patch, loadLiblzma)
    await refuseOutside(input, made.header, made.payload)
    return made
  })
  await writePbiFolder(context, output, patched)
  const { unpromised } = patched
  if (unpromised.length > 0)
    context.say(`${unpromised.length} files came out of the patch, and nobody has told what they should be: PBPs name old digests alone`)
}
