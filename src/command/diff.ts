import { fromLatin1, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { compareSides } from '../engine/tree/compare.ts'
import { aspects } from '../engine/tree/diff.ts'
import { packingList } from '../engine/tree/packing-list.ts'
import { jsonLine, readableLine } from './diff-text.ts'
import { readSide } from './diff-side.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import type { Gap, Side } from '../engine/tree/compare.ts'
import type { Aspect, Difference } from '../engine/tree/diff.ts'
import type { Command, Context, Input } from './command.ts'

/** Exit status when there are differences. */
const different = 7

export const diff: Command = {
  name: 'diff',
  summary: 'show what differs between two of tree, manifest and dist',
  operands: 'OLD NEW',
  operandCount: { min: 2, max: 2 },
  options: {
    json: sharedFlags.json,
    plist: { kind: 'flag', help: 'print a packing list: what to ship, and @remove lines' },
    ignore: { kind: 'list', value: 'ASPECTS', help: 'do not compare these: mtime,owner,…' },
  },
  examples: [
    'bindery diff /mnt/old /mnt/new',
    'bindery diff --ignore mtime release.mtree /',
    'bindery diff --plist base-1.0.tar.zst /usr/dest > plist',
  ],
  run: async (context, input) => {
    const write = writerOf(input)
    const ignore = ignoredAspects(input)
    const [old, next] = input.operands as [string, string]
    if (old === '-' && next === '-') throw new BinderyError('usage', 'only one of the two can be stdin')
    const sides = [await readSide(old, context), await readSide(next, context)] as const
    explainGaps(sides, context)
    const differences = compareSides(...sides, ignore)
    for (let at = 0; at < differences.length; at += 1000) await print(context, write(differences.slice(at, at + 1000)))
    return differences.length === 0 ? 0 : different
  },
}

function writerOf(input: Input): (differences: readonly Difference[]) => Uint8Array {
  if (input.flag('json') && input.flag('plist')) throw new BinderyError('usage', '--json and --plist exclude each other')
  if (input.flag('plist')) return (differences) => fromLatin1(packingList(differences))
  return (differences) => utf8(differences.map(input.flag('json') ? jsonLine : readableLine).join(''))
}

function ignoredAspects(input: Input): ReadonlySet<Aspect> {
  const words = input.list('ignore').flatMap((list) => list.split(','))
  return new Set(
    words.map((word) => {
      const aspect = aspects.find((known) => known === word)
      if (aspect === undefined) throw new BinderyError('usage', `'${word}' is no aspect`, { hint: `the aspects are ${aspects.join(', ')}` })
      return aspect
    }),
  )
}

const gapText: Readonly<Record<Gap, string>> = {
  digest: 'digests (sizes are compared)',
  content: 'sizes',
  target: 'link targets',
  device: 'device numbers',
  links: 'hard links',
  mode: 'modes',
  owner: 'owners',
  mtime: 'times',
  flags: 'file flags',
  xattrs: 'extended attributes',
  sockets: 'sockets',
}

/** What is not compared must not be a surprise: content always said, the rest under -v. */
function explainGaps(sides: readonly Side[], context: Context): void {
  const gaps = new Set(sides.flatMap((side) => [...side.gaps]))
  for (const gap of gaps) {
    const tell = gap === 'digest' || gap === 'content' ? context.say : context.explain
    tell(`not in both, and not compared: ${gapText[gap]}`)
  }
}
