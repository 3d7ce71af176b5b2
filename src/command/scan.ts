import { oneChunk, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { isWithin, pathFromText, showPath } from '../base/path.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { encodeManifest } from '../format/manifest.ts'
import { entryJson } from './entry-json.ts'
import { sharedFlags } from './flags.ts'
import { writeOutput } from './output.ts'
import { openTree, scanWithProgress } from './tree-input.ts'
import type { Manifest } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { Command, Context } from './command.ts'

export const scan: Command = {
  name: 'scan',
  summary: 'describe a tree as an mtree(5) manifest',
  operands: 'ROOT',
  operandCount: { min: 1, max: 1 },
  options: {
    output: sharedFlags.output,
    json: sharedFlags.json,
    exclude: { kind: 'list', value: 'PATH', help: 'leave out PATH and what is below it; may be given again' },
    'one-file-system': { kind: 'flag', help: 'leave out what is mounted below ROOT' },
  },
  examples: [
    'bindery scan /mnt/release -o release.mtree',
    'bindery scan --one-file-system / | mtree -p /',
    'bindery scan --exclude home --json .',
  ],
  run: async (context, input) => {
    const disk = openTree(input.operands[0] as string)
    const exclude = input.list('exclude').map(excluded)
    const options = { exclude: (path: RelPath) => exclude.some((top) => isWithin(path, top)), oneFileSystem: input.flag('one-file-system') }
    const manifest = await scanWithProgress(disk, context, options)
    if (!input.flag('json')) warnOfPatterns(manifest, context)
    const bytes = input.flag('json') ? jsonLines(manifest) : encodeManifest(manifest)
    await writeOutput(context, input.value('output') ?? '-', oneChunk(bytes))
    return 0
  },
}

/** As users type it: relative to ROOT, perhaps with `./`, `/` or a last `/`. */
function excluded(text: string): RelPath {
  const path = pathFromText(withoutTrailing(text.replace(/^\.?\/+/, ''), '/'))
  if (path === undefined) throw new BinderyError('usage', `'${text}' is no path below ROOT`)
  return path
}

function jsonLines(manifest: Manifest): Uint8Array {
  return utf8(manifest.entries.map((entry) => `${JSON.stringify(entryJson(entry))}\n`).join(''))
}

/** mtree(8) would match such a name with others, and `[` it may not read at all; bindery itself takes names as they are. */
function warnOfPatterns(manifest: Manifest, context: Context): void {
  const odd = manifest.entries.filter(({ path }) => /[*?[\]]/.test(path))
  if (odd[0] === undefined) return
  const more = odd.length > 1 ? ` and ${odd.length - 1} more` : ''
  context.say(`${showPath(odd[0].path)}${more}: mtree(8) takes * ? [ ] in a name for a pattern; bindery does not`)
}
